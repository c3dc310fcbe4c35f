package app

import (
	"context"
	"embed"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/middleware"
)

// The page, and the client that it uses: the two files client.js and client.ts
// are generated (go test ./examples/chat/app -update).
//
//go:embed page
var page embed.FS

// Run serves the chat on ln until ctx ends, and then takes leave of everybody.
// broker is as in New; it is closed.
func Run(ctx context.Context, ln net.Listener, broker hub.Broker) error {
	c, err := New(ctx, broker)
	if err != nil && ctx.Err() != nil {
		return nil // stopped before it had begun
	}
	if err != nil {
		return err
	}
	h := c.handler()
	srv := &http.Server{Handler: routes(h), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(h.Shutdown(ctx), c.Close(ctx), srv.Shutdown(ctx))
}

func routes(chat http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Use(policy)
	r.Get("/", http.RedirectHandler("/room/lobby", http.StatusFound).ServeHTTP)
	r.Get("/room/{room:[a-z0-9-]{1,32}}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, page, "page/chat.html")
	})
	r.Handle("/page/*", http.FileServerFS(page))
	r.With(middleware.Authenticate(named)).Handle("/ws", chat) // not Get: over HTTP/2 an upgrade is a CONNECT
	return r
}

// named believes everybody; a program of yours would ask for a password.
func named(r *http.Request) (principal any, expiry time.Time, err error) {
	return tidyName(r.URL.Query().Get("name")), time.Time{}, nil
}

// policy has the browser run nothing that isn't the chat's own.
func policy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}
