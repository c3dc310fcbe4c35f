package ws_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
)

// within is a context of a test's that ends after d.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// TestShutdown closes what is there, refuses what comes, and stays closed.
func TestShutdown(t *testing.T) {
	bubbles(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
		var book logbook
		h := handler(echoMessage)
		h.Options.Logger = book.logger()
		s := inMemory(t, h)
		c := s.dial()
		roundTrip(t, c, "hello")
		done := make(chan error, 1)
		go func() { done <- h.Shutdown(within(t, 8*time.Second)) }()
		synctest.Wait() // the first is told at once; it has not answered
		resp, body, _ := s.ask(goodLines, "")
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "8" || body != "the server is shutting down\n" {
			t.Errorf("got %s %v %q", resp.Status, resp.Header, body)
		}
		expectClose(t, c, ws.StatusGoingAway, "")
		if err := <-done; err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := h.Shutdown(t.Context()); err != nil {
				t.Errorf("once more: %v", err)
			}
			if resp, _, _ := s.ask(goodLines, ""); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
				t.Errorf("afterwards: %s %v", resp.Status, resp.Header)
			}
		}
		book.expect(t)
	})
}

// TestShutdownSpread: half of the clients have to go in half of the time.
func TestShutdownSpread(t *testing.T) {
	for _, tt := range []struct {
		limit  time.Duration // 0: none
		spread time.Duration
	}{{0, 5 * time.Second}, {time.Minute, 5 * time.Second}, {4 * time.Second, 2 * time.Second}} {
		t.Run(tt.limit.String(), func(t *testing.T) {
			bubbles(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
				const n = 250
				h := handler(echoMessage)
				s := inMemory(t, h)
				var mu sync.Mutex
				var after []time.Duration
				var clients sync.WaitGroup
				start := time.Now()
				for range n {
					c := s.dial()
					clients.Go(func() {
						expectClose(t, c, ws.StatusGoingAway, "")
						mu.Lock()
						defer mu.Unlock()
						after = append(after, time.Since(start))
					})
				}
				ctx := t.Context()
				if tt.limit > 0 {
					ctx = within(t, tt.limit)
				}
				if err := h.Shutdown(ctx); err != nil {
					t.Error(err)
				}
				clients.Wait()
				slices.Sort(after)
				for i, d := range after {
					even := tt.spread * time.Duration(i) / n
					if off := (d - even).Abs(); off > tt.spread/20 || d > tt.spread {
						t.Fatalf("client %d went after %v, want about %v", i, d, even)
					}
				}
			})
		})
	}
}

// TestShutdownWaits for handlers that have something left to do.
func TestShutdownWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := func(ctx context.Context, c *ws.Conn) error {
			<-c.CloseRead(ctx).Done()
			if cause := context.Cause(ctx); cause != conn.ErrShutdown {
				t.Errorf("cause %v", cause)
			}
			time.Sleep(7 * time.Second)
			return nil
		}
		closing := &script{close: func(*ws.Conn, error) { time.Sleep(7 * time.Second) }}
		for name, h := range map[string]*ws.Handler{"serve": {Serve: busy}, "events": {Events: closing}} {
			expectEnd := inMemory(t, h).dial()
			go expectEnd.Read(t.Context())
			synctest.Wait()
			start := time.Now()
			if err := h.Shutdown(within(t, time.Minute)); err != nil || time.Since(start) != 7*time.Second {
				t.Errorf("%s: after %v: %v", name, time.Since(start), err)
			}
		}
	})
}

// TestShutdownCuts: when its time is over, Shutdown waits for nobody.
func TestShutdownCuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := make(chan struct{})
		defer close(held)
		h := &ws.Handler{Serve: func(context.Context, *ws.Conn) error { <-held; return nil }}
		c := inMemory(t, h).dial()
		synctest.Wait()
		start := time.Now()
		for _, limit := range []time.Duration{3 * time.Second, -time.Second} {
			if err := h.Shutdown(within(t, limit)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("took %v", d)
		}
		expectClose(t, c, ws.StatusGoingAway, "")
	})
}

// TestShutdownCutsWhomItDidNotReach: with no time at all everybody is dropped.
func TestShutdownCutsWhomItDidNotReach(t *testing.T) {
	bubbles(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
		h := handler(echoMessage)
		s := inMemory(t, h)
		clients := make([]*ws.Conn, 300)
		for i := range clients {
			clients[i] = s.dial()
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Shutdown(ctx); err != context.Canceled {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if err := h.Shutdown(t.Context()); err != nil {
			t.Errorf("some are left: %v", err)
		}
		for _, c := range clients {
			if _, _, err := c.Read(t.Context()); !errors.Is(err, net.ErrClosed) {
				t.Fatalf("got %v", err)
			}
		}
	})
}

func TestShutdownEmpty(t *testing.T) {
	var g ws.Group
	if err := g.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := new(ws.Handler).Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// slowHijack stands between Accept's look at the group and its connection.
type slowHijack struct {
	http.ResponseWriter
	before func()
}

func (s slowHijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	s.before()
	return http.NewResponseController(s.ResponseWriter).Hijack()
}

// TestShutdownRace: an upgrade that comes through the door as that is being closed is closed, too.
func TestShutdownRace(t *testing.T) {
	bubbles(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
		h := handler(echoMessage)
		c := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(slowHijack{w, func() {
				if err := h.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			}}, r)
		})).dial()
		expectClose(t, c, ws.StatusGoingAway, "")
	})
}

// TestShutdownWithServer calls both Shutdowns, in either order.
func TestShutdownWithServer(t *testing.T) {
	for _, first := range []string{"server", "handler"} {
		t.Run(first, func(t *testing.T) {
			bubbles(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
				h := handler(echoMessage)
				s := inMemory(t, h)
				c := s.dial()
				var client sync.WaitGroup
				client.Go(func() { expectClose(t, c, ws.StatusGoingAway, "") })
				defer client.Wait()
				steps := []func(context.Context) error{s.server.Shutdown, h.Shutdown}
				if first == "handler" {
					slices.Reverse(steps)
				}
				for _, shutdown := range steps {
					if err := shutdown(within(t, time.Minute)); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// TestGroup has two handlers and a bare Accept say goodbye together.
func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g ws.Group
		o := ws.Options{Group: &g}
		events := &ws.Handler{Events: echoMessage, Options: o}
		handlers := []http.Handler{&ws.Handler{Serve: echo, Options: o}, events, accepting(&o, make(chan error, 10))}
		var clients sync.WaitGroup
		for _, h := range handlers {
			s := inMemory(t, h)
			c := s.dial()
			clients.Go(func() { expectClose(t, c, ws.StatusGoingAway, "") })
			if h == http.Handler(events) { // a handler's own Shutdown takes it out of the group
				if err := events.Shutdown(within(t, time.Minute)); err != nil {
					t.Error(err)
				}
			}
		}
		if err := g.Shutdown(within(t, time.Minute)); err != nil {
			t.Error(err)
		}
		clients.Wait()
		for _, h := range handlers {
			resp, _, _ := inMemory(t, h).ask(goodLines, "")
			if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); resp.StatusCode != 503 || err != nil || seconds < 1 {
				t.Errorf("got %s %v", resp.Status, resp.Header)
			}
		}
	})
}
