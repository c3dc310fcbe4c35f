package conn_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/conn"
)

// A parked call is one that waits for a peer which takes nothing and sends nothing.
type parked struct {
	name string
	call func(c *conn.Conn) error
}

// writes are parked behind a message of which the peer has taken only a part.
var writes = []parked{
	{"Write", func(c *conn.Conn) error { return c.Write(context.Background(), conn.Text, payload(100)) }},
	{"a long Write", func(c *conn.Conn) error { return c.Write(context.Background(), conn.Text, payload(1<<20)) }},
	{"WritePrepared", func(c *conn.Conn) error {
		p, err := conn.NewPrepared(conn.Message{Type: conn.Text, Data: payload(100)})
		if err != nil {
			return err
		}
		return c.WritePrepared(context.Background(), p)
	}},
	{"Writer", func(c *conn.Conn) error { _, err := c.Writer(context.Background(), conn.Text); return err }},
	{"Flush", func(c *conn.Conn) error { return c.Flush(context.Background()) }},
	{"Ping", func(c *conn.Conn) error { return c.Ping(context.Background()) }},
	{"NetConn's Write", func(c *conn.Conn) error {
		_, err := c.NetConn(context.Background(), conn.Binary).Write(payload(100))
		return err
	}},
	{"OnWritable", func(c *conn.Conn) error {
		called := make(chan error)
		c.OnWritable(func() { called <- net.ErrClosed })
		return <-called
	}},
}

// streams are parked in the middle of a message that they send themselves.
var streams = []parked{
	{"Write", func(c *conn.Conn) error { return c.Write(context.Background(), conn.Binary, payload(1<<20)) }},
	{"a Write of one frame", func(c *conn.Conn) error {
		for { // until the buffers are full
			if err := c.Write(context.Background(), conn.Binary, payload(60<<10)); err != nil {
				return err
			}
		}
	}},
	{"a stream's Write", func(c *conn.Conn) error {
		w, err := c.Writer(context.Background(), conn.Binary)
		if err != nil {
			return err
		}
		_, err = w.Write(payload(1 << 20))
		return errors.Join(err, w.Close())
	}},
	{"a stream's Close", func(c *conn.Conn) error {
		w, err := c.Writer(context.Background(), conn.Binary)
		if err != nil {
			return err
		}
		for { // the last piece waits in the stream's own buffer
			if _, err := w.Write(payload(100)); err != nil {
				return err
			}
			if c.Stats().Queued > 60<<10 {
				return w.Close()
			}
		}
	}},
	{"WritePrepared", func(c *conn.Conn) error {
		p, err := conn.NewPrepared(conn.Message{Type: conn.Binary, Data: payload(120 << 10)})
		if err != nil {
			return err
		}
		return c.WritePrepared(context.Background(), p)
	}},
}

// reads are parked because nothing comes, one at a time.
var reads = []parked{
	{"Read", func(c *conn.Conn) error { _, _, err := c.Read(context.Background()); return err }},
	{"Read, cancellable", func(c *conn.Conn) error {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		_, _, err := c.Read(ctx)
		return err
	}},
	{"Reader", func(c *conn.Conn) error { _, _, err := c.Reader(context.Background()); return err }},
	{"NetConn's Read", func(c *conn.Conn) error {
		_, err := c.NetConn(context.Background(), conn.Binary).Read(make([]byte, 10))
		if err == io.EOF {
			err = net.ErrClosed
		}
		return err
	}},
	{"CloseRead", func(c *conn.Conn) error {
		ctx := c.CloseRead(context.Background())
		<-ctx.Done()
		return context.Cause(ctx)
	}},
}

// endings are ways in which a connection is over while its peer is stuck.
var endings = map[string]func(c *conn.Conn, p *rawPeer, cancelParent func()){
	"CloseNow":             func(c *conn.Conn, _ *rawPeer, _ func()) { c.CloseNow() },
	"CloseCause":           func(c *conn.Conn, _ *rawPeer, _ func()) { c.CloseCause(4000, "", conn.ErrShutdown) },
	"CloseCause, unsaid":   func(c *conn.Conn, _ *rawPeer, _ func()) { c.CloseCause(0, "", conn.ErrShutdown) },
	"the parent's end":     func(_ *conn.Conn, _ *rawPeer, cancel func()) { cancel() },
	"the peer's close":     func(_ *conn.Conn, p *rawPeer, _ func()) { p.send(fin|closes, closing(4000, "")) },
	"the peer's violation": func(_ *conn.Conn, p *rawPeer, _ func()) { p.send(fin|3, "") },
	"Close": func(c *conn.Conn, _ *rawPeer, _ func()) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		c.Close(ctx, 1000, "")
	},
}

// Every call returns as soon as the connection is over, although the peer takes nothing and a close frame may still be on its
// way out to it.
func TestCallsEndWithConnection(t *testing.T) {
	for name, end := range endings {
		for _, stream := range streams {
			for _, read := range reads {
				t.Run(name+"/"+stream.name+"/"+read.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { testParked(t, stream, read, end) })
				})
			}
		}
	}
}

func testParked(t *testing.T, stream, read parked, end func(*conn.Conn, *rawPeer, func())) {
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, p := mode{stream: overMemory}.raw(t, conn.Config{Parent: parent, WriteQueue: 50})
	type answer struct {
		name string
		err  error
		at   time.Time
	}
	calls := append([]parked{stream, read}, writes...)
	answers := make(chan answer, len(calls))
	for _, k := range calls {
		go func() { answers <- answer{k.name, k.call(c), time.Now()} }()
		synctest.Wait() // the first one is sending before the others come
	}
	if n := len(answers); n != 0 {
		t.Fatalf("%d calls returned: %v", n, <-answers)
	}
	start := time.Now()
	end(c, p, cancel)
	for range calls {
		a := <-answers
		if took := a.at.Sub(start); took > 10*time.Millisecond || !errors.Is(a.err, net.ErrClosed) {
			t.Errorf("%s returned after %v: %v", a.name, took, a.err)
		}
	}
}

// A write that the connection's end has cut is finished behind its caller's back, so that the close frame can follow, to a peer
// that goes on reading in time.
func TestCutWriteIsFinished(t *testing.T) {
	for _, client := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := mode{stream: overMemory, client: client}
			if err := cutWrite(t, m, 500*time.Millisecond); err != nil {
				t.Errorf("%v: %v", m, err)
			}
		})
	}
	for _, s := range []stream{overTCP, overOwn, overUnix} {
		runOver(t, s, func(t *testing.T, m mode) {
			var err error
			for range 5 { // there is a second for it, which may not be enough on a busy machine
				if err = cutWrite(t, m, 0); err == nil {
					return
				}
			}
			t.Error(err)
		})
	}
}

// cutWrite ends a connection while a write is under way, and has the peer read everything after a while.
func cutWrite(t *testing.T, m mode, pause time.Duration) error {
	a, b := m.stream.ends(t)
	defer b.Close()
	c := conn.New(conn.NetTransport(a), conn.Config{Client: m.client})
	defer c.CloseNow()
	written := start(func() error { return c.Write(context.Background(), conn.Binary, make([]byte, 16<<20)) })
	for within := soon(t); c.Stats().Queued < 1; time.Sleep(time.Millisecond) { // until it is sending
		if within.Err() != nil {
			return within.Err()
		}
	}
	c.CloseCause(4000, "", conn.ErrShutdown)
	if err := result(t, written); !errors.Is(err, conn.ErrShutdown) {
		t.Errorf("Write: %v", err)
	}
	time.Sleep(pause)
	p := newRawPeer(t, b, !m.client)
	for {
		b0, data, err := p.next()
		switch {
		case err != nil:
			return err
		case b0 == fin|closes:
			if codeOf(data) != 4000 {
				t.Errorf("peer was told %d", codeOf(data))
			}
			return nil
		case b0&0xf != binry && b0 != cont:
			t.Errorf("peer got frame %#x of %d bytes", b0, len(data))
		}
	}
}

// TLS can't continue a write that was cut, so that one has the second that the close frame has.
func TestCallsEndWithConnectionOverTLS(t *testing.T) {
	stuck := stream{name: "tls-memory", ends: func(t testing.TB) (net.Conn, net.Conn) { return secured(t, overMemory) }}
	synctest.Test(t, func(t *testing.T) {
		c, _ := mode{stream: stuck}.raw(t, conn.Config{})
		written := start(func() error { return c.Write(context.Background(), conn.Binary, payload(1<<20)) })
		flushed := start(func() error { return c.Flush(context.Background()) })
		synctest.Wait()
		c.CloseCause(4000, "", conn.ErrShutdown)
		if took := elapsed(func() { result(t, flushed) }); took != 0 {
			t.Errorf("Flush took %v to notice", took)
		}
		if took := elapsed(func() { checkOver(t, c, result(t, written)) }); took != time.Second {
			t.Errorf("Write took %v to notice", took)
		}
	})
}

// Close keeps to its timeout also where the connection is over and lingers.
func TestCloseTimeoutWhileLingering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := mode{stream: overMemory}.raw(t, conn.Config{CloseTimeout: 100 * time.Millisecond})
		c.CloseCause(4000, "", conn.ErrShutdown)
		if took := elapsed(func() { c.Close(context.Background(), 1000, "") }); took != 100*time.Millisecond {
			t.Errorf("Close took %v", took)
		}
	})
}

// Writes that wait for room are told at once that there will be none: the close frame has been accepted.
func TestWritesEndWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, call := range writes {
			if call.name == "Flush" || call.name == "Ping" {
				continue // which go on until the connection is over
			}
			c, _ := mode{stream: overMemory}.raw(t, conn.Config{WriteQueue: 50})
			go c.Write(context.Background(), conn.Binary, payload(1<<20))
			synctest.Wait()
			waiting := start(func() error { return call.call(c) })
			synctest.Wait()
			go c.Close(context.Background(), 1000, "")
			if took := elapsed(func() {
				if err := result(t, waiting); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s: %v", call.name, err)
				}
			}); took != 0 {
				t.Errorf("%s returned after %v", call.name, took)
			}
			c.CloseNow()
		}
	})
}
