package ws_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
)

// TestHandlerErrors: what a handler returns, or panics with, is what its peer is
// told, and the log.
func TestHandlerErrors(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		panics any
		code   ws.StatusCode
		reason string
		log    []string
	}{
		{name: "status", err: ws.Status(4001, "no"), code: 4001, reason: "no"},
		{name: "wrapped status", err: fmt.Errorf("secret: %w", ws.Status(ws.StatusTryAgainLater, "")), code: 1013},
		{name: "long reason", err: ws.Status(4001, strings.Repeat("é", 100)), code: 4001, reason: strings.Repeat("é", 61)}, // 123 bytes at most
		{name: "bad reason", err: ws.Status(4001, "a\xffb"), code: 4001, reason: "a\uFFFDb"},
		{name: "status that can't be sent", err: ws.Status(1006, "no"), code: 1011},
		{name: "cancelled", err: context.Canceled, code: 1001},
		{name: "deadline", err: fmt.Errorf("query: %w", context.DeadlineExceeded), code: 1001},
		{name: "error", err: errors.New("secret"), code: 1011, log: []string{"level=ERROR", "handler failed", "error=secret"}},
		{name: "panic", panics: "secret", code: 1011, log: []string{"level=ERROR", "handler panicked", "panic=secret", "TestHandlerErrors"}},
		{name: "panic with a status", panics: ws.Status(4001, "no"), code: 1011, log: []string{"handler panicked"}},
		{name: "abort", panics: http.ErrAbortHandler, code: 1006},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubbles(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
				h := handler(func(context.Context, *ws.Conn, ws.Message) error {
					if tt.panics != nil {
						panic(tt.panics)
					}
					return tt.err
				})
				var book logbook
				h.Options.Logger = book.logger()
				s := inMemory(t, h)
				c := s.dial()
				if err := c.Write(t.Context(), ws.Text, nil); err != nil {
					t.Fatal(err)
				}
				expectClose(t, c, tt.code, tt.reason)
				synctest.Wait()
				book.expect(t, tt.log...)
				s.log.expect(t)
			})
		})
	}
}

// TestServeReturnsNil closes with 1000.
func TestServeReturnsNil(t *testing.T) {
	s := inMemory(t, &ws.Handler{Serve: func(context.Context, *ws.Conn) error { return nil }})
	expectClose(t, s.dial(), ws.StatusNormal, "")
}

// TestConnectionEndedByItself: whatever a handler makes of it, there is nobody
// left to be told, and nothing to be logged.
func TestConnectionEndedByItself(t *testing.T) {
	ends := map[string]func(c *ws.Conn){
		"close":  func(c *ws.Conn) { c.Close(context.Background(), ws.StatusPolicyViolation, "") },
		"vanish": func(c *ws.Conn) { c.CloseNow() },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			for returned, f := range map[string]func(error) error{
				"its error": func(err error) error { return err },
				"another":   func(error) error { return errors.New("lost") },
				"a status":  func(error) error { return ws.Status(4001, "") },
				"nil":       func(error) error { return nil },
			} {
				synctest.Test(t, func(t *testing.T) {
					var book logbook
					ended := make(chan error, 1)
					h := &ws.Handler{Options: ws.Options{Logger: book.logger()}, Serve: func(ctx context.Context, c *ws.Conn) error {
						_, _, err := c.Read(ctx)
						ended <- context.Cause(ctx)
						return f(err)
					}}
					c := inMemory(t, h).dial()
					end(c)
					var ce *ws.CloseError
					if err := <-ended; !errors.As(err, &ce) {
						t.Errorf("cause %v", err)
					}
					synctest.Wait()
					if book.expect(t); t.Failed() {
						t.Log("returned", returned)
					}
				})
			}
		})
	}
}

// TestEndedAndPanicked: a panic is a bug that somebody has to hear of.
func TestEndedAndPanicked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logbook
		c := inMemory(t, &ws.Handler{Options: ws.Options{Logger: book.logger()}, Serve: func(ctx context.Context, c *ws.Conn) error {
			<-c.CloseRead(ctx).Done()
			panic("too late")
		}}).dial()
		c.CloseNow()
		synctest.Wait()
		book.expect(t, "handler panicked", "too late")
	})
}

// TestAbortReachesMiddleware: net/http wants to see http.ErrAbortHandler.
func TestAbortReachesMiddleware(t *testing.T) {
	got := make(chan any, 1)
	h := &ws.Handler{Serve: func(context.Context, *ws.Conn) error { panic(http.ErrAbortHandler) }}
	c := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { got <- recover() }()
		h.ServeHTTP(w, r)
	})).dial()
	expectClose(t, c, ws.StatusAbnormal, "")
	if v := <-got; v != http.ErrAbortHandler {
		t.Errorf("recovered %v", v)
	}
}

// TestMisuse: a mistake of the program's is for its log, and not for the client.
func TestMisuse(t *testing.T) {
	const one = "Handler needs exactly one of Serve and Events"
	for problem, h := range map[string]*ws.Handler{
		one:                         {},
		one + " ":                   {Serve: echo, Events: echoMessage},
		"Options.Origins":           {Serve: echo, Options: ws.Options{Origins: []string{"https://good.example", "*"}}},
		"Options.Origins: \\\"null": {Serve: echo, Options: ws.Options{Origins: []string{"null"}}},
	} {
		t.Run(problem, func(t *testing.T) {
			var book logbook
			h.Options.Logger = book.logger()
			resp, body, _ := inMemory(t, h).ask(goodLines, "")
			if resp.StatusCode != 500 || body != "the server can't upgrade this connection\n" {
				t.Errorf("got %s %q", resp.Status, body)
			}
			book.expect(t, "level=ERROR", strings.TrimSpace(problem))
			if err := h.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestServeBlocks: ServeHTTP returns when Serve does, so that middleware wraps
// the connection's life; with Events it returns at once.
func TestServeBlocks(t *testing.T) {
	forms(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
		synctest.Test(t, func(t *testing.T) {
			h, returned := handler(echoMessage), make(chan struct{})
			c := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(w, r)
				close(returned)
			})).dial()
			roundTrip(t, c, "hello")
			synctest.Wait()
			select {
			case <-returned:
				if h.Serve != nil {
					t.Error("ServeHTTP returned before Serve")
				}
			default:
				if h.Events != nil {
					t.Error("ServeHTTP waits for events")
				}
			}
			c.CloseNow()
			<-returned
		})
	})
}

// TestHandlerAsField has handlers where a program keeps them.
func TestHandlerAsField(t *testing.T) {
	var site struct {
		name         string
		echo, events ws.Handler
	}
	site.echo.Serve = echo
	site.events.Events = echoMessage
	mux := http.NewServeMux()
	mux.Handle("/ws", &site.echo)
	roundTrip(t, inMemory(t, mux).dial(), "hello")
	roundTrip(t, inMemory(t, &site.events).dial(), "hello")
}

func TestConfigureRefuses(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		body   string
	}{
		{errors.New("secret"), 403, "Forbidden\n"},
		{ws.Refuse(http.StatusPaymentRequired, "pay first"), 402, "pay first\n"},
		{fmt.Errorf("secret: %w", ws.Refuse(http.StatusNotFound, "no such room")), 404, "no such room\n"},
	} {
		forms(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
			var book logbook
			h := handler(echoMessage)
			h.Options.Logger = book.logger()
			h.Configure = func(*http.Request, *ws.Options) error { return tt.err }
			if resp, body, _ := inMemory(t, h).ask(goodLines, ""); resp.StatusCode != tt.status || body != tt.body {
				t.Errorf("%v: got %s %q", tt.err, resp.Status, body)
			}
			book.expect(t)
		})
	}
}

// TestConfigureCopies changes everything that can be changed for some requests,
// which must not show in others.
func TestConfigureCopies(t *testing.T) {
	forms(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
		h := handler(echoMessage)
		h.Options = ws.Options{Header: http.Header{"X-Always": {"1"}}, Subprotocols: append(make([]string, 0, 8), "a"),
			Origins: append(make([]string, 0, 8), "https://a.example")}
		h.Configure = func(r *http.Request, o *ws.Options) error {
			if name := r.Header.Get("Who"); name != "" {
				o.Header.Set("Set-Cookie", "session="+name)
				o.Subprotocols = append(o.Subprotocols, name)
				o.Origins = append(o.Origins, "https://"+name+".example")
				o.ReadLimit = 3
			}
			return nil
		}
		s := inMemory(t, h)
		s.options.Subprotocols = []string{"ann"}
		c, resp, err := s.try("Who", "ann", "Origin", "https://ann.example")
		if err != nil || c.Subprotocol() != "ann" || resp.Header.Get("Set-Cookie") != "session=ann" {
			t.Fatalf("got %v, %v", resp, err)
		}
		if err := c.Write(t.Context(), ws.Text, []byte("long")); err != nil {
			t.Fatal(err)
		}
		expectClose(t, c, ws.StatusTooBig, "")

		c, resp, err = s.try()
		if err != nil || c.Subprotocol() != "" || resp.Header.Get("Set-Cookie") != "" || resp.Header.Get("X-Always") != "1" {
			t.Fatalf("got %v, %v", resp, err)
		}
		roundTrip(t, c, "long")
		if _, resp, _ = s.try("Origin", "https://ann.example"); resp.StatusCode != http.StatusForbidden {
			t.Errorf("ann's origin may come without her: %v", resp)
		}
		if got := h.Options.Subprotocols[:cap(h.Options.Subprotocols)][1]; got != "" {
			t.Errorf("%q was written behind the handler's subprotocols", got)
		}
	})
}

// TestRequest: the request is there during Serve and Open, and nowhere else.
func TestRequest(t *testing.T) {
	if r := ws.Request(t.Context()); r != nil {
		t.Errorf("request of no connection: %v", r)
	}
	paths := make(chan string, 1)
	s := inMemory(t, &ws.Handler{Serve: func(ctx context.Context, c *ws.Conn) error {
		paths <- ws.Request(ctx).URL.Path + ws.Request(ctx).Header.Get("Who")
		return nil
	}})
	if s.dial("Who", "ann"); <-paths != "/wsann" {
		t.Error("another request")
	}
}

// TestServeContextEnds with the connection, whoever ends it, and has nothing to
// do with the time that the handler gives itself.
func TestServeContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &ws.Handler{Serve: func(ctx context.Context, c *ws.Conn) error {
			if ctx != c.Context() {
				t.Error("another context")
			}
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			_, _, err := c.Read(ctx)
			return err
		}}
		start := time.Now()
		expectClose(t, inMemory(t, h).dial(), ws.StatusGoingAway, "")
		if d := time.Since(start); d != time.Minute {
			t.Errorf("after %v", d)
		}
	})
}
