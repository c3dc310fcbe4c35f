package middleware_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	chimw "github.com/go-chi/chi/v5/middleware"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/middleware"
)

// wrapped is a ResponseWriter of somebody else's.
type wrapped struct{ http.ResponseWriter }

type unwrappable struct{ wrapped }

func (w unwrappable) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// TestStacks puts other people's middleware around ours: a connection opens and outlives what they do to a request, or is
// refused in words that name who is in the way.
func TestStacks(t *testing.T) {
	discard := chimw.RequestLogger(&chimw.DefaultLogFormatter{Logger: nowhere{}, NoColor: true})
	stacks := map[string]struct {
		m      func(http.Handler) http.Handler
		hidden string               // the type that hides the connection
		server func(s *http.Server) // what else is set
	}{
		"http.Server's timeouts": {m: middleware.Chain(), server: func(s *http.Server) {
			s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = time.Second, time.Second, time.Second, time.Second
		}},
		"chi Logger":    {m: discard},
		"chi Recoverer": {m: chimw.Recoverer},
		"chi Timeout":   {m: chimw.Timeout(time.Second)},
		"chi Compress":  {m: chimw.Compress(5)},
		"chi Throttle":  {m: chimw.Throttle(10)},
		"chi RealIP":    {m: chimw.RealIP}, //nolint:staticcheck // people have it
		"chi NoCache":   {m: chimw.NoCache},
		"MaxBytes":      {m: func(h http.Handler) http.Handler { return http.MaxBytesHandler(h, 1) }},
		"StripPrefix":   {m: func(h http.Handler) http.Handler { return http.StripPrefix("/", h) }},
		"unwrappable": {m: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(unwrappable{wrapped{w}}, r) })
		}},
		"wrapped": {hidden: "middleware_test.wrapped", m: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(wrapped{w}, r) })
		}},
		"TimeoutHandler": {hidden: "*http.timeoutWriter", m: func(h http.Handler) http.Handler {
			return http.TimeoutHandler(h, time.Second, "too slow")
		}},
	}
	for name, stack := range stacks {
		for _, events := range []bool{false, true} {
			t.Run(name+map[bool]string{false: "-serve", true: "-events"}[events], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSite(t, mounts[0], events)
					if stack.server != nil {
						stack.server(&s.server)
					}
					ours := all(new(log).logger())
					s.start(func(h http.Handler) http.Handler { return stack.m(ours(h)) })
					if stack.hidden != "" {
						s.refuses(http.StatusInternalServerError)
						synctest.Wait()
						if lines := s.log.lines(t); len(lines) != 1 || !strings.Contains(lines[0]["msg"].(string), stack.hidden) {
							t.Errorf("logged %v, want the name of %s", lines, stack.hidden)
						}
						return
					}
					c, ctx := s.opens()
					go func() {
						time.Sleep(time.Minute) // far beyond every timeout around the handler
						c.Write(t.Context(), ws.Text, []byte("late"))
					}()
					if _, p, err := c.Read(t.Context()); err != nil || string(p) != "late" {
						t.Errorf("after a minute: %q, %v", p, err)
					}
					if ws.Principal(ctx) != "somebody" {
						t.Error("no principal")
					}
					c.Close(t.Context(), ws.StatusNormal, "")
				})
			})
		}
	}
}

type nowhere struct{}

func (nowhere) Print(...any) {}
