package conn_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/wstest"
)

// journal is an Observer that notes what it is told.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

// take returns what was noted since it was last called.
func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := j.lines
	j.lines = nil
	return lines
}

func (j *journal) expect(t *testing.T, want ...string) {
	t.Helper()
	if got := j.take(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func (j *journal) observer() *conn.Observer {
	return &conn.Observer{
		Closed:     func(c *conn.Conn, cause error) { j.add("closed: %v", cause) },
		MessageIn:  func(c *conn.Conn, t conn.MessageType, n int) { j.add("in %v %d", t, n) },
		MessageOut: func(c *conn.Conn, t conn.MessageType, n int) { j.add("out %v %d", t, n) },
	}
}

// TestObserverMessages sends and receives as TestStats does, with texts of all lengths.
func TestObserverMessages(t *testing.T) {
	runAll(t, func(t *testing.T, m mode) {
		var here, there journal
		c, peer := m.pair(t, conn.Config{Observer: here.observer()}, conn.Config{Observer: there.observer()})
		ctx := soon(t)
		for i, n := range []int{0, 5, 70_000, 125, 300_000, 1000} {
			sent := start(func() error { return sendStat(ctx, c, i, []byte(strings.Repeat("a", n))) })
			receiveStat(ctx, t, peer, i)
			if err := result(t, sent); err != nil {
				t.Fatal(err)
			}
			here.expect(t, fmt.Sprintf("out text %d", n))
			there.expect(t, fmt.Sprintf("in text %d", n))
		}
		closed := start(func() error { return c.Close(ctx, conn.StatusNormal, "") })
		if _, _, err := peer.Read(ctx); err == nil {
			t.Error("no end")
		}
		if err := result(t, closed); err != nil {
			t.Error(err)
		}
		there.expect(t, "closed: ws: connection closed: received 1000 (normal closure), then sent 1000 (normal closure)")
		here.expect(t, "closed: ws: connection closed: sent 1000 (normal closure), then received 1000 (normal closure)")
	})
}

// TestObserverClosedOnce ends a connection in several ways at a time.
func TestObserverClosedOnce(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		var j journal
		c, _ := m.raw(t, conn.Config{Observer: j.observer()})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { c.CloseCause(conn.StatusGoingAway, "", conn.ErrShutdown) })
		}
		wg.Wait()
		c.CloseNow()
		j.expect(t, "closed: "+conn.ErrShutdown.Error())
	})
}

// TestObserverPieces counts a message once that comes in many reads and fragments.
func TestObserverPieces(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		var j journal
		c, peer := m.raw(t, conn.Config{Observer: j.observer()})
		go func() {
			peer.send(binry, "abc")
			peer.send(fin|ping, "")
			peer.send(cont, strings.Repeat("x", 40_000))
			peer.send(fin|cont, "")
			peer.send(fin|text, "next")
		}()
		for range 2 {
			if _, _, err := c.Read(soon(t)); err != nil {
				t.Fatal(err)
			}
		}
		j.expect(t, "in binary 40003", "in text 4")
	})
}

// TestObserverRoundTrip lets keepalive and Ping measure a peer that takes its time.
func TestObserverRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		a, b := wstest.Pipe()
		c := conn.New(conn.NetTransport(a), conn.Config{PingInterval: 8 * time.Second, PongTimeout: time.Minute, Observer: &conn.Observer{
			RoundTrip: func(_ *conn.Conn, d time.Duration) { j.add("%v", d) },
		}})
		defer c.CloseNow()
		peer := newRawPeer(t, b, true)
		go c.Read(t.Context())
		_, payload, err := peer.next()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		peer.send(fin|pong, payload)
		synctest.Wait()
		j.expect(t, "1.5s")
		if rtt := c.Stats().RTT; rtt != 1500*time.Millisecond {
			t.Errorf("RTT %v", rtt)
		}
		peer.send(fin|pong, "") // which nobody has asked for
		synctest.Wait()
		j.expect(t)

		pinged := start(func() error { return c.Ping(t.Context()) })
		if _, payload, err = peer.next(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
		peer.send(fin|pong, payload)
		if err := <-pinged; err != nil {
			t.Fatal(err)
		}
		j.expect(t, "2ms")
		if rtt := c.Stats().RTT; rtt != 2*time.Millisecond {
			t.Errorf("RTT %v", rtt)
		}
	})
}

// TestObserverStall has a peer that takes nothing for a while, and messages that queue up meanwhile.
func TestObserverStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		a, b := wstest.Pipe()
		c := conn.New(conn.NetTransport(a), conn.Config{Observer: &conn.Observer{
			WriteStalled: func(_ *conn.Conn, d time.Duration) { j.add("stalled %v", d) },
			Queued:       func(_ *conn.Conn, n int) { j.add("queued %d", n) },
		}})
		defer c.CloseNow()
		if err := c.Write(t.Context(), conn.Binary, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		j.expect(t)
		const long = 100 << 10 // more than the pipe takes
		sent := start(func() error { return c.Write(t.Context(), conn.Binary, make([]byte, long)) })
		synctest.Wait()
		prepared, err := conn.NewPrepared(conn.Message{Type: conn.Text, Data: []byte("behind")})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		peer := newRawPeer(t, b, true)
		for range 2 {
			peer.message()
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		j.expect(t, "stalled 3s")

		if err := c.Write(t.Context(), conn.Binary, make([]byte, 60<<10)); err != nil { // fills the pipe
			t.Fatal(err)
		}
		go c.Write(t.Context(), conn.Binary, make([]byte, 60<<10))
		synctest.Wait()
		if n, err := c.TryWrite(prepared); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		j.expect(t, "queued 61444") // with the header
	})
}

// TestObserverAllocations compares an echo without an observer, with an empty one, and with one that counts.
func TestObserverAllocations(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	var n int
	counting := &conn.Observer{
		MessageIn:  func(*conn.Conn, conn.MessageType, int) { n++ },
		MessageOut: func(*conn.Conn, conn.MessageType, int) { n++ },
		Queued:     func(*conn.Conn, int) { n++ },
	}
	for _, o := range []*conn.Observer{nil, {}, counting} {
		srv, cli := (mode{stream: overTCP}).pair(t, conn.Config{Observer: o}, conn.Config{})
		ctx, p, buf := t.Context(), make([]byte, 32), make([]byte, 0, 64)
		allocs := testing.AllocsPerRun(200, func() {
			if err := cli.Write(ctx, conn.Binary, p); err != nil {
				t.Fatal(err)
			}
			if _, _, err := srv.AppendRead(ctx, buf[:0]); err != nil {
				t.Fatal(err)
			}
			if err := srv.Write(ctx, conn.Binary, p); err != nil {
				t.Fatal(err)
			}
			if _, _, err := cli.AppendRead(ctx, buf[:0]); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("observer %v: %v allocations an echo", o, allocs)
		}
	}
	if n < 400 {
		t.Errorf("counted %d", n)
	}
}
