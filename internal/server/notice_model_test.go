package server_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// Members that do what they like around held heartbeats, at random: commit, heartbeat, join, begin a request and pause, cut the connection, come from
// another one, or wait. A rebalance may take half an hour here, and waits for everybody: a hold that nobody ends, a wake-up that is missed, or a hold that
// outlives its generation lasts for as long as it may, which none of them does. What every answer may be is known from what the member heard before.

const heldHang = 2 * time.Minute // far beyond anything; a machine that is busy does not matter

// walker is one member.
type walker struct {
	addr, name  string
	rng         *rand.Rand
	conn        net.Conn
	correlation int32
	owed        []owed // requests without an answer, in their order
	member      string
	generation  int32
	rebalancing bool // it was told so, in this generation
	beats       int
}

type owed struct {
	correlation int32
	q           kmsg.Request
}

func (w *walker) dial() error {
	if w.conn != nil {
		w.conn.Close()
	}
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		return err
	}
	w.conn, w.owed = conn, nil
	w.name = strconv.FormatUint(w.rng.Uint64(), 36) // who cuts its connections during holds is left alone, by its client id
	q := kmsg.NewPtrApiVersionsRequest()
	q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = 3, "kgo", "1"
	if err := w.send(q); err != nil {
		return err
	}
	return w.receiveAll()
}

func (w *walker) frame(q kmsg.Request) []byte {
	w.correlation++
	w.owed = append(w.owed, owed{w.correlation, q})
	return testkit.Frame(q, w.correlation, w.name)
}

func (w *walker) write(b []byte) error {
	w.conn.SetDeadline(time.Now().Add(heldHang))
	_, err := w.conn.Write(b)
	return err
}

func (w *walker) send(q kmsg.Request) error { return w.write(w.frame(q)) }

// receive reads the next answer, which must be the one that is due, and judges it.
func (w *walker) receive() (kmsg.Response, error) {
	due := w.owed[0]
	w.conn.SetDeadline(time.Now().Add(heldHang))
	var head [8]byte
	if _, err := io.ReadFull(w.conn, head[:]); err != nil {
		return nil, fmt.Errorf("waiting for the answer to %s: %w", kmsg.NameForKey(due.q.Key()), err)
	}
	rest := make([]byte, binary.BigEndian.Uint32(head[:4])-4)
	if _, err := io.ReadFull(w.conn, rest); err != nil {
		return nil, err
	}
	if got := int32(binary.BigEndian.Uint32(head[4:])); got != due.correlation {
		return nil, fmt.Errorf("answer to request %d, want %d, %s", got, due.correlation, kmsg.NameForKey(due.q.Key()))
	}
	w.owed = w.owed[1:]
	resp := due.q.ResponseKind()
	if due.q.IsFlexible() && due.q.Key() != 18 {
		rest = rest[1:]
	}
	if err := resp.ReadFrom(rest); err != nil {
		return nil, err
	}
	return resp, w.judge(due.q, resp)
}

func (w *walker) receiveAll() error {
	for len(w.owed) > 0 {
		if _, err := w.receive(); err != nil {
			return err
		}
	}
	return nil
}

// judge holds an answer against what the member knows: nobody is ever put out here, and the next generation needs its consent.
func (w *walker) judge(q kmsg.Request, resp kmsg.Response) error {
	switch resp := resp.(type) {
	case *kmsg.HeartbeatResponse:
		w.beats++
		switch code := kafka.ErrorCode(resp.ErrorCode); {
		case code == kafka.RebalanceInProgress:
			w.rebalancing = true
		case code != kafka.None:
			return fmt.Errorf("a heartbeat of generation %d is answered %s", q.(*kmsg.HeartbeatRequest).Generation, code)
		case w.rebalancing:
			return errors.New("a heartbeat is told that all is well after one of the same generation was told of a rebalance")
		}
	case *kmsg.OffsetCommitResponse:
		if code := kafka.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode); code != kafka.None {
			return fmt.Errorf("a commit is answered %s", code)
		}
	}
	return nil
}

func (w *walker) heartbeat() kmsg.Request {
	q := kmsg.NewPtrHeartbeatRequest()
	q.Version, q.Group, q.MemberID, q.Generation = 4, "g", w.member, w.generation
	return q
}

func (w *walker) commit() kmsg.Request {
	c := groupClient{group: "g", member: w.member, generation: w.generation, version: -1}
	return c.commitRequest("t", 0, int64(w.beats))
}

// join takes part in a round, and in all that follow before one is complete.
func (w *walker) join() error {
	for {
		q := kmsg.NewPtrJoinGroupRequest()
		q.Version, q.Group, q.MemberID, q.ProtocolType = 3, "g", w.member, "consumer"
		q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = 30*60*1000, 30*60*1000
		q.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte(strconv.Itoa(w.rng.IntN(2)))}}
		joined, err := w.ask(q)
		if err != nil {
			return err
		}
		j := joined.(*kmsg.JoinGroupResponse)
		if j.ErrorCode != 0 {
			return fmt.Errorf("JoinGroup is answered %s", kafka.ErrorCode(j.ErrorCode))
		}
		if j.Generation < w.generation || w.rebalancing && j.Generation == w.generation {
			return fmt.Errorf("generation %d follows %d", j.Generation, w.generation)
		}
		w.member, w.generation, w.rebalancing = j.MemberID, j.Generation, false
		sync := kmsg.NewPtrSyncGroupRequest()
		sync.Version, sync.Group, sync.MemberID, sync.Generation = 3, "g", w.member, w.generation
		if j.LeaderID == w.member {
			for _, m := range j.Members {
				sync.GroupAssignment = append(sync.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: m.MemberID, MemberAssignment: []byte("x")})
			}
		}
		synced, err := w.ask(sync)
		if err != nil {
			return err
		}
		switch code := kafka.ErrorCode(synced.(*kmsg.SyncGroupResponse).ErrorCode); code {
		case kafka.None:
			return nil
		case kafka.RebalanceInProgress:
		default:
			return fmt.Errorf("SyncGroup is answered %s", code)
		}
	}
}

func (w *walker) ask(q kmsg.Request) (kmsg.Response, error) {
	if err := w.send(q); err != nil {
		return nil, err
	}
	for len(w.owed) > 1 {
		if _, err := w.receive(); err != nil {
			return nil, err
		}
	}
	return w.receive()
}

// walk is a step: a heartbeat, and something around it.
func (w *walker) walk() error {
	if w.rebalancing {
		return w.join()
	}
	if err := w.send(w.heartbeat()); err != nil {
		return err
	}
	switch w.rng.IntN(10) {
	case 0, 1, 2: // waits for the news
		if err := w.receiveAll(); err != nil {
			return err
		}
	case 3, 4: // something else, and something more
		for range 1 + w.rng.IntN(3) {
			next := w.commit()
			if w.rng.IntN(2) == 0 {
				next = w.heartbeat()
			}
			if err := w.send(next); err != nil {
				return err
			}
		}
		if err := w.send(w.commit()); err != nil {
			return err
		}
		return w.receiveAll()
	case 5: // all of it in one piece
		b := w.frame(w.commit())
		b = append(b, w.frame(w.heartbeat())...)
		b = append(b, w.frame(w.commit())...)
		if err := w.write(b); err != nil {
			return err
		}
		return w.receiveAll()
	case 6: // the first byte of something else must do
		b := w.frame(w.commit())
		if err := w.write(b[:1]); err != nil {
			return err
		}
		if _, err := w.receive(); err != nil {
			return err
		}
		if err := w.write(b[1:]); err != nil {
			return err
		}
		return w.receiveAll()
	case 7: // gone, and back
		return w.dial()
	case 8: // the same member from elsewhere
		other := &walker{addr: w.addr, rng: w.rng, member: w.member, generation: w.generation}
		if err := other.dial(); err != nil {
			return err
		}
		defer other.conn.Close()
		if err := other.send(other.heartbeat()); err != nil {
			return err
		}
		if err := w.receiveAll(); err != nil { // as soon as that is looked at
			return err
		}
		if err := other.send(other.commit()); err != nil {
			return err
		}
		if err := other.receiveAll(); err != nil {
			return err
		}
		w.rebalancing = w.rebalancing || other.rebalancing
	case 9: // joins although nobody asked for it
		return w.join()
	}
	return nil
}

func TestHeldHeartbeatsAgainstAModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("NOTICE_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("NOTICE_SEED=%d repeats the choices of each member, though not how they meet", seed)
	b := testkit.Start(t, "group.prompt.notice.clients=kgo:10000")
	newMember(t, b, "g").CreateTopic("t", 1)
	const members, steps = 4, 150
	walkers := make([]*walker, members+1)
	for i := range walkers {
		walkers[i] = &walker{addr: b.Addr(), rng: rand.New(rand.NewPCG(seed, uint64(i)))}
	}
	var wg, walking sync.WaitGroup
	over := make(chan struct{})
	failed := make(chan error, len(walkers))
	run := func(w *walker, life func() error) {
		err := w.dial()
		if err == nil {
			err = w.join()
		}
		if err == nil {
			err = life()
		}
		if err == nil {
			err = w.leave()
		}
		w.conn.Close()
		if err != nil {
			failed <- err
		}
	}
	for i, w := range walkers[:members] {
		walking.Go(func() {
			run(w, func() error {
				for n := range steps {
					if err := w.walk(); err != nil {
						return fmt.Errorf("member %d, step %d, generation %d: %w", i, n, w.generation, err)
					}
				}
				return nil
			})
		})
	}
	// One joins and leaves as long as they walk: whoever waits for news gets some.
	wg.Go(func() {
		restless := walkers[members]
		run(restless, func() error {
			for {
				select {
				case <-over:
					return nil
				default:
				}
				if err := restless.leave(); err != nil {
					return err
				}
				if err := restless.join(); err != nil {
					return fmt.Errorf("the restless one: %w", err)
				}
			}
		})
	})
	walking.Wait()
	close(over)
	wg.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	got := holds(t, b)
	t.Log("holds: ", got)
	if !strings.Contains(got, "rebalance ") {
		t.Errorf("no hold told of a rebalance: %s", got)
	}
	if strings.Contains(got, "bound ") || strings.Contains(got, "gone ") {
		t.Errorf("holds ended by their bound, or because somebody was put out: %s", got)
	}
	awaitMetric(t, b, groupsWaiting, "0")
}

func (w *walker) leave() error {
	q := kmsg.NewPtrLeaveGroupRequest()
	q.Version, q.Group, q.MemberID = 2, "g", w.member
	resp, err := w.ask(q)
	if err != nil {
		return err
	}
	if code := kafka.ErrorCode(resp.(*kmsg.LeaveGroupResponse).ErrorCode); code != kafka.None {
		return fmt.Errorf("LeaveGroup is answered %s", code)
	}
	w.member = ""
	return nil
}
