// Command echo sends every message back to where it came from.
//
//	go run ./examples/echo                                 serve ws://127.0.0.1:8080
//	go run ./examples/echo -dial ws://127.0.0.1:8080       send the lines of stdin, print the answers
//	go run ./examples/echo -autobahn ws://127.0.0.1:9001   be tested by Autobahn's fuzzing server
//
// It compresses (RFC 7692) if the other end does, and its limits are those that
// Autobahn's suite needs, whose messages have up to 16 MiB and 65,536 frames. A
// service of your own is better off with the defaults: 1 MiB and 10,000 frames.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
)

const (
	readLimit    = 32 << 20
	maxFragments = 100_000
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to serve on")
	dial := flag.String("dial", "", "be a client of the server at this `URL`")
	autobahn := flag.String("autobahn", "", "be tested by Autobahn's fuzzing server at this `URL`")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	var err error
	switch {
	case *autobahn != "":
		err = beTested(ctx, *autobahn, os.Stdout)
	case *dial != "":
		err = talk(ctx, *dial, os.Stdin, os.Stdout)
	default:
		err = listenAndServe(ctx, *addr)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func listenAndServe(ctx context.Context, addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("echo: ws://%s\n", ln.Addr())
	return serve(ctx, ln)
}
