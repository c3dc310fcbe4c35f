// Command command shows a program in a web page: what it prints appears there,
// what is typed there it reads. Each visit starts a process of its own.
//
//	go run ./examples/command           # a shell
//	go run ./examples/command bc -l
//
// Whoever can open the page can run the program. Its address therefore has a
// secret in it, which other users of this machine, and other pages in the same
// browser, don't know.
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
	"strings"
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
	command := program(flag.Args())
	if len(command) == 0 {
		command = program{"sh"}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	secret := rand.Text()
	fmt.Printf("%s: http://%s/%s/\n", strings.Join(command, " "), ln.Addr(), secret)
	if err := run(ctx, ln, secret, command); err != nil {
		log.Fatal(err)
	}
}

// run serves the page below /secret/ on ln until ctx ends, and then ends every
// process.
func run(ctx context.Context, ln net.Listener, secret string, p program) error {
	h := &ws.Handler{Serve: p.serve}
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

func routes(secret string, terminal http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Route("/"+secret, func(r chi.Router) {
		r.Get("/", func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, page, "page/command.html")
		})
		r.Handle("/ws", terminal)
	})
	r.Handle("/page/*", http.FileServerFS(page))
	return r
}
