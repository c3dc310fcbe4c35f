// Command filewatch shows a file in a web page, and its new lines as they are
// written, like tail -F.
//
//	go run ./examples/filewatch /var/log/syslog
//
// The page's address has a secret in it, which other users of this machine, and
// other pages in the same browser, don't know.
package main

import (
	"context"
	"crypto/rand"
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
	if flag.NArg() != 1 {
		log.Fatal("usage: filewatch [-addr ADDRESS] FILE")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	secret := rand.Text()
	fmt.Printf("%s: http://%s/%s/\n", flag.Arg(0), ln.Addr(), secret)
	if err := run(ctx, ln, secret, flag.Arg(0)); err != nil {
		log.Fatal(err)
	}
}

// run serves the page below /secret/ on ln until ctx ends.
func run(ctx context.Context, ln net.Listener, secret, file string) error {
	h := &ws.Handler{Serve: watcher{file, 250 * time.Millisecond}.serve}
	srv := &http.Server{Handler: routes(secret, h), ReadHeaderTimeout: 10 * time.Second}
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

func routes(secret string, lines http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Route("/"+secret, func(r chi.Router) {
		r.Get("/", func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, page, "page/filewatch.html")
		})
		r.Handle("/ws", lines)
	})
	r.Handle("/page/*", http.FileServerFS(page))
	return r
}
