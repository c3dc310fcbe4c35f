package conn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/wstest"
)

// closeError returns the *CloseError in err.
func closeError(t testing.TB, err error) conn.CloseError {
	t.Helper()
	var ce *conn.CloseError
	if !errors.As(err, &ce) {
		t.Errorf("no CloseError: %v", err)
		return conn.CloseError{}
	}
	return *ce
}

// This side closes, the peer answers, and the server's side ends the stream first (RFC 6455 7.1.1).
func TestClose(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{})
		if err := c.Write(soon(t), conn.Text, []byte("last words")); err != nil {
			t.Fatal(err)
		}
		closed := start(func() error { return c.Close(soon(t), 1001, "bye") })
		p.want(fin|text, "last words")
		p.want(fin|closes, closing(1001, "bye"))
		p.send(fin|text, "crossed the close frame")
		p.send(fin|closes, closing(1000, "see you"))
		if !m.client {
			p.wantEnd()
		}
		p.nc.Close()
		if err := result(t, closed); err != nil {
			t.Error(err)
		}
		want := conn.CloseError{Code: 1000, Reason: "see you", Sent: 1001, SentFirst: true}
		if got := closeError(t, context.Cause(c.Context())); got != want {
			t.Errorf("%+v", got)
		}
		checkOver(t, c, context.Cause(c.Context()))
	})
}

// The peer closes: it is answered with its own code, and everybody here knows.
func TestPeerCloses(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for _, code := range []conn.StatusCode{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
			3000, 3999, 4000, 4999, conn.StatusNoStatus} {
			c, p := m.raw(t, conn.Config{})
			reason := strings.Repeat("é", int(code)%62)
			sent := closing(code, reason)
			if code == conn.StatusNoStatus {
				sent, reason = "", ""
			}
			p.send(fin|closes, sent)
			_, _, err := c.Read(soon(t))
			want := conn.CloseError{Code: code, Reason: reason, Sent: code}
			if got := closeError(t, err); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			answer := ""
			if code != conn.StatusNoStatus {
				answer = closing(code, "")
			}
			p.want(fin|closes, answer)
			if m.client {
				p.nc.Close() // a client waits for the server to do it
			} else {
				p.wantEnd()
			}
			if err := c.Close(soon(t), 1000, ""); err != nil {
				t.Errorf("Close behind the peer's: %v", err)
			}
		}
	})
}

// A peer that closes and is gone, so that it can't be answered, has closed all the same; and one that breaks a rule and is gone
// has broken it.
func TestPeerClosesAndIsGone(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for _, unread := range []bool{false, true} { // then TCP sends a reset
			for name, read := range readers {
				c, p := m.raw(t, conn.Config{})
				if unread {
					if err := c.Write(t.Context(), conn.Text, []byte("unread")); err != nil {
						t.Fatal(err)
					}
				}
				p.send(fin|closes, closing(1000, "bye"))
				p.nc.Close()
				_, _, err := read(soon(t), c)
				if name == "Messages" && err == io.EOF {
					err = context.Cause(c.Context())
				}
				if got, want := closeError(t, err), (conn.CloseError{Code: 1000, Reason: "bye", Sent: 1000}); got != want {
					t.Errorf("unread %v, %s: %+v", unread, name, got)
				}
				c, p = m.raw(t, conn.Config{})
				p.send(fin|3, "")
				p.nc.Close()
				var pe *conn.ProtocolError
				if _, _, err := read(soon(t), c); !errors.As(err, &pe) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	})
}

// A sequence of messages ends without an error when the connection was closed as planned, by whomever.
func TestMessagesEnd(t *testing.T) {
	for _, c := range []struct {
		name  string
		end   func(c *conn.Conn, p *rawPeer)
		clean bool
	}{
		{"1000", func(_ *conn.Conn, p *rawPeer) { p.send(fin|closes, closing(1000, "")) }, true},
		{"1001", func(_ *conn.Conn, p *rawPeer) { p.send(fin|closes, closing(1001, "")) }, true},
		{"no code", func(_ *conn.Conn, p *rawPeer) { p.send(fin|closes, "") }, true},
		{"1011", func(_ *conn.Conn, p *rawPeer) { p.send(fin|closes, closing(1011, "")) }, false},
		{"4000", func(_ *conn.Conn, p *rawPeer) { p.send(fin|closes, closing(4000, "")) }, false},
		{"no close frame", func(_ *conn.Conn, p *rawPeer) { p.nc.Close() }, false},
		{"protocol error", func(_ *conn.Conn, p *rawPeer) { p.send(fin|3, "") }, false},
		{"Close", func(c *conn.Conn, p *rawPeer) { go c.Close(context.Background(), 4000, "") }, true},
		{"Close, answered", func(c *conn.Conn, p *rawPeer) {
			go c.Close(context.Background(), 1011, "")
			p.want(fin|closes, closing(1011, ""))
			p.send(fin|closes, closing(1011, ""))
		}, true},
		{"CloseNow", func(c *conn.Conn, p *rawPeer) { c.CloseNow() }, true},
		{"shutdown", func(c *conn.Conn, p *rawPeer) { c.CloseCause(1001, "", conn.ErrShutdown) }, true},
		{"credential", func(c *conn.Conn, p *rawPeer) { c.CloseCause(3000, "", conn.ErrExpired) }, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			cn, p := mode{stream: overMemory}.raw(t, conn.Config{})
			p.send(fin|text, "one")
			got := start(func() string {
				var log string
				for m, err := range cn.Messages(context.Background()) {
					if log += string(m.Data); err != nil {
						log += ", " + err.Error()
					}
				}
				return log
			})
			synctest.Wait()
			c.end(cn, p)
			log := result(t, got)
			if clean := log == "one"; clean != c.clean || !strings.HasPrefix(log, "one") {
				t.Errorf("%s: %s", c.name, log)
			}
			if !c.clean && !strings.Contains(log, context.Cause(cn.Context()).Error()) {
				t.Errorf("%s: %s; but the cause is %v", c.name, log, context.Cause(cn.Context()))
			}
		})
	}
}

// Both close at once: both are content, and each says that it was first.
func TestCloseBothAtOnce(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for range 10 {
			c, peer := m.pair(t, conn.Config{}, conn.Config{})
			closed := start(func() error { return c.Close(soon(t), 4001, "") })
			if err := peer.Close(soon(t), 4002, ""); err != nil {
				t.Error(err)
			}
			if err := result(t, closed); err != nil {
				t.Error(err)
			}
			if ce := closeError(t, context.Cause(c.Context())); ce.Code != 4002 && ce.Code != 4001 {
				t.Errorf("%+v", ce)
			}
		}
		c, p := m.raw(t, conn.Config{})
		closed := start(func() error { return c.Close(soon(t), 4001, "") })
		p.send(fin|closes, closing(4002, "me too"))
		p.wantClosed2(t, m)
		if err := result(t, closed); err != nil {
			t.Error(err)
		}
	})
}

// wantClosed2 reads one close frame and the end, for which a client waits until the peer has begun it.
func (p *rawPeer) wantClosed2(t *testing.T, m mode) {
	t.Helper()
	if _, _, err := p.next(); err != nil {
		t.Error(err)
	}
	if m.client {
		p.nc.Close()
	} else {
		p.wantEnd()
	}
}

// elapsed returns how long f takes, in a bubble's time.
func elapsed(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

// A peer that doesn't answer holds Close up for CloseTimeout or as long as ctx allows; the connection is released in any case.
func TestCloseUnanswered(t *testing.T) {
	for _, c := range []struct {
		name    string
		timeout time.Duration // Config.CloseTimeout
		ctx     time.Duration
		want    time.Duration
		err     error
	}{
		{"by default", 0, time.Hour, 5 * time.Second, conn.ErrCloseTimeout},
		{"as configured", time.Minute, time.Hour, time.Minute, conn.ErrCloseTimeout},
		{"by ctx", time.Minute, time.Second, time.Second, context.DeadlineExceeded},
		{"no timeout but ctx's", -1, time.Minute, time.Minute, context.DeadlineExceeded},
	} {
		for _, reads := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				cn, p := mode{stream: overMemory}.raw(t, conn.Config{CloseTimeout: c.timeout, IdleTimeout: -1, PingInterval: -1})
				if reads {
					go cn.Read(context.Background())
				}
				flood := start(func() (err error) {
					for ; err == nil; time.Sleep(100 * time.Millisecond) {
						_, err = p.nc.Write(p.frame(fin|text, "ignored"))
					}
					return err
				})
				ctx, cancel := context.WithTimeout(t.Context(), c.ctx)
				defer cancel()
				var err error
				took := elapsed(func() { err = cn.Close(ctx, 1000, "") })
				ce := closeError(t, err)
				if took != c.want || !errors.Is(err, c.err) || ce.Code != conn.StatusAbnormal || ce.Sent != 1000 || !ce.SentFirst {
					t.Errorf("%s: %v, %v", c.name, took, err)
				}
				p.want(fin|closes, closing(1000, ""))
				p.wantEnd()
				checkOver(t, cn, err)
				<-flood
			})
		}
	}
}

// A peer that sends as fast as it can is no reason to wait longer.
func TestCloseFlooded(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{CloseTimeout: 50 * time.Millisecond})
		flooded := start(func() error {
			flood := p.frame(fin|binry, string(payload(10_000)))
			for {
				if _, err := p.nc.Write(flood); err != nil {
					return err
				}
			}
		})
		begun := time.Now()
		if err := c.Close(soon(t), 1000, ""); !errors.Is(err, conn.ErrCloseTimeout) {
			t.Error(err)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("Close took %v", took)
		}
		if err := result(t, flooded); !isEnd(err) {
			t.Error(err)
		}
	})
}

// With a context that is over Close doesn't wait for anything, and yet the peer gets the close frame if there is room for it.
func TestCloseAtOnce(t *testing.T) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	run(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{})
		err := c.Close(over, 1001, "bye")
		if ce := closeError(t, err); ce.Sent != 1001 || !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if c.Context().Err() == nil {
			t.Error("the connection goes on")
		}
		p.want(fin|closes, closing(1001, "bye"))
		p.wantEnd()
	})
}

func TestCloseCodes(t *testing.T) {
	m := mode{stream: overMemory}
	for _, code := range []conn.StatusCode{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535} {
		c, p := m.raw(t, conn.Config{})
		p.send(fin|closes, closing(1000, ""))
		err := c.Close(soon(t), code, "secret")
		if want := fmt.Sprintf("ws: close: code %d may not be sent (RFC 6455 7.4)", code); err == nil || err.Error() != want {
			t.Errorf("%d: %v", code, err)
		}
		p.want(fin|closes, closing(conn.StatusInternalError, ""))
		p.wantEnd()
		if err := c.Close(soon(t), code, ""); err == nil {
			t.Errorf("%d, again: no error", code)
		}
	}
	for _, code := range []conn.StatusCode{1004, 1006, 1015, 65535} {
		c, p := m.raw(t, conn.Config{})
		c.CloseCause(code, "secret", conn.ErrShutdown)
		p.want(fin|closes, closing(conn.StatusInternalError, ""))
	}
}

func TestCloseReasons(t *testing.T) {
	for _, c := range []struct{ reason, want string }{
		{strings.Repeat("x", 123), strings.Repeat("x", 123)},
		{strings.Repeat("x", 124), strings.Repeat("x", 123)},
		{strings.Repeat("é", 100), strings.Repeat("é", 61)},
		{"a\xffb", "a\uFFFDb"},
		{strings.Repeat("\xff", 1), "\uFFFD"},
	} {
		cn, p := mode{stream: overMemory}.raw(t, conn.Config{})
		p.send(fin|closes, closing(1000, ""))
		if err := cn.Close(soon(t), 4000, c.reason); err != nil {
			t.Error(err)
		}
		p.want(fin|closes, closing(4000, c.want))
	}
}

// Close is idempotent, from any number of goroutines.
func TestCloseOften(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, peer := m.pair(t, conn.Config{}, conn.Config{})
		peer.CloseRead(t.Context())
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := c.Close(soon(t), 1000, ""); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := c.CloseNow(); err != nil {
			t.Error(err)
		}
		if ce := closeError(t, context.Cause(c.Context())); ce.Code != 1000 || !ce.SentFirst {
			t.Errorf("%+v", ce)
		}
	})
}

func TestCloseNow(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{})
		reading := start(func() error { _, _, err := c.Read(context.Background()); return err })
		if err := c.CloseNow(); err != nil {
			t.Error(err)
		}
		p.wantEnd()
		err := result(t, reading)
		if !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		checkOver(t, c, err)
		if err := c.Close(soon(t), 1000, ""); err != nil {
			t.Errorf("Close behind CloseNow: %v", err)
		}
	})
}

// Everything that was accepted goes out in front of the close frame, and nothing behind it.
func TestCloseSendsAll(t *testing.T) {
	runAll(t, func(t *testing.T, m mode) {
		c, peer := m.pair(t, conn.Config{}, conn.Config{})
		const n = 100
		got := start(func() int {
			count := 0
			for m, err := range peer.Messages(soon(t)) {
				if err != nil || len(m.Data) != 1000 {
					t.Errorf("%d bytes, %v", len(m.Data), err)
				}
				count++
			}
			return count
		})
		for range n {
			if err := c.Write(soon(t), conn.Text, payload(1000)); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Close(soon(t), 1000, ""); err != nil {
			t.Error(err)
		}
		if count := result(t, got); count != n {
			t.Errorf("%d of %d messages", count, n)
		}
	})
}

// Between the close frame and the end nothing more is accepted.
func TestWriteWhileClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := mode{stream: overMemory}.raw(t, conn.Config{})
		closed := start(func() error { return c.Close(t.Context(), 1000, "") })
		synctest.Wait()
		prepared, _ := conn.NewPrepared(conn.Message{Type: conn.Text})
		_, errTry := c.TryWrite(prepared)
		_, errWriter := c.Writer(t.Context(), conn.Text)
		errPing := c.Ping(t.Context())
		for _, err := range []error{c.Write(t.Context(), conn.Text, nil), c.Write(t.Context(), conn.Text, payload(300_000)), errTry, errWriter, errPing} {
			if want := "ws: connection closed: the close frame has been sent"; !errors.Is(err, net.ErrClosed) || err.Error() != want {
				t.Error(err)
			}
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Errorf("Flush: %v", err)
		}
		p.want(fin|closes, closing(1000, ""))
		p.send(fin|ping, "no pong for this")
		p.send(fin|closes, "")
		p.wantEnd()
		if err := result(t, closed); err != nil {
			t.Error(err)
		}
	})
}

// Close may be called in the middle of anything.
func TestCloseInTheMiddle(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T, c *conn.Conn, p *rawPeer){
		"of a loop": func(t *testing.T, c *conn.Conn, p *rawPeer) {
			p.send(fin|text, "one")
			p.send(fin|text, "two")
			for m, err := range c.Messages(t.Context()) {
				if err != nil || string(m.Data) != "one" {
					t.Errorf("%q, %v", m.Data, err)
				}
				if err := c.Close(soon(t), 1000, ""); err != nil {
					t.Error(err)
				}
			}
		},
		"of a stream to read": func(t *testing.T, c *conn.Conn, p *rawPeer) {
			p.send(text, "begin")
			if _, _, err := c.Reader(t.Context()); err != nil {
				t.Error(err)
			}
			p.send(fin|cont, "end")
		},
		"of a stream to write": func(t *testing.T, c *conn.Conn, p *rawPeer) {
			w, err := c.Writer(t.Context(), conn.Text)
			if err != nil {
				t.Fatal(err)
			}
			w.Write(payload(100))
			c.Context()
			context.AfterFunc(c.Context(), func() {
				if err := w.Close(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the stream's Close: %v", err)
				}
			})
		},
		"of a read": func(t *testing.T, c *conn.Conn, p *rawPeer) {
			got := start(func() error { _, _, err := c.Read(context.Background()); return err })
			context.AfterFunc(c.Context(), func() {
				if err := result(t, got); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Read: %v", err)
				}
			})
		},
		"of a read that was given up": func(t *testing.T, c *conn.Conn, p *rawPeer) {
			p.write(p.frame(fin|text, "begin")[:6])
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, _, err := c.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			p.write(p.frame(fin|text, "begin")[6:])
		},
		"of everything else": func(t *testing.T, c *conn.Conn, p *rawPeer) {
			ctx := c.CloseRead(t.Context())
			context.AfterFunc(ctx, func() {
				if err := context.Cause(ctx); !errors.Is(err, net.ErrClosed) {
					t.Errorf("CloseRead: %v", err)
				}
			})
		},
	} {
		for _, m := range []mode{{stream: overMemory}, {stream: overMemory, client: true}} {
			synctest.Test(t, func(t *testing.T) {
				c, p := m.raw(t, conn.Config{})
				answered := start(func() error {
					for {
						b0, _, err := p.next()
						if b0 == fin|closes {
							p.send(fin|closes, closing(1000, ""))
							p.nc.Close()
						}
						if err != nil || b0 == fin|closes {
							return err
						}
					}
				})
				begin(t, c, p)
				if err := c.Close(t.Context(), 1000, ""); err != nil {
					t.Errorf("in the middle %s, %v: %v", name, m, err)
				}
				if err := result(t, answered); err != nil {
					t.Errorf("in the middle %s, %v: %v", name, m, err)
				}
				synctest.Wait()
			})
		}
	}
}

// Codes of failures reach a peer over TCP that goes on sending, and reads only later: what it has sent is drained for a while
// before the socket is closed, for else a reset would take the code away.
func TestFailureReachesBusyPeer(t *testing.T) {
	for _, s := range []stream{overTCP, overOwn, overTLS, overUnix} {
		runOver(t, s, func(t *testing.T, m mode) {
			for _, c := range []struct {
				code conn.StatusCode
				bad  func(p *rawPeer) []byte
			}{
				{1002, func(p *rawPeer) []byte { return p.frame(fin|3, "") }},
				{1007, func(p *rawPeer) []byte { return p.frame(fin|text, "\xff") }},
				{1009, func(p *rawPeer) []byte { return p.header(fin|binry, 100_000_000) }},
			} {
				cn, p := m.raw(t, conn.Config{})
				p.write(append(c.bad(p), make([]byte, 200_000)...))
				if _, _, err := cn.Read(soon(t)); !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				b0, data, err := p.next()
				if b0 != fin|closes || codeOf(data) != c.code || err != nil {
					t.Errorf("peer got %#x %d, %v; want %d", b0, codeOf(data), err, c.code)
				}
				p.nc.Close()
			}
		})
	}
}

// After a failure the connection is held open for the peer's sake only so long, and for so many bytes.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, m := range []mode{{stream: overMemory}, {stream: overMemory, client: true}} {
			c, p := m.raw(t, conn.Config{})
			p.send(fin|3, "")
			if took := elapsed(func() {
				if _, _, err := c.Read(t.Context()); !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			}); took != 0 {
				t.Errorf("Read took %v", took)
			}
			if took := elapsed(func() { p.wantClosed(1002) }); took != 0 {
				t.Errorf("the end was in sight after %v", took)
			}
			if took := elapsed(func() { c.Close(t.Context(), 1000, "") }); took != time.Second {
				t.Errorf("released after %v", took)
			}
			c, p = m.raw(t, conn.Config{})
			p.send(fin|3, "")
			c.Read(t.Context())
			sent := 0
			if took := elapsed(func() {
				for err := error(nil); err == nil && sent < 1<<20; sent += 1000 {
					_, err = p.nc.Write(payload(1000))
				}
			}); took != 0 || sent < 256<<10 || sent > 256<<10+64<<10+2000 {
				t.Errorf("%d bytes were taken within %v", sent, took)
			}
		}
	})
}

// The parent's end is the connection's, with the parent's cause; also when it comes before everything else.
func TestParent(t *testing.T) {
	mine := errors.New("mine")
	run(t, func(t *testing.T, m mode) {
		for _, early := range []bool{true, false} {
			parent, cancel := context.WithCancelCause(context.Background())
			if early {
				cancel(mine)
			}
			c, p := m.raw(t, conn.Config{Parent: parent})
			cancel(mine)
			for name, read := range readers {
				for _, ctx := range []context.Context{soon(t), c.Context(), parent} {
					if _, _, err := read(ctx, c); !errors.Is(err, mine) || !errors.Is(err, net.ErrClosed) {
						t.Errorf("%s: %v", name, err)
					}
					if err := c.Write(ctx, conn.Text, nil); !errors.Is(err, mine) || !errors.Is(err, net.ErrClosed) {
						t.Errorf("Write: %v", err)
					}
				}
			}
			if err := context.Cause(c.Context()); err != mine {
				t.Error(err)
			}
			p.wantEnd()
		}
	})
}

// The values of the parent are the connection's.
func TestParentValues(t *testing.T) {
	type key struct{}
	c, _ := mode{stream: overMemory}.raw(t, conn.Config{Parent: context.WithValue(t.Context(), key{}, "value")})
	if v := c.Context().Value(key{}); v != "value" {
		t.Error(v)
	}
}

// CloseCause tells the peer, and doesn't wait for it.
func TestCloseCause(t *testing.T) {
	mine := errors.New("mine")
	synctest.Test(t, func(t *testing.T) {
		for _, cause := range []error{mine, conn.ErrShutdown} {
			c, p := mode{stream: overMemory}.raw(t, conn.Config{})
			reading := start(func() error { _, _, err := c.Read(context.Background()); return err })
			if took := elapsed(func() { c.CloseCause(4000, "be\xffcause", cause) }); took != 0 {
				t.Errorf("took %v", took)
			}
			err := result(t, reading)
			if !errors.Is(err, cause) {
				t.Error(err)
			}
			checkOver(t, c, err)
			p.want(fin|closes, closing(4000, "be\uFFFDcause"))
			c.CloseCause(4001, "", io.EOF) // too late
			checkOver(t, c, err)
			p.wantEnd()

			c, p = mode{stream: overMemory}.raw(t, conn.Config{})
			c.CloseCause(0, "unsaid", cause)
			p.wantEnd()
			if err := c.Write(t.Context(), conn.Text, nil); !errors.Is(err, cause) {
				t.Error(err)
			}
		}
	})
}

// A Read returns as soon as the connection is over, although the close frame can't go out.
func TestCloseCauseStuckPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := mode{stream: overMemory}.raw(t, conn.Config{})
		reading := start(func() error { _, _, err := c.Read(c.Context()); return err })
		writing := start(func() error { return c.Write(context.Background(), conn.Binary, payload(1<<20)) })
		synctest.Wait()
		c.CloseCause(4000, "", conn.ErrShutdown)
		if took := elapsed(func() { checkOver(t, c, result(t, reading)) }); took != 0 {
			t.Errorf("Read took %v to notice", took)
		}
		if err := result(t, writing); !errors.Is(err, conn.ErrShutdown) {
			t.Error(err)
		}
	})
}

// CloseRead answers pings, notices the end, and takes no message.
func TestCloseRead(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{})
		given, cancel := context.WithCancel(t.Context())
		ctx, other := c.CloseRead(t.Context()), c.CloseRead(given)
		p.send(fin|ping, "still there?")
		p.want(fin|pong, "still there?")
		if err := c.Write(soon(t), conn.Text, []byte("only writing")); err != nil {
			t.Error(err)
		}
		p.want(fin|text, "only writing")
		for name, read := range readers {
			if _, _, err := read(soon(t), c); err == nil || err.Error() != "ws: read: the connection is only written to (CloseRead)" {
				t.Errorf("%s: %v", name, err)
			}
		}
		cancel()
		<-other.Done()
		if err := context.Cause(other); err != context.Canceled || ctx.Err() != nil {
			t.Errorf("the given context's end: %v; the other's: %v", err, ctx.Err())
		}
		p.send(text, "mis")
		p.wantClosed(conn.StatusPolicyViolation)
		<-ctx.Done()
		if err := context.Cause(ctx); err != conn.ErrUnexpectedMessage {
			t.Error(err)
		}
		checkOver(t, c, conn.ErrUnexpectedMessage)

		c, p = m.raw(t, conn.Config{})
		ctx = c.CloseRead(t.Context())
		p.send(fin|closes, closing(4000, ""))
		<-ctx.Done()
		if ce := closeError(t, context.Cause(ctx)); ce.Code != 4000 {
			t.Errorf("%+v", ce)
		}
	})
}

// A peer that takes nothing any more can't hold up Close, CloseNow or a Write that is given up, although closing TLS wants to
// write.
func TestCloseStuckPeer(t *testing.T) {
	stuck := stream{name: "tls-memory", ends: func(t testing.TB) (net.Conn, net.Conn) { return secured(t, overMemory) }}
	for _, m := range []mode{{stream: overMemory}, {stream: stuck}, {stream: stuck, client: true}} {
		for name, end := range map[string]func(c *conn.Conn) error{
			"CloseNow": func(c *conn.Conn) error { return c.CloseNow() },
			"Close": func(c *conn.Conn) error {
				ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
				defer cancel()
				_ = c.Close(ctx, 1000, "")
				return nil
			},
			"CloseCause": func(c *conn.Conn) error {
				c.CloseCause(0, "", conn.ErrExpired)
				return nil
			},
		} {
			synctest.Test(t, func(t *testing.T) {
				c, _ := m.raw(t, conn.Config{})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if took := elapsed(func() {
					if err := c.Write(ctx, conn.Binary, payload(1<<20)); err == nil {
						t.Error("there was room for all")
					}
				}); took != time.Second {
					t.Errorf("%v: Write was given up after %v", m, took)
				}
				if took := elapsed(func() {
					if err := end(c); err != nil {
						t.Error(err)
					}
				}); took > 20*time.Millisecond {
					t.Errorf("%v: %s took %v", m, name, took)
				}
			})
		}
	}
}

// OnClosed calls everything once, in order, when the cause is known; also what comes too late.
func TestOnClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := wstest.Pipe()
		c := conn.New(conn.NetTransport(a), conn.Config{})
		var called []string
		add := func(name string) {
			c.OnClosed(func() {
				if c.Context().Err() == nil || context.Cause(c.Context()) == nil {
					t.Errorf("%s: the connection isn't over", name)
				}
				called = append(called, name)
			})
		}
		add("first")
		add("second")
		synctest.Wait()
		if len(called) > 0 {
			t.Fatalf("%q were called before the end", called)
		}
		_ = c.CloseNow()
		synctest.Wait()
		add("late")
		synctest.Wait()
		_ = c.CloseNow()
		synctest.Wait()
		if want := []string{"first", "second", "late"}; !slices.Equal(called, want) {
			t.Errorf("%q were called, want %q", called, want)
		}
	})
}

// Whoever is told of the end finds it everywhere: the context has ended too, and nothing is accepted any more.
func TestEndIsOne(t *testing.T) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for range 3000 {
		c, _ := mode{stream: overMemory}.raw(t, conn.Config{})
		told := start(func() (err error) {
			for !errors.Is(err, net.ErrClosed) {
				_, _, err = c.Read(over)
			}
			if context.Cause(c.Context()) == nil {
				return errors.New("a read has failed for good, and the context goes on")
			}
			if err := c.Write(context.Background(), conn.Text, nil); !errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("a read has failed for good, and a write has not: %w", err)
			}
			return nil
		})
		c.CloseCause(4000, "", net.ErrClosed)
		if err := result(t, told); err != nil {
			t.Fatal(err)
		}
		c.CloseNow()
	}
}
