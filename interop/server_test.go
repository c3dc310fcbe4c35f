package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"

	"github.com/tidewire/ws"
)

// ourServer is a server of this library with the paths that all servers here have:
//
//	/echo     sends messages back; speaks the subprotocols v2.echo and v1.echo
//	/small    the same for messages of 1 KiB at most
//	/close    closes with the query's code and reason when a message comes
//	/ping     pings, says "ponged" when the answer is there, and closes with 1000
//	/observe  waits for the client's close frame and tells the test about it
type ourServer struct {
	addr   string
	closed chan string // "CODE REASON" of clients at /observe
}

// smallLimit is the longest message at /small.
const smallLimit = 1024

// startServer serves until the test is over, with TLS if there is a config.
func startServer(t *testing.T, config *tls.Config) *ourServer {
	t.Helper()
	s := &ourServer{closed: make(chan string, 100)}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	if config != nil {
		ln = tls.NewListener(ln, config)
	}
	srv := &http.Server{Handler: s.routes()}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(ln) // ends with Close
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-served
	})
	return s
}

func (s *ourServer) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(path string, o ws.Options, serve func(context.Context, *ws.Conn) error) {
		o.Compression = ws.CompressionTakeover
		mux.Handle(path, &ws.Handler{Serve: serve, Options: o})
	}
	handle("/echo", ws.Options{Subprotocols: []string{"v2.echo", "v1.echo"}, ReadLimit: 4 << 20}, echo)
	handle("/small", ws.Options{ReadLimit: smallLimit}, echo)
	handle("/close", ws.Options{}, closeAsAsked)
	handle("/ping", ws.Options{}, ping)
	handle("/observe", ws.Options{}, s.observe)
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>interop</title>")
	})
	return mux
}

func echo(ctx context.Context, c *ws.Conn) error {
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		if err := c.WriteMessage(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func closeAsAsked(ctx context.Context, c *ws.Conn) error {
	q := ws.Request(ctx).URL.Query()
	code, err := strconv.ParseUint(q.Get("code"), 10, 16)
	if err != nil {
		return err
	}
	if _, _, err := c.Read(ctx); err != nil {
		return err
	}
	return ws.Status(ws.StatusCode(code), q.Get("reason"))
}

func ping(ctx context.Context, c *ws.Conn) error {
	ctx = c.CloseRead(ctx)
	if err := c.Ping(ctx); err != nil {
		return err
	}
	return c.Write(ctx, ws.Text, []byte("ponged"))
}

func (s *ourServer) observe(ctx context.Context, c *ws.Conn) error {
	_, _, err := c.Read(ctx)
	var closed *ws.CloseError
	if errors.As(err, &closed) {
		s.closed <- fmt.Sprint(uint16(closed.Code), " ", closed.Reason)
	}
	return err
}
