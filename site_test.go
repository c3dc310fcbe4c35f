package ws_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/wstest"
)

// onMessage is a handler in both of its forms: a function for each message.
type onMessage func(ctx context.Context, c *ws.Conn, m ws.Message) error

func (f onMessage) Message(ctx context.Context, c *ws.Conn, m ws.Message) error { return f(ctx, c, m) }

func (f onMessage) serve(ctx context.Context, c *ws.Conn) error {
	for m, err := range c.Messages(ctx) {
		if err == nil {
			err = f(ctx, c, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var echoMessage onMessage = func(ctx context.Context, c *ws.Conn, m ws.Message) error {
	return c.Write(ctx, m.Type, m.Data)
}

// echo is what Serve wants.
func echo(ctx context.Context, c *ws.Conn) error { return echoMessage.serve(ctx, c) }

// forms runs a test over both forms of a handler.
func forms(t *testing.T, test func(t *testing.T, handler func(onMessage) *ws.Handler)) {
	t.Run("serve", func(t *testing.T) {
		test(t, func(f onMessage) *ws.Handler { return &ws.Handler{Serve: f.serve} })
	})
	t.Run("events", func(t *testing.T) {
		test(t, func(f onMessage) *ws.Handler { return &ws.Handler{Events: f} })
	})
}

// bubbles is forms with time that passes by itself.
func bubbles(t *testing.T, test func(t *testing.T, handler func(onMessage) *ws.Handler)) {
	forms(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
		synctest.Test(t, func(t *testing.T) { test(t, handler) })
	})
}

// networks runs a test over what connections can stand on: sockets, which Events
// reads with epoll where there is one, and TLS and memory, for which goroutines wait.
func networks(t *testing.T, test func(t *testing.T, start func(*testing.T, http.Handler) *site)) {
	t.Run("tcp", func(t *testing.T) { test(t, overTCP) })
	t.Run("tls", func(t *testing.T) { test(t, overTLS) })
	t.Run("memory", func(t *testing.T) { test(t, inMemory) })
}

// site is a server that ends with its test, and whatever was dialled with it.
type site struct {
	t       *testing.T
	url     string
	server  *http.Server
	options ws.DialOptions
	log     *logbook // the http.Server's
}

// inMemory starts a server that also works in a bubble.
func inMemory(t *testing.T, h http.Handler) *site {
	return listenInMemory(t, new(wstest.Listener), &http.Server{Handler: h})
}

func listenInMemory(t *testing.T, l *wstest.Listener, srv *http.Server) *site {
	s := &site{t: t, url: "ws://site.example/ws", server: srv, log: new(logbook)}
	s.options.NetDialContext = l.DialContext
	srv.ErrorLog = log.New(s.log, "", 0)
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return s
}

func overTCP(t *testing.T, h http.Handler) *site {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &site{t: t, url: srv.URL + "/ws", server: srv.Config}
}

func overTLS(t *testing.T, h http.Handler) *site {
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	s := &site{t: t, url: srv.URL + "/ws", server: srv.Config}
	s.options.TLSConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig
	return s
}

// dial connects, with Header fields given as names and values in turn.
func (s *site) dial(fields ...string) *ws.Conn {
	s.t.Helper()
	c, _, err := s.try(fields...)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *site) try(fields ...string) (*ws.Conn, *http.Response, error) {
	o := s.options
	o.Header = http.Header{}
	for i := 0; i < len(fields); i += 2 {
		o.Header.Add(fields[i], fields[i+1])
	}
	c, resp, err := ws.Dial(s.t.Context(), s.url, &o)
	if err == nil {
		s.t.Cleanup(func() { c.CloseNow() })
	}
	return c, resp, err
}

// raw connects without a word.
func (s *site) raw() net.Conn {
	s.t.Helper()
	var nc net.Conn
	var err error
	addr := strings.TrimSuffix(s.url[strings.Index(s.url, "//")+2:], "/ws")
	switch o := s.options; {
	case o.NetDialContext != nil:
		nc, err = o.NetDialContext(s.t.Context(), "", "")
	case o.TLSConfig != nil:
		nc, err = tls.Dial("tcp", addr, o.TLSConfig)
	default:
		nc, err = net.Dial("tcp", addr)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { nc.Close() })
	return nc
}

// goodLines is a request, its lines separated by "|".
const goodLines = "GET /ws HTTP/1.1|Host: site.example|Connection: Upgrade|Upgrade: websocket|" +
	"Sec-WebSocket-Version: 13|Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="

// ask sends a request, and what is to follow it at once, and reads the answer
// with its body, if it has one. The connection goes on behind it.
func (s *site) ask(lines, follow string) (*http.Response, string, io.ReadWriteCloser) {
	s.t.Helper()
	nc := s.raw()
	go io.WriteString(nc, strings.ReplaceAll(lines, "|", "\r\n")+"\r\n\r\n"+follow)
	br := bufio.NewReader(nc)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, "", struct {
			io.Reader
			io.WriteCloser
		}{br, nc}
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(body), nc
}

// roundTrip sends a text and wants it back.
func roundTrip(t *testing.T, c *ws.Conn, text string) {
	t.Helper()
	if err := c.Write(t.Context(), ws.Text, []byte(text)); err != nil {
		t.Fatal(err)
	}
	expectText(t, c, text)
}

func expectText(t *testing.T, c *ws.Conn, want string) {
	t.Helper()
	typ, p, err := c.Read(t.Context())
	if err != nil || typ != ws.Text || string(p) != want {
		t.Fatalf("got %v %.50q, %v; want %.50q", typ, p, err, want)
	}
}

// expectClose reads to the connection's end, and wants it to be a close frame,
// or, with 1006, none.
func expectClose(t *testing.T, c *ws.Conn, code ws.StatusCode, reason string) {
	t.Helper()
	_, p, err := c.Read(t.Context())
	var ce *ws.CloseError
	if !errors.As(err, &ce) || ce.Code != code || ce.Reason != reason {
		t.Errorf("got %q, %v; want a close with %v %q", p, err, code, reason)
	}
}

// logbook keeps what is logged, a line a record.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// expect wants one record that has all of the words, or, without any, none.
func (l *logbook) expect(t *testing.T, words ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.text.String()
	n := 0
	if len(words) > 0 {
		n = 1
	}
	if strings.Count(got, "\n") != n {
		t.Errorf("logged %q, want %d records", got, n)
	}
	for _, w := range words {
		if !strings.Contains(got, w) {
			t.Errorf("logged %q without %q", got, w)
		}
	}
}

func (l *logbook) count(word string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), word)
}
