// Command chat is a chat in a web page: several rooms, the last messages of each,
// and who is there.
//
//	go run ./examples/chat
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/tidewire/ws"
)

//go:embed page
var page embed.FS

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to serve on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("chat: http://%s\n", ln.Addr())
	if err := run(ctx, ln); err != nil {
		log.Fatal(err)
	}
}

// run serves the chat on ln until ctx ends, and then takes leave of everybody.
func run(ctx context.Context, ln net.Listener) error {
	h := &ws.Handler{Serve: new(chat).serve, Options: ws.Options{ReadLimit: maxText}}
	srv := &http.Server{Handler: routes(h), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return errors.Join(h.Shutdown(ctx), srv.Shutdown(ctx))
}

func routes(chat http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Use(policy)
	r.Get("/", http.RedirectHandler("/room/lobby", http.StatusFound).ServeHTTP)
	r.Route("/room/{room:[a-z0-9-]{1,32}}", func(r chi.Router) {
		r.Get("/", func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, page, "page/chat.html")
		})
		r.Handle("/ws", chat) // not Get: over HTTP/2 an upgrade is a CONNECT
	})
	r.Handle("/page/*", http.FileServerFS(page))
	return r
}

// policy has the browser run nothing that isn't the chat's own.
func policy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}
