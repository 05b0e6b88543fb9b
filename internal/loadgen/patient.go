package loadgen

import "net"

// patientPiece is how much of an answer is to be there before its reader is woken.
const patientPiece = 256 << 10

// patient reads large answers in large pieces. A process in Go is woken for every segment that comes, and it is the sender that pays for
// the waking: on a loopback that may be more than all else that a broker does, and how often it happens hangs on whether the reader happens to sleep.
type patient struct {
	net.Conn
	coming int // bytes of the answer that have not come yet
	low    int // as the kernel knows it; 0 before it was told
}

func (p *patient) Read(b []byte) (int, error) {
	if low := max(1, min(p.coming, len(b), patientPiece)); low != p.low {
		p.low = low
		setLowWater(p.Conn, low)
	}
	n, err := p.Conn.Read(b)
	p.coming = max(0, p.coming-n)
	return n, err
}
