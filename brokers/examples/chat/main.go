// Command chat is the chat of examples/chat on as many nodes as you like: whoever
// is in a room hears what is said there and sees who else is, whatever node they
// are connected to, and who comes back, to another node, say, misses nothing.
// The nodes are connected by NATS, by Redis, or by NATS servers of their own:
//
//	go run ./chat -nats nats://127.0.0.1:4222          with JetStream
//	go run ./chat -redis 127.0.0.1:6379
//	go run ./chat -cluster 127.0.0.1:6221 -routes 127.0.0.1:6221,127.0.0.1:6222,127.0.0.1:6223
//
// With -cluster each node brings its own server, at that address for the others.
// What is said is kept by all, of which more than half have to be there: of
// three, one may be gone. Without any of these there is one node.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/tidewire/ws/examples/chat/app"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to serve on")
	var e engine
	flag.StringVar(&e.nats, "nats", "", "`URL` of a NATS server with JetStream")
	flag.StringVar(&e.redis, "redis", "", "`address` of a Redis server")
	flag.StringVar(&e.cluster, "cluster", "", "`address` of this node's own NATS server for the other nodes")
	routes := flag.String("routes", "", "with -cluster: `addresses` of all nodes, with commas between")
	flag.StringVar(&e.dir, "dir", "", "with -cluster: `directory` for what is said; empty: a temporary one")
	flag.Parse()
	e.routes = strings.Split(*routes, ",")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("chat: http://%s\n", ln.Addr())
	if err := e.run(ctx, ln); err != nil {
		log.Fatal(err)
	}
}

// run serves a node on ln until ctx ends.
func (e engine) run(ctx context.Context, ln net.Listener) error {
	broker, stop, err := e.connect()
	if err != nil {
		return err
	}
	defer stop()
	return app.Run(ctx, ln, broker)
}
