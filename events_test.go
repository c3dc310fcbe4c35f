package ws_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/wstest"
)

// echoEvents says how its connections ended.
type echoEvents struct{ closed chan error }

func (e echoEvents) Message(ctx context.Context, c *ws.Conn, m ws.Message) error {
	return c.Write(ctx, m.Type, m.Data)
}

func (e echoEvents) Closed(c *ws.Conn, cause error) { e.closed <- cause }

// script is an EventHandler of functions that notes, in order, what was called.
type script struct {
	open    func(ctx context.Context, c *ws.Conn) (context.Context, error)
	message onMessage
	close   func(c *ws.Conn, cause error)

	mu    sync.Mutex
	calls []string
	cause error
}

func (s *script) note(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
}

func (s *script) Open(ctx context.Context, c *ws.Conn) (context.Context, error) {
	s.note("open")
	if s.open == nil {
		return context.Background(), nil
	}
	return s.open(ctx, c)
}

func (s *script) Message(ctx context.Context, c *ws.Conn, m ws.Message) error {
	s.note("message " + string(m.Data))
	if s.message == nil {
		return c.Write(ctx, m.Type, m.Data)
	}
	return s.message(ctx, c, m)
}

func (s *script) Closed(c *ws.Conn, cause error) {
	s.note("closed")
	s.mu.Lock()
	s.cause = cause
	s.mu.Unlock()
	if s.close != nil {
		s.close(c, cause)
	}
}

// expect is for the end, when nothing runs any more.
func (s *script) expect(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if fmt.Sprint(s.calls) != fmt.Sprint(want) {
		t.Errorf("called %q, want %q", s.calls, want)
	}
}

func TestEventsSizes(t *testing.T) {
	networks(t, func(t *testing.T, start func(*testing.T, http.Handler) *site) {
		e := echoEvents{make(chan error, 1)}
		c := start(t, &ws.Handler{Events: e}).dial()
		for _, n := range []int{0, 1, 125, 126, 1000, 65_535, 65_536, 500_000} {
			roundTrip(t, c, strings.Repeat("x", n))
		}
		if err := c.Close(t.Context(), 4001, "bye"); err != nil {
			t.Fatal(err)
		}
		var ce *ws.CloseError
		if err := <-e.closed; !errors.As(err, &ce) || ce.Code != 4001 || ce.Reason != "bye" || ce.SentFirst {
			t.Errorf("cause %v", err)
		}
	})
}

// TestEventsInOrder floods a handler, which sees one message at a time.
func TestEventsInOrder(t *testing.T) {
	const messages = 2000
	networks(t, func(t *testing.T, start func(*testing.T, http.Handler) *site) {
		var inside, next, wrong atomic.Int64
		c := start(t, &ws.Handler{Events: onMessage(func(ctx context.Context, c *ws.Conn, m ws.Message) error {
			if inside.Add(1) != 1 || int64(binary.BigEndian.Uint64(m.Data)) != next.Add(1)-1 {
				wrong.Add(1)
			}
			inside.Add(-1)
			return nil
		})}).dial()
		for i := range messages {
			p := append(binary.BigEndian.AppendUint64(nil, uint64(i)), make([]byte, i%500)...)
			if err := c.Write(t.Context(), ws.Binary, p); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Close(t.Context(), ws.StatusNormal, ""); err != nil {
			t.Fatal(err)
		}
		if next.Load() != messages || wrong.Load() != 0 {
			t.Errorf("%d messages, %d out of turn", next.Load(), wrong.Load())
		}
	})
}

// TestEventsBackPressure: while Message runs nothing is read, so that the peer has to wait.
func TestEventsBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := make(chan struct{})
		var handled atomic.Int64
		s := listenInMemory(t, &wstest.Listener{Buffer: 1000}, &http.Server{Handler: &ws.Handler{
			Events: onMessage(func(context.Context, *ws.Conn, ws.Message) error {
				<-held
				handled.Add(1)
				return nil
			})}})
		s.options.WriteTimeout = -1
		c := s.dial()
		written := make(chan struct{})
		go func() {
			defer close(written)
			for range 50 {
				if c.Write(t.Context(), ws.Binary, make([]byte, 10_000)) != nil || c.Flush(t.Context()) != nil {
					t.Error("write failed")
				}
			}
		}()
		time.Sleep(time.Hour) // the connection is healthy, however long it takes
		select {
		case <-written:
			t.Error("500 KB were taken while Message ran")
		default:
		}
		close(held)
		<-written
		synctest.Wait()
		if handled.Load() != 50 {
			t.Errorf("%d messages", handled.Load())
		}
	})
}

// TestEventsOpen looks at what Open sees and what it hands on.
func TestEventsOpen(t *testing.T) {
	networks(t, func(t *testing.T, start func(*testing.T, http.Handler) *site) {
		e := &script{open: func(ctx context.Context, c *ws.Conn) (context.Context, error) {
			if ctx.Done() != c.Context().Done() {
				t.Error("Open's context doesn't end with the connection")
			}
			return context.WithValue(context.Background(), contextValue{}, ws.Request(ctx).URL.Path), c.Write(ctx, ws.Text, []byte("welcome"))
		}, message: func(ctx context.Context, c *ws.Conn, m ws.Message) error {
			if ctx.Done() != c.Context().Done() || ws.Request(ctx) != nil {
				t.Error("Message's context is not the connection's")
			}
			return c.Write(ctx, ws.Text, []byte(ctx.Value(contextValue{}).(string)))
		}}
		c := start(t, &ws.Handler{Events: e}).dial()
		expectText(t, c, "welcome")
		if err := c.Write(t.Context(), ws.Text, nil); err != nil {
			t.Fatal(err)
		}
		expectText(t, c, "/ws")
	})
}

// TestEventsOpenFails: then there is no Closed.
func TestEventsOpenFails(t *testing.T) {
	for _, tt := range []struct {
		open func() error
		code ws.StatusCode
		log  []string
	}{
		{func() error { return ws.Status(4001, "") }, 4001, nil},
		{func() error { return errors.New("secret") }, 1011, []string{"error=secret"}},
		{func() error { panic("secret") }, 1011, []string{"panic=secret", "TestEventsOpenFails"}},
		{func() error { panic(http.ErrAbortHandler) }, 1006, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			var book logbook
			e := &script{open: func(context.Context, *ws.Conn) (context.Context, error) { return nil, tt.open() }}
			h := &ws.Handler{Events: e, Options: ws.Options{Logger: book.logger()}}
			c := inMemory(t, h).dial()
			expectClose(t, c, tt.code, "")
			if err := h.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			e.expect(t, "open")
			book.expect(t, tt.log...)
		})
	}
}

// TestEventsBaseEnds: the context that Open returns can end the connection.
func TestEventsBaseEnds(t *testing.T) {
	networks(t, func(t *testing.T, start func(*testing.T, http.Handler) *site) {
		base, cancel := context.WithCancelCause(context.Background())
		e := &script{open: func(context.Context, *ws.Conn) (context.Context, error) { return base, nil }}
		h := &ws.Handler{Events: e}
		c := start(t, h).dial()
		roundTrip(t, c, "hello")
		cancel(io.ErrNoProgress)
		expectClose(t, c, ws.StatusGoingAway, "")
		if err := h.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if e.expect(t, "open", "message hello", "closed"); !errors.Is(e.cause, io.ErrNoProgress) {
			t.Errorf("cause %v", e.cause)
		}
	})
}

// TestEventsClosed: once, after the last message, with the cause.
func TestEventsClosed(t *testing.T) {
	isClose := func(code, sent ws.StatusCode) func(error) bool {
		return func(err error) bool {
			var ce *ws.CloseError
			return errors.As(err, &ce) && ce.Code == code && ce.Sent == sent
		}
	}
	// The peer's answer can be there before this side has noted why it asked.
	shutdown := func(err error) bool { return errors.Is(err, conn.ErrShutdown) || isClose(1001, 1001)(err) }
	ending := func(f func(c *ws.Conn) error) onMessage {
		return func(ctx context.Context, c *ws.Conn, m ws.Message) error { return f(c) }
	}
	for name, tt := range map[string]struct {
		message onMessage
		end     func(h *ws.Handler, c *ws.Conn) // the client's part
		cause   func(error) bool
	}{
		"peer closes":    {echoMessage, func(_ *ws.Handler, c *ws.Conn) { c.Close(context.Background(), 1000, "") }, isClose(1000, 1000)},
		"peer vanishes":  {echoMessage, func(_ *ws.Handler, c *ws.Conn) { c.CloseNow() }, isClose(1006, 0)},
		"shutdown":       {echoMessage, func(h *ws.Handler, c *ws.Conn) { h.Shutdown(context.Background()) }, shutdown},
		"error":          {ending(func(*ws.Conn) error { return io.EOF }), nil, isClose(1011, 1011)},
		"panic":          {ending(func(*ws.Conn) error { panic("x") }), nil, isClose(1011, 1011)},
		"status":         {ending(func(*ws.Conn) error { return ws.Status(4001, "") }), nil, isClose(4001, 4001)},
		"Close inside":   {ending(func(c *ws.Conn) error { return c.Close(context.Background(), 4002, "") }), nil, isClose(4002, 4002)},
		"CloseNow":       {ending(func(c *ws.Conn) error { return c.CloseNow() }), nil, func(err error) bool { return err != nil }},
		"close and fail": {ending(func(c *ws.Conn) error { c.Close(context.Background(), 4002, ""); return io.EOF }), nil, isClose(4002, 4002)},
	} {
		t.Run(name, func(t *testing.T) {
			networks(t, func(t *testing.T, start func(*testing.T, http.Handler) *site) {
				var book logbook
				closed := make(chan struct{}, 10)
				e := &script{message: tt.message, close: func(*ws.Conn, error) { closed <- struct{}{} }}
				h := &ws.Handler{Events: e, Options: ws.Options{Logger: book.logger()}}
				c := start(t, h).dial()
				if err := c.Write(t.Context(), ws.Text, []byte("last")); err != nil {
					t.Fatal(err)
				}
				if tt.end != nil {
					expectText(t, c, "last")
					go c.Read(t.Context()) // answers the server's close
					tt.end(h, c)
				} else {
					_, _, _ = c.Read(t.Context())
				}
				<-closed
				if err := h.Shutdown(t.Context()); err != nil { // waits for the end
					t.Error(err)
				}
				if e.expect(t, "open", "message last", "closed"); !tt.cause(e.cause) {
					t.Errorf("cause %v", e.cause)
				}
			})
		})
	}
}

// TestEventsClosedPanics: the panic is logged, and everything else goes on.
func TestEventsClosedPanics(t *testing.T) {
	networks(t, func(t *testing.T, start func(*testing.T, http.Handler) *site) {
		var book logbook
		h := &ws.Handler{Events: &script{close: func(*ws.Conn, error) { panic("secret") }}, Options: ws.Options{Logger: book.logger()}}
		s := start(t, h)
		c, other := s.dial(), s.dial()
		roundTrip(t, c, "hello") // both are open now
		roundTrip(t, other, "hello")
		c.CloseNow()
		roundTrip(t, other, "still here")
		other.CloseNow()
		if err := h.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if n := book.count("panic=secret"); n != 2 {
			t.Errorf("%d panics logged, want 2", n)
		}
	})
}

// TestEventsRead asks back from within Message.
func TestEventsRead(t *testing.T) {
	networks(t, func(t *testing.T, start func(*testing.T, http.Handler) *site) {
		c := start(t, &ws.Handler{Events: onMessage(func(ctx context.Context, c *ws.Conn, m ws.Message) error {
			question := string(m.Data)
			if err := c.Write(ctx, ws.Text, []byte("really?")); err != nil {
				return err
			}
			_, p, err := c.Read(ctx)
			if err != nil {
				return err
			}
			return c.Write(ctx, ws.Text, []byte(question+string(p)))
		})}).dial()
		for range 3 {
			roundTripAs(t, c, "do it, ", "really?")
			roundTripAs(t, c, "yes", "do it, yes")
		}
	})
}

func roundTripAs(t *testing.T, c *ws.Conn, text, want string) {
	t.Helper()
	if err := c.Write(t.Context(), ws.Text, []byte(text)); err != nil {
		t.Fatal(err)
	}
	expectText(t, c, want)
}

// TestEventsBlocked: handlers that block keep only their own connections waiting,
// however many of them there are.
func TestEventsBlocked(t *testing.T) {
	networks(t, func(t *testing.T, start func(*testing.T, http.Handler) *site) {
		held := make(chan struct{})
		s := start(t, &ws.Handler{Events: onMessage(func(ctx context.Context, c *ws.Conn, m ws.Message) error {
			if string(m.Data) == "block" {
				<-held
			}
			return c.Write(ctx, m.Type, m.Data)
		})})
		blocked := make([]*ws.Conn, 20)
		for i := range blocked {
			blocked[i] = s.dial()
			if err := blocked[i].Write(t.Context(), ws.Text, []byte("block")); err != nil {
				t.Fatal(err)
			}
			roundTrip(t, s.dial(), "go on")
		}
		close(held)
		for _, c := range blocked {
			expectText(t, c, "block")
		}
	})
}
