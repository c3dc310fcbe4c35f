//go:build linux

package attack_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/middleware"
)

// echo sends every message back.
type echo struct{}

func (echo) Message(ctx context.Context, c *ws.Conn, m ws.Message) error {
	return c.Write(ctx, m.Type, m.Data)
}

// serve is a server with the limits that are ws's defaults, and net/http's as
// SECURITY.md says, but for shorter timeouts. Only /limited has a rate limit: it
// would keep most of these attackers out. (They all come from one machine, so
// /limited goes by what they say.)
func serve(o order) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h := &ws.Handler{Events: echo{}, Options: ws.Options{MessageTimeout: o.Patience, Logger: slog.New(slog.DiscardHandler)}}
	limited := middleware.RateLimit(middleware.RateLimitOptions{Rate: 1, Burst: 10,
		Key: middleware.ClientIP("X-Forwarded-For", netip.MustParsePrefix("127.0.0.0/8"))})
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.Handle("/limited", limited(h))
	mux.HandleFunc("/live", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, h.Stats().Live) })
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: o.Patience, MaxHeaderBytes: 32 << 10,
		ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		fmt.Println(ln.Addr())
		_, _ = io.Copy(io.Discard, os.Stdin)
		srv.Close()
	}()
	if err := srv.Serve(ln); err != http.ErrServerClosed {
		return err
	}
	return nil
}
