// Command deploy is a service that is replaced while clients are connected, and
// clients that lose nothing by it.
//
//	go run ./examples/deploy serve -addr 127.0.0.1:8081 -journal a.txt
//	go run ./examples/deploy serve -addr 127.0.0.1:8082 -journal b.txt
//	go run ./examples/deploy proxy -addr 127.0.0.1:8080 127.0.0.1:8081 127.0.0.1:8082
//	go run ./examples/deploy send -n 1000 -every 20ms ws://127.0.0.1:8080
//
// Interrupt one of the servers, start it again, and do the same with the other:
// the clients are told to come back (close code 1012), over a while and each at
// another time, find the server that is there, and send again what was not
// acknowledged. haproxy.cfg and nginx.conf do what the proxy here does.
package main

import (
	"context"
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
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string) error {
	roles := map[string]func(context.Context, *flag.FlagSet, []string) error{"serve": serve, "proxy": proxy, "send": send}
	if len(args) == 0 || roles[args[0]] == nil {
		return errors.New("usage: deploy serve|proxy|send [flags]")
	}
	return roles[args[0]](ctx, flag.NewFlagSet(args[0], flag.ExitOnError), args[1:])
}

// listenAndServe serves until ctx ends and then calls drain before the http.Server is shut down.
func listenAndServe(ctx context.Context, addr string, h http.Handler, drain func(context.Context) error) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("listening on %s\n", ln.Addr())
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return errors.Join(drain(ctx), srv.Shutdown(ctx))
}
