package middleware_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/middleware"
)

// expect checks some fields of a log line.
func expect(t *testing.T, line map[string]any, want map[string]any) {
	t.Helper()
	for name, v := range want {
		if line[name] != v {
			t.Errorf("%s: got %v, want %v, in %v", name, line[name], v, line)
		}
	}
}

func TestAccessLog(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		s.handler.Options.Subprotocols = []string{"chat"}
		s.start(middleware.Chain(middleware.RequestID(), middleware.AccessLog(s.log.logger())))
		c, _ := s.opens("Sec-WebSocket-Protocol", "chat", "X-Request-Id", "r-1")
		lines := s.log.lines(t)
		if len(lines) != 1 {
			t.Fatalf("opened: %v", lines)
		}
		expect(t, lines[0], map[string]any{"level": "INFO", "msg": "websocket opened", "host": "site.example", "path": "/ws",
			"remote": "192.0.2.2:1", "subprotocol": "chat", "request_id": "r-1"})

		time.Sleep(3 * time.Second)
		c.Close(t.Context(), ws.StatusGoingAway, "")
		synctest.Wait()
		if lines = s.log.lines(t); len(lines) != 1 {
			t.Fatalf("closed: %v", lines)
		}
		expect(t, lines[0], map[string]any{"level": "INFO", "msg": "websocket closed", "path": "/ws", "request_id": "r-1",
			"duration": 3e9, "messages_in": 1., "bytes_in": 5., "messages_out": 1., "bytes_out": 5., "code": 1001.})
	})
}

// onStacks is a slog.Handler that keeps the stacks on which it was called.
type onStacks struct {
	slog.Handler
	stacks chan string
}

func (o onStacks) Handle(context.Context, slog.Record) error {
	o.stacks <- string(debug.Stack())
	return nil
}

// TestAccessLogStack checks that the connection's goroutine, whose stack stays as large as it once was, does not log that it
// is open.
func TestAccessLogStack(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		stacks := make(chan string, 1)
		s.start(middleware.AccessLog(slog.New(onStacks{slog.NewTextHandler(s.log, nil), stacks})))
		c, _ := s.opens()
		if stack := <-stacks; strings.Contains(stack, "ServeHTTP") {
			t.Errorf("logged on %s", stack)
		}
		c.Close(t.Context(), ws.StatusNormal, "")
	})
}

func TestAccessLogRefused(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		s.start(middleware.Chain(middleware.AccessLog(s.log.logger()), middleware.Origin(middleware.OriginOptions{})))
		s.refuses(http.StatusForbidden, "Origin", "https://evil.example")
		synctest.Wait()
		lines := s.log.lines(t)
		if len(lines) != 1 {
			t.Fatalf("refused: %v", lines)
		}
		expect(t, lines[0], map[string]any{"level": "WARN", "msg": "websocket refused", "by": "origin", "status": 403.})
		if reason, _ := lines[0]["reason"].(string); !strings.Contains(reason, "evil.example") {
			t.Errorf("reason %q", reason)
		}
	})
}

func TestAccessLogLeavesOutQuery(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		s.start(middleware.AccessLog(s.log.logger()))
		c, _ := s.dialURL("ws://site.example/ws?ticket=SECRET")
		c.Close(t.Context(), ws.StatusNormal, "")
		synctest.Wait()
		if text := s.log.buf.String(); strings.Contains(text, "SECRET") || strings.Count(text, "\n") != 2 {
			t.Errorf("logged %s", text)
		}
	})
}

func TestAccessLogOfOtherAnswers(t *testing.T) {
	var l log
	status(middleware.AccessLog(l.logger()), upgradeRequest())
	lines := l.lines(t)
	if len(lines) != 1 {
		t.Fatalf("got %v", lines)
	}
	expect(t, lines[0], map[string]any{"msg": "websocket not opened", "path": "/ws"})
}

func TestRequestID(t *testing.T) {
	for _, tt := range []struct {
		sent string
		kept bool
	}{
		{"", false}, {"abc-1", true}, {"00-4bf9/2:x+y=_.", true}, {strings.Repeat("a", 128), true},
		{strings.Repeat("a", 129), false}, {"a b", false}, {"a\nb", false}, {"ä", false}, {`"`, false},
	} {
		w, got := httptest.NewRecorder(), ""
		h := middleware.RequestID()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = middleware.RequestIDOf(r.Context()) }))
		h.ServeHTTP(w, upgradeRequest("X-Request-Id", tt.sent))
		if (got == tt.sent) != tt.kept || len(got) < 5 || w.Header().Get("X-Request-Id") != got {
			t.Errorf("%q: got %q, header %v", tt.sent, got, w.Header())
		}
	}
}

// TestRequestIDDiffers checks that no two upgrades share an identifier that they haven't brought along.
func TestRequestIDDiffers(t *testing.T) {
	seen := map[string]bool{}
	h := middleware.RequestID()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen[middleware.RequestIDOf(r.Context())] = true }))
	for range 100 {
		h.ServeHTTP(httptest.NewRecorder(), upgradeRequest())
	}
	if len(seen) != 100 {
		t.Errorf("%d different ones", len(seen))
	}
}

func TestRecover(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		panics := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Panic") == "before" {
					panic("oh dear")
				}
				next.ServeHTTP(w, r)
				if r.Header.Get("Panic") == "after" {
					panic("oh no")
				}
			})
		}
		s.start(middleware.Chain(middleware.Recover(s.log.logger()), panics))
		s.refuses(http.StatusInternalServerError, "Panic", "before")
		c, _ := s.opens("Panic", "after")
		c.Close(t.Context(), ws.StatusNormal, "")
		synctest.Wait()
		lines := s.log.lines(t)
		if len(lines) != 2 {
			t.Fatalf("got %v", lines)
		}
		expect(t, lines[0], map[string]any{"level": "ERROR", "msg": "ws: upgrade panicked", "panic": "oh dear"})
		expect(t, lines[1], map[string]any{"level": "ERROR", "msg": "ws: upgrade panicked", "panic": "oh no"})
		if stack, _ := lines[0]["stack"].(string); !strings.Contains(stack, "log_test.go") {
			t.Errorf("stack %s", stack)
		}
	})
}

// TestHandlerPanics checks that a connection whose handler panics is counted and logged like any other.
func TestHandlerPanics(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		limit := middleware.Limit(middleware.LimitOptions{Total: 1})
		s.start(middleware.Chain(middleware.AccessLog(s.log.logger()), middleware.Recover(s.log.logger()), limit))
		for range 2 {
			c, _ := s.opens()
			if err := c.Write(t.Context(), ws.Text, []byte("panic")); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusInternalError {
				t.Errorf("got %v", err)
			}
			synctest.Wait()
			lines := s.log.lines(t)
			if len(lines) != 3 {
				t.Fatalf("got %v", lines)
			}
			expect(t, lines[1], map[string]any{"level": "ERROR", "msg": "ws: handler panicked", "panic": "as asked"})
			expect(t, lines[2], map[string]any{"level": "INFO", "msg": "websocket closed", "messages_in": 2., "messages_out": 1.})
		}
	})
}

// TestRecoverAfterRefusal panics when the response has been sent.
func TestRecoverAfterRefusal(t *testing.T) {
	h := middleware.Chain(middleware.Recover(new(log).logger()), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			panic("late")
		})
	}, middleware.Origin(middleware.OriginOptions{}))
	w := httptest.NewRecorder()
	h(http.NotFoundHandler()).ServeHTTP(w, upgradeRequest("Origin", "null"))
	if text := w.Body.String(); w.Code != http.StatusForbidden || strings.Contains(text, "Internal") {
		t.Errorf("got %d %s", w.Code, text)
	}
}

func TestRecoverPassesOnAbort(t *testing.T) {
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("got %v", v)
		}
	}()
	h := middleware.Recover(nil)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	h.ServeHTTP(httptest.NewRecorder(), upgradeRequest())
}
