// Command rpc is a small chat over typed messages, behind chi: requests, events,
// a stream, validation, sign-in, an admin's group, and a page that uses the
// generated client.
//
//	go run ./examples/rpc                      http://localhost:8080, and its explorer at /api/
//	go run ./examples/rpc -schema DIR          writes asyncapi.json, client.ts and client.js
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/router/schema"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	generate := schema.Flag(flag.CommandLine)
	flag.Parse()
	r := newChat().routes()
	if done, err := generate(r.API()); done {
		if err != nil {
			log.Fatal(err)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("http://%s", ln.Addr())
	var group ws.Group
	if err := serve(ctx, ln, newServer(r, &group), &group); err != nil {
		log.Fatal(err)
	}
}

// serve serves on ln until ctx ends, and then takes leave of everybody.
func serve(ctx context.Context, ln net.Listener, h http.Handler, group *ws.Group) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return errors.Join(group.Shutdown(ctx), srv.Shutdown(ctx))
}
