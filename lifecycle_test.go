package ws_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
)

// visitors dial and read, and say when and how it ended.
type visitors struct {
	mu   sync.Mutex
	wg   sync.WaitGroup
	ends []visitorEnd
}

type visitorEnd struct {
	after time.Duration
	err   error
}

func (v *visitors) come(t *testing.T, s *site, n int) {
	start := time.Now()
	for range n {
		c := s.dial()
		v.wg.Go(func() {
			_, _, err := c.Read(t.Context())
			v.mu.Lock()
			defer v.mu.Unlock()
			v.ends = append(v.ends, visitorEnd{time.Since(start), err})
		})
	}
}

// TestDrain has clients told over the time, and with the code, that were asked for.
func TestDrain(t *testing.T) {
	bubbles(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
		h := handler(echoMessage)
		h.Options.Drain = ws.Drain{Code: ws.StatusServiceRestart, Spread: 10 * time.Second, RetryAfter: time.Minute}
		h.Options.PingInterval = -1
		s := inMemory(t, h)
		var v visitors
		v.come(t, s, 200)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if err := h.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		v.wg.Wait()
		if took := time.Since(start); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("it took %v", took)
		}
		var early, soon int
		for _, end := range v.ends {
			if ws.CloseStatus(end.err) != ws.StatusServiceRestart {
				t.Fatalf("a client saw %v", end.err)
			}
			if end.after < 5*time.Second {
				early++
			}
			if wait, ok := ws.RetryAfter(end.err); !ok || wait > time.Minute {
				t.Fatalf("retry after %v, %v: %v", wait, ok, end.err)
			} else if wait < 30*time.Second {
				soon++
			}
		}
		if early < 80 || early > 120 || soon < 50 || soon > 150 {
			t.Errorf("of 200, %d in the first half of the time, %d to come back in the first half of theirs", early, soon)
		}
	})
}

// TestShutdownBesideServer shuts a handler down while its http.Server is being shut down.
func TestShutdownBesideServer(t *testing.T) {
	orders := map[string]func(ctx context.Context, srv *http.Server, h *ws.Handler) error{
		"on shutdown": func(ctx context.Context, srv *http.Server, h *ws.Handler) error {
			done := make(chan error, 1)
			srv.RegisterOnShutdown(func() { done <- h.Shutdown(ctx) })
			return errors.Join(srv.Shutdown(ctx), <-done)
		},
		"together": func(ctx context.Context, srv *http.Server, h *ws.Handler) error {
			done := make(chan error, 1)
			go func() { done <- h.Shutdown(ctx) }()
			return errors.Join(srv.Shutdown(ctx), <-done)
		},
	}
	for name, shutdown := range orders {
		t.Run(name, func(t *testing.T) {
			bubbles(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
				h := handler(echoMessage)
				s := inMemory(t, h)
				var v visitors
				v.come(t, s, 10)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				if err := shutdown(ctx, s.server, h); err != nil {
					t.Error(err)
				}
				v.wg.Wait()
				for _, end := range v.ends {
					if ws.CloseStatus(end.err) != ws.StatusGoingAway {
						t.Errorf("a client saw %v", end.err)
					}
				}
				if live := h.Stats().Live; live != 0 {
					t.Errorf("%d are left", live)
				}
			})
		})
	}
}

func TestMaxLifetime(t *testing.T) {
	bubbles(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
		h := handler(echoMessage)
		h.Options.MaxLifetime = time.Hour
		s := inMemory(t, h)
		var v visitors
		v.come(t, s, 20)
		v.wg.Wait()
		synctest.Wait()
		different := map[time.Duration]bool{}
		for _, end := range v.ends {
			if ws.CloseStatus(end.err) != ws.StatusGoingAway || end.after < 54*time.Minute || end.after > time.Hour {
				t.Errorf("after %v: %v", end.after, end.err)
			}
			different[end.after] = true
		}
		if len(different) < 10 {
			t.Errorf("they ended at %d different times", len(different))
		}
		if stats := h.Stats(); stats.Closed["lifetime"] != 20 {
			t.Errorf("closed %v", stats.Closed)
		}
	})
}

// TestMaxLifetimeOver leaves no timer behind that could end something else.
func TestMaxLifetimeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &ws.Handler{Serve: echo, Options: ws.Options{MaxLifetime: time.Hour}}
		s := inMemory(t, h)
		if err := s.dial().Close(t.Context(), ws.StatusNormal, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := h.Stats().Closed; got["close_1000"] != 1 || len(got) != 1 {
			t.Errorf("closed %v", got)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	for reason, want := range map[string]time.Duration{
		"retry-after=0": 0, "retry-after=2.5": 2500 * time.Millisecond, "retry-after=86400": 24 * time.Hour,
		"": -1, "retry-after=": -1, "retry-after=x": -1, "retry-after=-1": -1, "retry-after=NaN": -1, "retry-after=+Inf": -1,
		"retry-after=86401": -1, "please retry-after=1": -1,
	} {
		err := fmt.Errorf("wrapped: %w", &ws.CloseError{Code: ws.StatusServiceRestart, Reason: reason})
		if got, ok := ws.RetryAfter(err); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: got %v, %v", reason, got, ok)
		}
	}
	if _, ok := ws.RetryAfter(conn.ErrShutdown); ok {
		t.Error("an error without a reason has one")
	}
}
