package conn_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/tidewire/ws/conn"
)

// broken are frames that end a connection, what the peer is told, and what this side's error says.
var broken = []struct {
	name    string
	b0      byte
	payload string
	code    conn.StatusCode
	text    string
}{
	{"reserved bit", fin | rsv1 | text, "x", 1002, "reserved bit set without an extension that defines it (RFC 6455 5.2)"},
	{"reserved opcode", fin | 3, "", 1002, "reserved opcode (RFC 6455 5.2)"},
	{"reserved control opcode", fin | 11, "", 1002, "reserved opcode (RFC 6455 5.2)"},
	{"continuation of nothing", fin | cont, "x", 1002, "continuation frame without a message (RFC 6455 5.4)"},
	{"fragmented ping", ping, "x", 1002, "fragmented control frame (RFC 6455 5.5)"},
	{"long ping", fin | ping, strings.Repeat("x", 126), 1002, "control frame with more than 125 bytes (RFC 6455 5.5)"},
	{"close of one byte", fin | closes, "x", 1002, "close frame with a payload of one byte (RFC 6455 5.5.1)"},
	{"close with 999", fin | closes, closing(999, ""), 1002, "close code that must not be sent (RFC 6455 7.4)"},
	{"close with 1005", fin | closes, closing(1005, ""), 1002, "close code that must not be sent (RFC 6455 7.4)"},
	{"close with 1006", fin | closes, closing(1006, ""), 1002, "close code that must not be sent (RFC 6455 7.4)"},
	{"close with 1015", fin | closes, closing(1015, ""), 1002, "close code that must not be sent (RFC 6455 7.4)"},
	{"close with 5000", fin | closes, closing(5000, ""), 1002, "close code that must not be sent (RFC 6455 7.4)"},
	{"close with a broken reason", fin | closes, closing(1000, "\xff"), 1007, "close reason is not UTF-8 (RFC 6455 8.1)"},
	{"text that isn't UTF-8", fin | text, "\xff", 1007, "text message is not UTF-8 (RFC 6455 8.1)"},
	{"text that ends early", fin | text, "\xe2\x82", 1007, "text message is not UTF-8 (RFC 6455 8.1)"},
}

// A peer that breaks a rule is told which code, and everybody here which rule, by whatever way it is read; and nothing that
// comes behind it is ever read.
func TestProtocolErrors(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for _, b := range broken {
			for by, read := range readers {
				c, p := m.raw(t, conn.Config{})
				p.write(append(p.frame(b.b0, b.payload), p.frame(fin|text, "behind")...))
				_, got, err := read(soon(t), c)
				var pe *conn.ProtocolError
				if len(got) > 0 || !errors.As(err, &pe) || pe.Code != b.code ||
					err.Error() != "ws: connection closed: peer sent a "+b.text {
					t.Errorf("%s, %s: %q, %v", b.name, by, got, err)
				}
				checkOver(t, c, err)
				p.wantClosed(b.code)
			}
		}
	})
}

// checkOver checks that c has ended with want and that every call says so.
func checkOver(t *testing.T, c *conn.Conn, want error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // the connection's error beats that of ctx
	p, _ := conn.NewPrepared(conn.Message{Type: conn.Text})
	_, errTry := c.TryWrite(p)
	_, errWriter := c.Writer(ctx, conn.Text)
	errs := map[string]error{
		"Write":         c.Write(ctx, conn.Text, nil),
		"Write, long":   c.Write(ctx, conn.Text, payload(300_000)),
		"WritePrepared": c.WritePrepared(ctx, p),
		"TryWrite":      errTry,
		"Writer":        errWriter,
		"Ping":          c.Ping(ctx),
		"cause":         context.Cause(c.Context()),
	}
	for name, read := range readers {
		_, data, err := read(ctx, c)
		if errs[name] = err; len(data) > 0 {
			t.Errorf("%s still returns %q", name, data)
		}
	}
	for name, err := range errs {
		if name == "Messages" && err == io.EOF {
			continue // it ends without an error after a clean end
		}
		if err != want || !errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

// Nothing behind a close frame is read either, and it is no protocol error.
func TestNothingBehindClose(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{})
		p.write(append(p.frame(fin|closes, closing(1000, "bye")), p.frame(fin|text, "behind")...))
		_, _, err := c.Read(soon(t))
		var ce *conn.CloseError
		if !errors.As(err, &ce) || ce.Code != 1000 || ce.Reason != "bye" || ce.Sent != 1000 || ce.SentFirst {
			t.Errorf("%#v", err)
		}
		checkOver(t, c, err)
		p.wantClosed(1000)
	})
}

// Every way for a stream to end without a close frame is 1006, and says how it ended.
func TestAbnormalEnds(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for name, sent := range map[string]func(p *rawPeer) []byte{
			"at once":      func(*rawPeer) []byte { return nil },
			"in a header":  func(p *rawPeer) []byte { return p.frame(fin|text, "x")[:1] },
			"in a payload": func(p *rawPeer) []byte { return p.frame(fin|text, "hello")[:6] },
			"in a message": func(p *rawPeer) []byte { return p.frame(text, "hello") },
			"in a ping":    func(p *rawPeer) []byte { return p.frame(fin|ping, "hello")[:4] },
			"in a long one": func(p *rawPeer) []byte {
				return append(p.header(fin|binry, 100_000), payload(50_000)...)
			},
		} {
			for by, read := range readers {
				c, p := m.raw(t, conn.Config{})
				p.write(sent(p))
				p.nc.Close()
				_, _, err := read(soon(t), c)
				var ce *conn.CloseError
				if !errors.As(err, &ce) || ce.Code != conn.StatusAbnormal || ce.Sent != 0 || ce.SentFirst || !isEnd(err) {
					t.Errorf("%s, %s: %v", name, by, err)
					continue
				}
				var clean *conn.CloseError // by the stream, the error is read twice
				if _, _, again := c.Read(soon(t)); !errors.As(again, &clean) || clean != ce || context.Cause(c.Context()) != again {
					t.Errorf("%s, %s: then %v", name, by, again)
				}
			}
		}
	})
}

// A reset is the cause, too.
func TestReset(t *testing.T) {
	runOver(t, overTCP, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{})
		if err := p.nc.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		p.nc.Close()
		_, _, err := c.Read(soon(t))
		if !errors.Is(err, syscall.ECONNRESET) || !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

// The connection's end beats that of the call's context, when both come while the call waits.
func TestEndBeatsContext(t *testing.T) {
	calls := map[string]func(ctx context.Context, c *conn.Conn) error{
		"Ping":        func(ctx context.Context, c *conn.Conn) error { return c.Ping(ctx) },
		"Flush":       func(ctx context.Context, c *conn.Conn) error { return c.Flush(ctx) },
		"Write, long": func(ctx context.Context, c *conn.Conn) error { return c.Write(ctx, conn.Text, payload(300_000)) },
		"Write":       func(ctx context.Context, c *conn.Conn) error { return c.Write(ctx, conn.Text, payload(60_000)) },
		"Read":        func(ctx context.Context, c *conn.Conn) error { _, _, err := c.Read(ctx); return err },
	}
	for name, call := range calls {
		for range 10 {
			synctest.Test(t, func(t *testing.T) {
				c, _ := mode{stream: overMemory}.raw(t, conn.Config{})
				if err := c.Write(t.Context(), conn.Text, payload(60_000)); err != nil {
					t.Error(err)
				}
				busy := start(func() error { return c.Write(context.Background(), conn.Text, payload(60_000)) })
				reading := start(func() error { _, _, err := c.Read(context.Background()); return err })
				synctest.Wait()
				if err := c.Write(t.Context(), conn.Text, payload(60_000)); err != nil {
					t.Error("no room in the queue:", err)
				}
				synctest.Wait()
				ctx, cancel := context.WithCancel(t.Context())
				called := start(func() error { return call(ctx, c) })
				synctest.Wait()
				c.CloseNow()
				cancel()
				for _, got := range []<-chan error{called, busy, reading} {
					if err := result(t, got); !errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled) {
						t.Errorf("%s: %v", name, err)
					}
				}
			})
			if t.Failed() {
				return
			}
		}
	}
}

// A context's end comes back wrapped, is no closed connection, and times out as contexts do.
func TestContextErrors(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, _ := m.raw(t, conn.Config{})
		busy := start(func() error { return c.Write(context.Background(), conn.Text, payload(4<<20)) })
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		due, cancel2 := context.WithTimeout(t.Context(), 1)
		defer cancel2()
		<-due.Done()
		for _, ctx := range []context.Context{canceled, due} {
			p, _ := conn.NewPrepared(conn.Message{Type: conn.Text, Data: payload(1000)})
			_, errWriter := c.Writer(ctx, conn.Text)
			errs := map[string]error{
				"ws: write: ": c.Write(ctx, conn.Text, nil), "ws: write:": c.WritePrepared(ctx, p), "ws: write": errWriter,
				"ws: ping: ": c.Ping(ctx),
			}
			for name, read := range readers {
				_, _, err := read(ctx, c)
				errs["ws: read: "+strings.Repeat(" ", len(name))] = err
			}
			for prefix, err := range errs {
				prefix = strings.TrimRight(prefix, " :") + ": "
				var timeout net.Error
				_ = errors.As(err, &timeout)
				if !errors.Is(err, ctx.Err()) || errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), prefix) ||
					isTimeout(err) != (ctx == due) {
					t.Errorf("%s %v", prefix, err)
				}
			}
		}
		if c.Context().Err() != nil {
			t.Error("the connection has ended:", context.Cause(c.Context()))
		}
		c.CloseNow()
		if err := result(t, busy); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

// isTimeout is os.IsTimeout for wrapped errors.
func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout() || os.IsTimeout(err)
}

// The texts say who closed first, with what.
func TestErrorTexts(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&conn.CloseError{Code: 1000, Reason: "bye", Sent: 1000},
			`ws: connection closed: received 1000 (normal closure) "bye", then sent 1000 (normal closure)`},
		{&conn.CloseError{Code: 1001, Sent: 1001, SentFirst: true},
			`ws: connection closed: sent 1001 (going away), then received 1001 (going away)`},
		{&conn.CloseError{Code: 4000}, `ws: connection closed: received 4000`},
		{&conn.CloseError{Code: 1006, Err: io.ErrUnexpectedEOF},
			`ws: connection closed: no close frame from the peer: unexpected EOF`},
		{&conn.CloseError{Code: 1006, Sent: 1000, SentFirst: true, Err: conn.ErrCloseTimeout},
			`ws: connection closed: sent 1000 (normal closure), then no close frame from the peer: ` + conn.ErrCloseTimeout.Error()},
		{&conn.ProtocolError{Code: 1002, Text: "reserved opcode (RFC 6455 5.2)"},
			`ws: connection closed: peer sent a reserved opcode (RFC 6455 5.2)`},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%q\nwant %q", got, c.want)
		}
		if !errors.Is(c.err, net.ErrClosed) {
			t.Errorf("%v is not net.ErrClosed", c.err)
		}
	}
	for _, err := range []error{conn.ErrIdle, conn.ErrPongTimeout, conn.ErrWriteStalled, conn.ErrReadLimit, conn.ErrFragments,
		conn.ErrControlFlood, conn.ErrMessageTimeout, conn.ErrCloseTimeout, conn.ErrWriteCut, conn.ErrUnexpectedMessage,
		conn.ErrExpired, conn.ErrShutdown} {
		if !errors.Is(err, net.ErrClosed) || strings.Count(err.Error(), "ws: ") != 1 {
			t.Error(err)
		}
	}
}
