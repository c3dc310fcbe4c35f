package conn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/internal/leaktest"
)

// handler is conn.Events made of functions. It checks that messages come one at a time, and that the end comes once.
type handler struct {
	t       *testing.T
	message func(m conn.Message) error
	ended   chan error
	busy    atomic.Int32
}

func newHandler(t *testing.T, message func(m conn.Message) error) *handler {
	return &handler{t: t, message: message, ended: make(chan error, 1)}
}

func (h *handler) Message(m conn.Message) error {
	if h.busy.Add(1) != 1 {
		h.t.Error("a message came while another one was being handled, or after the end")
	}
	defer h.busy.Add(-1)
	return h.message(m)
}

func (h *handler) Ended(err error) {
	if h.busy.Add(1) != 1 {
		h.t.Error("the end came while a message was being handled, or twice")
	}
	h.ended <- err
}

// echoer echoes.
func echoer(t *testing.T, c *conn.Conn) *handler {
	return newHandler(t, func(m conn.Message) error { return c.Write(context.Background(), m.Type, m.Data) })
}

// Messages of every size come to an engine's handler, and what it answers goes out.
func TestEngine(t *testing.T) {
	runAll(t, func(t *testing.T, m mode) {
		var e conn.Engine
		c, peer := m.pair(t, conn.Config{}, conn.Config{})
		h := echoer(t, c)
		e.Run(c, h)
		ctx := soon(t)
		sent := start(func() error {
			for i, n := range sizes {
				if err := peer.Write(ctx, conn.Text+conn.MessageType(i%2), payload(n)); err != nil {
					return err
				}
			}
			return nil
		})
		for i, n := range sizes {
			if typ, b, err := peer.Read(ctx); typ != conn.Text+conn.MessageType(i%2) || !bytes.Equal(b, payload(n)) || err != nil {
				t.Fatalf("%d bytes: %v of %d, %v", n, typ, len(b), err)
			}
		}
		if err := errors.Join(result(t, sent), peer.Close(ctx, 1000, "")); err != nil {
			t.Error(err)
		}
		if err := result(t, h.ended); err != nil {
			t.Error(err)
		}
	})
}

// What an engine's handler is told in the end.
func TestEngineEnds(t *testing.T) {
	mine := errors.New("mine")
	run(t, func(t *testing.T, m mode) {
		for _, e := range []struct {
			name string
			end  func(c *conn.Conn, p *rawPeer)
			want error // nil: a clean end
		}{
			{"1000", func(c *conn.Conn, p *rawPeer) { p.send(fin|closes, closing(1000, "")) }, nil},
			{"1000, and the end", func(c *conn.Conn, p *rawPeer) { p.send(fin|closes, closing(1000, "")); p.nc.Close() }, nil},
			{"4000", func(c *conn.Conn, p *rawPeer) { p.send(fin|closes, closing(4000, "")) }, net.ErrClosed},
			{"nothing", func(c *conn.Conn, p *rawPeer) { p.nc.Close() }, io.ErrUnexpectedEOF},
			{"half a message", func(c *conn.Conn, p *rawPeer) { p.send(text, "half"); p.nc.Close() }, io.ErrUnexpectedEOF},
			{"protocol error", func(c *conn.Conn, p *rawPeer) { p.send(fin|3, "") }, net.ErrClosed},
			{"handler's error", func(c *conn.Conn, p *rawPeer) { p.send(fin|text, "mine") }, mine},
			{"CloseNow", func(c *conn.Conn, p *rawPeer) { c.CloseNow() }, nil},
			{"Close", func(c *conn.Conn, p *rawPeer) {
				closed := start(func() error { return c.Close(context.Background(), 1000, "") })
				p.want(fin|closes, closing(1000, ""))
				p.send(fin|closes, closing(1000, ""))
				p.nc.Close()
				if err := result(t, closed); err != nil {
					t.Error(err)
				}
			}, nil},
			{"expired", func(c *conn.Conn, p *rawPeer) { c.CloseCause(3000, "", conn.ErrExpired) }, conn.ErrExpired},
		} {
			for _, early := range []bool{false, true} {
				var engine conn.Engine
				c, p := m.raw(t, conn.Config{})
				var got []string
				h := newHandler(t, func(m conn.Message) error {
					if got = append(got, string(m.Data)); string(m.Data) == "mine" {
						return mine
					}
					return nil
				})
				if !early {
					engine.Run(c, h)
				}
				p.write(append(p.frame(fin|text, "one"), p.frame(fin|text, "two")...))
				if !early {
					p.send(fin|ping, "!")
					p.want(fin|pong, "!") // both have been read
				}
				e.end(c, p)
				if early {
					engine.Run(c, h)
				}
				if err := result(t, h.ended); !errors.Is(err, e.want) || (err == nil) != (e.want == nil) {
					t.Errorf("%s, early %v: %v", e.name, early, err)
				}
				if s := fmt.Sprint(got); s != "[one two]" && s != "[one two mine]" && !early {
					t.Errorf("%s: %s", e.name, s)
				}
				c.CloseNow()
			}
		}
	})
}

// A handler may read more of its connection's messages itself, in every way, and may close it.
func TestEngineHandlerReads(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for name, read := range readers {
			var e conn.Engine
			c, p := m.raw(t, conn.Config{})
			var got []string
			h := newHandler(t, func(m conn.Message) error {
				got = append(got, string(m.Data))
				if string(m.Data) == "three" {
					return c.Close(context.Background(), 4000, "")
				}
				_, b, err := read(context.Background(), c)
				got = append(got, string(b), string(m.Data))
				return err
			})
			e.Run(c, h)
			p.write(append(p.frame(fin|text, "one"), p.frame(text, "t")...))
			p.send(fin|ping, "!")
			p.want(fin|pong, "!")
			p.write(append(p.frame(fin|cont, "wo"), p.frame(fin|text, "three")...))
			p.want(fin|closes, closing(4000, ""))
			p.send(fin|closes, closing(4000, ""))
			p.nc.Close()
			if err := result(t, h.ended); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if s := fmt.Sprint(got); s != "[one two one three]" {
				t.Errorf("%s: %s", name, s)
			}
		}
	})
}

// Handlers that block, and peers that flood, don't hold up other connections of the same engine.
func TestEngineIsFair(t *testing.T) {
	for _, s := range []stream{overTCP, overOwn} {
		var e conn.Engine
		release := make(chan struct{})
		for i := range 4 * runtime.GOMAXPROCS(0) {
			c, p := mode{stream: s}.raw(t, conn.Config{})
			h := newHandler(t, func(m conn.Message) error {
				if string(m.Data) == "block" {
					<-release
				}
				return nil
			})
			e.Run(c, h)
			if i%2 == 0 {
				p.send(fin|text, "block")
				defer c.CloseNow()
				continue
			}
			start(func() error {
				flood := bytes.Repeat(p.frame(fin|text, "again"), 100)
				for {
					if _, err := p.nc.Write(flood); err != nil {
						return err
					}
				}
			})
			context.AfterFunc(t.Context(), func() { c.CloseNow() })
		}
		c, peer := mode{stream: s}.pair(t, conn.Config{}, conn.Config{})
		h := echoer(t, c)
		e.Run(c, h)
		for range 20 {
			if err := peer.Write(soon(t), conn.Text, []byte("quiet")); err != nil {
				t.Fatal(err)
			}
			if _, b, err := peer.Read(soon(t)); string(b) != "quiet" || err != nil {
				t.Fatal(string(b), err)
			}
		}
		close(release)
	}
}

// Hundreds of connections that wait need a handful of goroutines; and when they have ended, none. The engine can be used again.
func TestEngineGoroutines(t *testing.T) {
	for _, s := range []stream{overTCP, overOwn, overTLS} {
		t.Run(s.name, func(t *testing.T) { testGoroutines(t, s) })
	}
}

func testGoroutines(t *testing.T, s stream) {
	const n = 300
	var e conn.Engine
	var k conn.Keeper
	before := runtime.NumGoroutine()
	for range 2 {
		var peers []*rawPeer
		var handlers []*handler
		for range n {
			c, p := mode{stream: s}.raw(t, conn.Config{Keeper: &k})
			h := echoer(t, c)
			e.Run(c, h)
			peers, handlers = append(peers, p), append(handlers, h)
		}
		for _, p := range peers {
			p.send(fin|text, "hello")
		}
		for _, p := range peers {
			p.want(fin|text, "hello")
		}
		if left := leaktest.Left(before + n/4); left > 0 && conn.Polls() {
			t.Errorf("%d goroutines too many for %d connections", left, n)
		}
		for _, p := range peers { // once they wait without
			p.send(fin|text, "again")
			p.want(fin|text, "again")
		}
		for _, p := range peers {
			p.nc.Close()
		}
		for _, h := range handlers {
			if err := result(t, h.ended); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Error(err)
			}
		}
		if left := leaktest.Left(before); left > 0 {
			t.Errorf("%d goroutines left", left)
		}
	}
}

// A connection that has been quiet for so long that an engine waits for it elsewhere is what it was: it has messages,
// ends, and reads of the handler's, which are as long as their contexts.
func TestEngineQuiet(t *testing.T) {
	const long = 400 * time.Millisecond // more than what an engine's goroutine waits
	type end struct {
		c   *conn.Conn
		p   *rawPeer
		h   *handler
		end func(c *conn.Conn, p *rawPeer)
	}
	var e conn.Engine
	var ends []end
	for _, m := range []mode{{stream: overOwn}, {stream: overTLS}, {stream: overTLS, client: true}} {
		for _, f := range []func(c *conn.Conn, p *rawPeer){
			func(c *conn.Conn, p *rawPeer) { p.send(fin|closes, closing(1000, "")) },
			func(c *conn.Conn, p *rawPeer) { p.nc.Close() },
			func(c *conn.Conn, p *rawPeer) { c.CloseNow() },
			func(c *conn.Conn, p *rawPeer) { c.CloseCause(1001, "", conn.ErrShutdown) },
		} {
			c, p := m.raw(t, conn.Config{})
			h := newHandler(t, func(m conn.Message) error {
				ctx, cancel := context.WithTimeout(t.Context(), long)
				defer cancel()
				switch string(m.Data) {
				case "give up":
					begun := time.Now()
					if _, _, err := c.Read(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
						t.Error(err)
					}
					if took := time.Since(begun); took < long {
						t.Errorf("given up after %v", took)
					}
				case "read":
					if _, b, err := c.Read(t.Context()); string(b) != "late" || err != nil {
						t.Errorf("%q %v", b, err)
					}
				}
				return c.Write(t.Context(), m.Type, m.Data)
			})
			e.Run(c, h)
			ends = append(ends, end{c, p, h, f})
		}
	}
	for _, s := range []string{"one", "two", "give up", "three", "read", "late"} {
		time.Sleep(long)
		for _, e := range ends {
			e.p.send(fin|text, s)
		}
		for _, e := range ends {
			switch s {
			case "read":
			case "late":
				e.p.want(fin|text, "read")
			default:
				e.p.want(fin|text, s)
			}
		}
	}
	time.Sleep(long)
	for _, e := range ends {
		e.end(e.c, e.p)
		result(t, e.h.ended)
	}
}

// Keepalive and the other timeouts are the same over an engine: with goroutines, in a bubble's time ...
func TestEngineTimeouts(t *testing.T) {
	both(t, func(t *testing.T, m mode) {
		var e conn.Engine
		for want, in := range map[error]func(p *rawPeer){
			conn.ErrPongTimeout:    func(p *rawPeer) {},
			conn.ErrMessageTimeout: func(p *rawPeer) { p.send(text, "slow") },
		} {
			c, p := m.raw(t, conn.Config{MessageTimeout: 20 * time.Second})
			h := newHandler(t, func(m conn.Message) error {
				time.Sleep(time.Hour) // a busy handler is no reason to end
				return nil
			})
			e.Run(c, h)
			p.send(fin|text, "work")
			in(p)
			if err := <-h.ended; err != want {
				t.Errorf("%v, want %v", err, want)
			}
			synctest.Wait()
		}
	})
}

// ... and with epoll, which has none.
func TestEngineTimeoutsOnSockets(t *testing.T) {
	runOver(t, overTCP, func(t *testing.T, m mode) {
		var e conn.Engine
		for want, cfg := range map[error]conn.Config{
			conn.ErrIdle:           {IdleTimeout: 20 * time.Millisecond},
			conn.ErrPongTimeout:    {PingInterval: 20 * time.Millisecond, PongTimeout: 20 * time.Millisecond},
			conn.ErrMessageTimeout: {MessageTimeout: 20 * time.Millisecond},
		} {
			c, p := m.raw(t, cfg)
			h := newHandler(t, func(m conn.Message) error { return nil })
			e.Run(c, h)
			p.send(text, "begun")
			if err := result(t, h.ended); err != want {
				t.Errorf("%v, want %v", err, want)
			}
		}
	})
}

// A message that comes byte by byte, with pings in between, is one message.
func TestEngineDribble(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		var e conn.Engine
		c, p := m.raw(t, conn.Config{})
		bytes, want := conversation(p)
		var got []string
		h := newHandler(t, func(m conn.Message) error {
			got = append(got, string(m.Data))
			return nil
		})
		e.Run(c, h)
		go io.Copy(io.Discard, p.nc)
		for len(bytes) > 0 {
			n := 1
			if len(bytes) < 20_000 {
				n = min(len(bytes), 3000)
			}
			p.write(bytes[:n])
			bytes = bytes[n:]
		}
		p.send(fin|closes, "")
		if err := result(t, h.ended); err != nil {
			t.Error(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d messages, want %d", len(got), len(want))
		}
	})
}

// A connection may be read and written before it is handed over, and while it is.
func TestEngineTakesOver(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		var e conn.Engine
		c, p := m.raw(t, conn.Config{})
		reading := start(func() string { _, b, err := c.Read(t.Context()); return fmt.Sprint(string(b), err) })
		for !c.Listening() {
			runtime.Gosched()
		}
		h := echoer(t, c)
		e.Run(c, h)
		p.send(fin|text, "first")
		if s := result(t, reading); s != "first<nil>" {
			t.Error(s)
		}
		p.send(fin|text, "second")
		p.want(fin|text, "second")
		c.CloseNow()
		result(t, h.ended)
	})
}
