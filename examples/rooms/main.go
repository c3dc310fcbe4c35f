// Command rooms is rooms over several nodes: whoever is in a room hears what is
// said there and sees who else is, whatever node they are connected to, and who
// comes back hears what they have missed. Each node brings its own NATS server.
//
//	go run . -addr 127.0.0.1:8081 -cluster 127.0.0.1:6221 -routes 127.0.0.1:6221,127.0.0.1:6222
//	go run . -addr 127.0.0.1:8082 -cluster 127.0.0.1:6222 -routes 127.0.0.1:6221,127.0.0.1:6222
//
// and open http://127.0.0.1:8081 and http://127.0.0.1:8082. What is said is kept by
// all nodes, of which more than half have to be there: of three, one may be gone.
// Without -cluster there is one node, and no server.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/tidewire/ws"
)

//go:embed page
var page embed.FS

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to serve on")
	cluster := flag.String("cluster", "", "`address` for the other nodes; empty: there are none")
	routes := flag.String("routes", "", "`addresses` of all nodes, with commas between")
	dir := flag.String("dir", "", "`directory` for what is said in the rooms; empty: a temporary one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	n := node{cluster: *cluster, routes: strings.Split(*routes, ","), dir: *dir}
	if err := n.run(ctx, ln); err != nil {
		log.Fatal(err)
	}
}

// node is one of the nodes.
type node struct {
	cluster string
	routes  []string
	dir     string
}

// run serves on ln until ctx ends, and then takes leave of everybody.
func (n node) run(ctx context.Context, ln net.Listener) (err error) {
	broker, stop, err := n.connect()
	if err != nil {
		return err
	}
	defer stop()
	r, err := newRooms(ctx, broker)
	if err != nil {
		return err
	}
	h := &ws.Handler{Events: r.router}
	srv := &http.Server{Handler: routes(h), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	fmt.Printf("rooms: http://%s\n", ln.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(h.Shutdown(ctx), r.hub.Close(ctx), srv.Shutdown(ctx))
}

func routes(rooms http.Handler) http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // it is embedded
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", rooms)
	mux.Handle("/", http.FileServerFS(files))
	return mux
}
