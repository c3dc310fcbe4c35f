package middleware_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/middleware"
)

func TestLimitTotal(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		s.start(middleware.Limit(middleware.LimitOptions{Total: 2, RetryAfter: 7 * time.Second}))
		first, _ := s.opens()
		s.opens()
		if got := s.refuses(http.StatusServiceUnavailable).Header.Get("Retry-After"); got != "7" {
			t.Errorf("Retry-After %q", got)
		}
		first.Close(t.Context(), ws.StatusNormal, "")
		synctest.Wait()
		s.opens()
		s.refuses(http.StatusServiceUnavailable)
	})
}

// TestLimitCountsLostConnections checks that one that ends without a word makes room, too.
func TestLimitCountsLostConnections(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		s.start(middleware.Limit(middleware.LimitOptions{Total: 1}))
		for range 3 {
			c, _ := s.opens()
			s.refuses(http.StatusServiceUnavailable)
			c.CloseNow()
			synctest.Wait()
		}
	})
}

func TestLimitPerKey(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		s.start(middleware.Limit(middleware.LimitOptions{PerKey: 1, Key: func(r *http.Request) string { return r.Header.Get("User") }}))
		a, _ := s.opens("User", "a")
		s.opens("User", "b")
		if got := s.refuses(http.StatusTooManyRequests, "User", "a").Header.Get("Retry-After"); got != "5" {
			t.Errorf("Retry-After %q", got)
		}
		a.Close(t.Context(), ws.StatusNormal, "")
		synctest.Wait()
		s.opens("User", "a")
	})
}

// TestLimitForgetsRefused has an inner handler refuse, which must not count.
func TestLimitForgetsRefused(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		s.start(middleware.Chain(
			middleware.Limit(middleware.LimitOptions{Total: 1, PerKey: 1, Pending: 1}),
			middleware.Origin(middleware.OriginOptions{})))
		for range 3 {
			s.refuses(http.StatusForbidden, "Origin", "https://evil.example")
		}
		s.opens()
	})
}

// TestLimitPending holds an upgrade up inside of the limit.
func TestLimitPending(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		hold := make(chan struct{})
		slow := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Slow") != "" {
					<-hold
				}
				next.ServeHTTP(w, r)
			})
		}
		s.start(middleware.Chain(middleware.Limit(middleware.LimitOptions{Pending: 1}), slow))
		s.opens() // is open, and pending no more
		done := make(chan context.Context)
		go func() {
			_, ctx := s.opens("Slow", "yes")
			done <- ctx
		}()
		synctest.Wait()
		s.refuses(http.StatusServiceUnavailable)
		close(hold)
		<-done
		s.opens()
	})
}

func TestLimitPanics(t *testing.T) {
	for _, o := range []middleware.LimitOptions{{}, {Total: -1}, {Total: 1, PerKey: -1}} {
		mustPanic(t, func() { middleware.Limit(o) })
	}
}
