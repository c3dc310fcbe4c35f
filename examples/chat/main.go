// Command chat is a chat in a web page: rooms, who is there, the last messages,
// who is writing, and nothing lost when the connection breaks. It stands on
// packages hub and router; the page uses the client that is generated from them.
//
//	go run ./examples/chat
//
// Over several nodes it is in brokers/examples.
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

	"github.com/tidewire/ws/examples/chat/app"
)

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
	if err := app.Run(ctx, ln, nil); err != nil {
		log.Fatal(err)
	}
}
