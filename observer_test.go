package ws_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/middleware"
)

// sightings is an Observer that notes what it is told.
type sightings struct {
	mu     sync.Mutex
	lines  []string
	closed chan struct{}
}

func (s *sightings) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *sightings) observer() *ws.Observer {
	s.closed = make(chan struct{}, 10)
	return &ws.Observer{
		Opened: func(ctx context.Context, c *ws.Conn) {
			page := "client"
			if r := ws.Request(ctx); r != nil {
				page = r.URL.Path
			}
			s.add("opened %s %v", page, ctx.Done() == c.Context().Done())
		},
		Refused: func(ctx context.Context, by string, status int) {
			s.add("refused %s by %s with %d", ws.Request(ctx).URL.Path, by, status)
		},
		Closed: func(c *ws.Conn, cause error) {
			s.add("closed %d", ws.CloseStatus(cause))
			s.closed <- struct{}{}
		},
		MessageIn:  func(c *ws.Conn, t ws.MessageType, n int) { s.add("in %d", n) },
		MessageOut: func(c *ws.Conn, t ws.MessageType, n int) { s.add("out %d", n) },
	}
}

func (s *sightings) expect(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.lines, want) {
		t.Errorf("got %q, want %q", s.lines, want)
	}
	s.lines = nil
}

func TestObserver(t *testing.T) {
	forms(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
		networks(t, func(t *testing.T, start func(*testing.T, http.Handler) *site) {
			var server, client sightings
			h := handler(echoMessage)
			h.Options.Observer = server.observer()
			s := start(t, h)
			s.options.Observer = client.observer()
			c := s.dial()
			roundTrip(t, c, "hello")
			if err := c.Close(t.Context(), ws.StatusGoingAway, ""); err != nil {
				t.Fatal(err)
			}
			<-server.closed
			<-client.closed
			server.expect(t, "opened /ws true", "in 5", "out 5", "closed 1001")
			client.expect(t, "opened client true", "out 5", "in 5", "closed 1001")
		})
	})
}

// TestObserverRefused checks that each refusal is told once, by whomever it is.
func TestObserverRefused(t *testing.T) {
	var s sightings
	o := s.observer()
	h := &ws.Handler{Serve: echo, Options: ws.Options{Observer: o, Logger: slog.New(slog.DiscardHandler)}, Configure: func(r *http.Request, _ *ws.Options) error {
		if r.URL.Path == "/configure" {
			return ws.Refuse(http.StatusPaymentRequired, "pay")
		}
		return nil
	}}
	limited := middleware.RateLimit(middleware.RateLimitOptions{Rate: 1e-9, Burst: 2})
	for name, handler := range map[string]http.Handler{
		"bare":   h,
		"within": ws.ObserveRefusals(o)(h),
	} {
		t.Run(name, func(t *testing.T) {
			ask := func(path, origin string) {
				r := httptest.NewRequest("GET", path, nil)
				for _, field := range []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-Websocket-Version: 13",
					"Sec-Websocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Origin: " + origin} {
					k, v, _ := strings.Cut(field, ": ")
					r.Header.Set(k, v)
				}
				handler.ServeHTTP(httptest.NewRecorder(), r)
			}
			ask("/a", "null")
			ask("/configure", "http://example.com")
			ask("/b", "http://example.com") // and no connection to take over
			s.expect(t, "refused /a by origin with 403", "refused /configure by configure with 402", "refused /b by server with 500")
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			s.expect(t, "refused / by handshake with 426") // a visitor who took the wrong road
			if name == "within" {
				handler = ws.ObserveRefusals(o)(limited(h))
				for range 3 {
					ask("/c", "null")
				}
				s.expect(t, "refused /c by origin with 403", "refused /c by origin with 403", "refused /c by rate limit with 429")
			}
		})
	}
}
