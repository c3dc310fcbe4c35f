// Command rpc is a small chat over typed messages, behind chi: requests, events,
// a stream, validation, sign-in, an admin's group, and a page that uses the
// generated client.
//
//	go run ./examples/rpc                      http://localhost:8080, and its explorer at /api/
//	go run ./examples/rpc -schema DIR          writes asyncapi.json, client.ts and client.js
package main

import (
	"flag"
	"log"
	"net"
	"net/http"
	"time"

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
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("http://%s", ln.Addr())
	srv := &http.Server{Handler: newServer(r), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(srv.Serve(ln))
}
