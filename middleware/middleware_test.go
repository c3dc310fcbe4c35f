package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/middleware"
	"github.com/tidewire/ws/wstest"
)

// A mount puts a handler behind middleware, at /ws.
type mount struct {
	name string
	wrap func(m func(http.Handler) http.Handler, h http.Handler) http.Handler
}

var mounts = []mount{
	{"http", func(m func(http.Handler) http.Handler, h http.Handler) http.Handler { return m(h) }},
	{"servemux", func(m func(http.Handler) http.Handler, h http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/ws", m(h))
		return mux
	}},
	{"chi-use", func(m func(http.Handler) http.Handler, h http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Use(m)
		r.Handle("/ws", h)
		return r
	}},
	{"chi-with", func(m func(http.Handler) http.Handler, h http.Handler) http.Handler {
		r := chi.NewRouter()
		r.With(m).Handle("/ws", h)
		return r
	}},
}

// run runs f in a bubble for each mount, over Serve and over Events.
func run(t *testing.T, f func(t *testing.T, s *site)) {
	for _, m := range mounts {
		for _, events := range []bool{false, true} {
			name := m.name + "-serve"
			if events {
				name = m.name + "-events"
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { f(t, newSite(t, m, events)) })
			})
		}
	}
}

// site is a server in memory.
type site struct {
	t        *testing.T
	mount    mount
	handler  *ws.Handler
	contexts chan context.Context // of each connection's first message
	log      *log
	listener wstest.Listener
	server   http.Server
}

func newSite(t *testing.T, m mount, events bool) *site {
	s := &site{t: t, mount: m, contexts: make(chan context.Context, 100), log: new(log)}
	s.handler = &ws.Handler{Serve: s.serve}
	if events {
		s.handler = &ws.Handler{Events: s}
	}
	s.handler.Options.Logger = s.log.logger()
	return s
}

// start serves the handler behind m.
func (s *site) start(m func(http.Handler) http.Handler) {
	s.server.Handler, s.server.ErrorLog = s.mount.wrap(m, s.handler), slog.NewLogLogger(s.log.logger().Handler(), slog.LevelError)
	go s.server.Serve(&s.listener)
	s.t.Cleanup(func() { s.handler.Shutdown(s.t.Context()); s.server.Close() })
}

// serve echoes, as Message does.
func (s *site) serve(ctx context.Context, c *ws.Conn) error {
	for m, err := range c.Messages(ctx) {
		if err == nil {
			err = s.Message(ctx, c, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *site) Message(ctx context.Context, c *ws.Conn, m ws.Message) error {
	s.contexts <- ctx
	if string(m.Data) == "panic" {
		panic("as asked")
	}
	return c.Write(ctx, m.Type, m.Data)
}

// dial asks for an upgrade with some header fields, names and values in turn.
func (s *site) dial(fields ...string) (*ws.Conn, *http.Response) {
	s.t.Helper()
	return s.dialURL("ws://site.example/ws", fields...)
}

func (s *site) dialURL(url string, fields ...string) (*ws.Conn, *http.Response) {
	s.t.Helper()
	o := &ws.DialOptions{NetDialContext: s.listener.DialContext, Header: http.Header{}}
	for i := 0; i < len(fields); i += 2 {
		switch fields[i] {
		case "Host":
			o.Host = fields[i+1]
		case "Sec-WebSocket-Protocol":
			o.Subprotocols = strings.Split(fields[i+1], ", ")
		default:
			o.Header.Add(fields[i], fields[i+1])
		}
	}
	c, resp, err := ws.Dial(s.t.Context(), url, o)
	if resp == nil {
		s.t.Fatal(err)
	}
	if c != nil {
		s.t.Cleanup(func() { c.CloseNow() })
	}
	return c, resp
}

// opens dials, checks that there is a connection, and returns it with the context of its messages.
func (s *site) opens(fields ...string) (*ws.Conn, context.Context) {
	s.t.Helper()
	c, resp := s.dial(fields...)
	if c == nil {
		s.t.Fatalf("%v: got %s", fields, resp.Status)
	}
	if err := c.Write(s.t.Context(), ws.Text, []byte("hello")); err != nil {
		s.t.Fatal(err)
	}
	if _, p, err := c.Read(s.t.Context()); err != nil || string(p) != "hello" {
		s.t.Fatalf("got %q, %v", p, err)
	}
	return c, <-s.contexts
}

// refuses dials and checks the status.
func (s *site) refuses(status int, fields ...string) *http.Response {
	s.t.Helper()
	c, resp := s.dial(fields...)
	if c != nil || resp.StatusCode != status {
		s.t.Errorf("%v: got %s, want %d", fields, resp.Status, status)
	}
	return resp
}

// log collects a JSON logger's lines.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

// lines returns what has been logged since it was last asked for.
func (l *log) lines(t *testing.T) (lines []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for dec := json.NewDecoder(&l.buf); dec.More(); {
		var line map[string]any
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

// all is every middleware, set so that it refuses nothing.
func all(logger *slog.Logger) func(http.Handler) http.Handler {
	return middleware.Chain(
		middleware.RequestID(),
		middleware.AccessLog(logger),
		middleware.Recover(logger),
		middleware.RateLimit(middleware.RateLimitOptions{Rate: 1e9, Burst: 1 << 30}),
		middleware.Limit(middleware.LimitOptions{Total: 1e6, PerKey: 1e6, Pending: 1e6}),
		middleware.Origin(middleware.OriginOptions{Allow: []string{"https://page.example"}}),
		middleware.Authenticate(func(*http.Request) (any, time.Time, error) { return "somebody", time.Time{}, nil }),
	)
}

func TestAll(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		s.start(all(s.log.logger()))
		c, ctx := s.opens("Origin", "https://page.example")
		if p := ws.Principal(ctx); p != "somebody" {
			t.Errorf("principal %v", p)
		}
		if err := c.Close(t.Context(), ws.StatusNormal, ""); err != nil {
			t.Error(err)
		}
	})
}

// TestChainOrder checks that the first middleware is the outermost, and that a chain is its own.
func TestChainOrder(t *testing.T) {
	var order []string
	mark := func(name string) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				order = append(order, name)
				next.ServeHTTP(w, r)
			})
		}
	}
	parts := []func(http.Handler) http.Handler{mark("a"), mark("b")}
	chain := middleware.Chain(parts...)
	parts[0] = mark("changed")
	h := chain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { order = append(order, "h") }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if got := strings.Join(order, " "); got != "a b h" {
		t.Errorf("got %s", got)
	}
}

// TestOthersPass sends requests that are no upgrades through middleware that would refuse any upgrade.
func TestOthersPass(t *testing.T) {
	never := errors.New("never")
	for name, m := range map[string]func(http.Handler) http.Handler{
		"RequestID": middleware.RequestID(),
		"AccessLog": middleware.AccessLog(slog.New(slog.NewTextHandler(failOnWrite{t}, nil))),
		"Recover":   middleware.Recover(nil),
		"RateLimit": middleware.RateLimit(middleware.RateLimitOptions{Rate: 1e-9}),
		"Limit":     middleware.Limit(middleware.LimitOptions{Total: 1}),
		"Origin":    middleware.Origin(middleware.OriginOptions{Hosts: []string{"other.example"}}),
		"Authenticate": middleware.Authenticate(func(*http.Request) (any, time.Time, error) {
			return nil, time.Time{}, never
		}),
	} {
		t.Run(name, func(t *testing.T) {
			h := m(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) }))
			for range 3 {
				w := httptest.NewRecorder()
				r := httptest.NewRequest("GET", "/", nil)
				r.Header.Set("Origin", "null")
				h.ServeHTTP(w, r)
				if w.Code != http.StatusTeapot || len(w.Header()) != 0 {
					t.Errorf("got %d, %v", w.Code, w.Header())
				}
			}
		})
	}
}

type failOnWrite struct{ t *testing.T }

func (f failOnWrite) Write(p []byte) (int, error) {
	f.t.Errorf("logged %s", p)
	return len(p), nil
}
