package server

import (
	"net"
	"testing"
)

func TestTheKernelKnowsTheRoundTrip(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	// The handshake was a round trip, and so it is known before anything was said.
	if rtt := (&conn{nc: nc}).roundTrip(); rtt <= 0 {
		t.Errorf("%v", rtt)
	}
	inMemory, other := net.Pipe()
	defer inMemory.Close()
	defer other.Close()
	if rtt := (&conn{nc: inMemory}).roundTrip(); rtt != 0 {
		t.Errorf("in memory: %v", rtt)
	}
}
