package conn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/wstest"
)

// FuzzConns has two connections talk over a stream with faults, in all ways that there are to write and to read, by a script that
// the fuzzer writes, and compares what was sent with what arrived.
func FuzzConns(f *testing.F) {
	f.Add([]byte{0, 0}, []byte{}, []byte{})
	f.Add([]byte{0xff, 9, 30}, []byte("one of each: 0123456789"), []byte("and the other way round"))
	f.Add([]byte{3, 1}, []byte{0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7}, []byte{0, 255, 1, 255, 2, 255, 3, 255, 4, 255, 5, 255})
	f.Add([]byte{0x14, 200, 7, 40}, bytes.Repeat([]byte{1, 60}, 20), bytes.Repeat([]byte{17, 200, 33, 9}, 10))
	f.Add([]byte{0x2b, 50, 100, 3}, bytes.Repeat([]byte{2, 250, 3, 120}, 10), bytes.Repeat([]byte{4, 90, 5, 70, 0, 3}, 8))
	f.Fuzz(func(t *testing.T, stream, left, right []byte) {
		const most = 64 // bytes of script a side
		synctest.Test(t, func(t *testing.T) {
			testScript(t, stream, left[:min(len(left), most)], right[:min(len(right), most)])
		})
	})
}

// script is what is left of a side's part. At its end all is 0.
type script []byte

func (s *script) next() int {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return int(b)
}

// testScript reads from stream how the network is: bits of its first byte say what it does, the others how much.
func testScript(t *testing.T, stream, left, right script) {
	kind := stream.next()
	x, y := wstest.PipeSize(20 + 40*stream.next())
	faults := wstest.Faults{Seed: uint64(kind)}
	if kind&1 != 0 {
		faults.ReadMax, faults.WriteMax = 1+stream.next(), 10+20*stream.next()
	}
	if kind&2 != 0 {
		faults.ReadDelay, faults.WriteDelay = time.Duration(stream.next())*time.Microsecond, time.Duration(stream.next())*time.Microsecond
	}
	cut := kind&4 != 0
	if cut {
		at := stream.next() * stream.next()
		faults.WriteCut = &at
	}
	var cfg conn.Config
	if kind&8 != 0 {
		cfg.Compression = conn.Compression{ServerMaxWindowBits: 15, ClientMaxWindowBits: 9, ClientNoContextTakeover: kind&16 != 0}
	}
	a := &side{Conn: conn.New(conn.NetTransport(wstest.Faulty(x, faults)), cfg), cut: cut}
	cfg.Client = true
	b := &side{Conn: conn.New(conn.NetTransport(wstest.Faulty(y, wstest.Faults{})), cfg), cut: cut}
	a.peer, b.peer = b, a
	var closing, closed sync.WaitGroup
	closing.Go(func() { a.read(t, left, true) })
	closing.Go(func() { a.write(t, left) })
	closed.Go(func() { b.read(t, right, false) })
	closed.Go(func() { b.write(t, right) })
	closing.Wait()
	if err := a.Close(context.Background(), conn.StatusNormal, ""); err != nil && !cut {
		t.Errorf("Close: %v", err)
	}
	closed.Wait()
	a.check(t)
	b.check(t)
}

// side is one end, and what is known of its messages.
type side struct {
	*conn.Conn
	peer *side
	cut  bool // the stream will break

	mu   sync.Mutex
	sent []fate
	got  int // messages that the peer has read, or that were not sent, from the beginning
}

// fate is what became of a message.
type fate struct {
	size  int
	known byte // accepted, uncertain or refused
}

const (
	uncertain = iota
	accepted
	refused
)

// message is number i of n bytes and more.
func message(i, n int) conn.Message {
	return conn.Message{Type: conn.MessageType(1 + i%2), Data: fmt.Appendf(nil, "%d:%s", i, payload(n))}
}

// write sends what the script says, and says that this was all by a message without a number.
func (s *side) write(t *testing.T, script script) {
	long := 40 // once is enough
	for i := 0; len(script) > 0; i++ {
		how, n := script.next(), script.next()
		if n *= 1 + how>>4; how&0x80 != 0 {
			n, long = n*long, 1
		}
		s.mu.Lock()
		s.sent = append(s.sent, fate{size: n})
		s.mu.Unlock()
		known, err := s.send(how, message(i, n), time.Duration(n)*time.Microsecond)
		s.mu.Lock()
		s.sent[i].known = known
		s.mu.Unlock()
		if err != nil {
			s.ended(t, "write", err)
			return
		}
	}
	if err := s.Write(context.Background(), conn.Text, nil); err != nil {
		s.ended(t, "last write", err)
	}
}

// send sends a message in one of the ways, patiently or not.
func (s *side) send(how int, m conn.Message, patience time.Duration) (known byte, err error) {
	ctx := context.Background()
	p, err := conn.NewPrepared(m)
	if err != nil {
		return refused, err
	}
	switch how % 7 {
	case 0:
		err = s.WriteMessage(ctx, m)
	case 1:
		w, err := s.Writer(ctx, m.Type)
		if err != nil {
			return uncertain, err
		}
		_, err = io.Copy(w, bytes.NewReader(m.Data))
		if err = errors.Join(err, w.Close()); err != nil {
			return uncertain, err
		}
		return accepted, nil
	case 2:
		err = s.WritePrepared(ctx, p)
	case 3:
		n, err := s.TryWrite(p)
		if n == 0 {
			return refused, err
		}
		return accepted, err
	case 4:
		if err = s.WriteMessage(ctx, m); err == nil {
			err = s.Flush(ctx)
		}
	default:
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if how%7 == 5 {
			err = s.WriteMessage(ctx, m)
		} else {
			err = s.WritePrepared(ctx, p)
		}
		if err != nil && !errors.Is(err, net.ErrClosed) && errors.Is(err, context.DeadlineExceeded) {
			if strings.Contains(err.Error(), "may still arrive") {
				return uncertain, nil
			}
			return refused, nil
		}
	}
	if err != nil {
		return uncertain, err
	}
	return accepted, nil
}

// read reads as the script says, up to the peer's last message, or, unless once, to the end.
func (s *side) read(t *testing.T, script script, once bool) {
	for {
		m, err := s.receive(script.next())
		switch {
		case errors.Is(err, net.ErrClosed):
			s.ended(t, "read", err)
			return
		case errors.Is(err, context.DeadlineExceeded):
			continue // the next one goes on
		case err != nil:
			t.Errorf("read: %v", err)
			return
		case len(m.Data) > 0:
			s.peer.arrived(t, m)
		case once:
			return
		}
	}
}

// receive reads a message in one of the ways, patiently or not.
func (s *side) receive(how int) (m conn.Message, err error) {
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if how&1 != 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(how)*time.Microsecond)
	}
	defer cancel()
	switch how >> 1 % 4 {
	case 0:
		m.Type, m.Data, err = s.Read(ctx)
	case 1:
		m.Type, m.Data, err = s.AppendRead(ctx, []byte("before"))
		m.Data = bytes.TrimPrefix(m.Data, []byte("before"))
	case 2:
		var r io.Reader
		if m.Type, r, err = s.Reader(context.Background()); err == nil {
			m.Data, err = io.ReadAll(io.MultiReader(io.LimitReader(r, int64(how)), r))
		}
	case 3:
		err = net.ErrClosed // a clean end is none of Messages'
		for step, stepErr := range s.Messages(ctx) {
			m, err = conn.Message{Type: step.Type, Data: bytes.Clone(step.Data)}, stepErr
			break
		}
		if err == net.ErrClosed && s.Context().Err() != nil {
			err = context.Cause(s.Context())
		}
	}
	return m, err
}

// arrived notes that the peer has read a message, which has to be the next one that it could get.
func (s *side) arrived(t *testing.T, m conn.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var i int
	if _, err := fmt.Sscanf(string(m.Data[:min(len(m.Data), 10)]), "%d:", &i); err != nil || i < s.got || i >= len(s.sent) {
		t.Errorf("got %.20q where %d of %d messages had come", m.Data, s.got, len(s.sent))
		return
	}
	for ; s.got < i; s.got++ {
		if s.sent[s.got].known == accepted {
			t.Errorf("message %d is lost, %d came", s.got, i)
		}
	}
	s.got++
	if want := message(i, s.sent[i].size); m.Type != want.Type || !bytes.Equal(m.Data, want.Data) || s.sent[i].known == refused {
		t.Errorf("message %d came as %v of %d bytes, want %v of %d; it is known as %d", i, m.Type, len(m.Data), want.Type, len(want.Data), s.sent[i].known)
	}
}

// check is for the end: what was accepted has arrived, unless the stream broke.
func (s *side) check(t *testing.T) {
	for i := s.got; i < len(s.sent) && !s.cut; i++ {
		if s.sent[i].known == accepted {
			t.Errorf("message %d of %d is lost at the end", i, len(s.sent))
		}
	}
}

// ended judges how the connection is over: as planned, or because the stream broke.
func (s *side) ended(t *testing.T, call string, err error) {
	var ce *conn.CloseError
	switch {
	case errors.As(err, &ce) && ce.Code == conn.StatusNormal:
	case errors.As(err, &ce) && ce.Code == conn.StatusAbnormal && s.cut:
	default:
		t.Errorf("%s: %v", call, err)
	}
}
