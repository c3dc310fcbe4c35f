//go:build linux

// Package peer holds the servers and clients that the bench compares, each set up the way its own docs say is best, one file a
// library. To add one: write its file, and name it in Servers or Clients.
package peer

import (
	"net"
	"net/http"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

// Mode is what a server does with its connections.
type Mode string

const (
	Echo      Mode = "echo"      // every message goes back as it came
	Text      Mode = "text"      // the same, once the text has been checked to be UTF-8: by the library if it can, else by hand
	Stack     Mode = "stack"     // the same, by a handler that needs 5 KB of stack
	Deflate   Mode = "deflate"   // Echo with permessage-deflate, without context takeover, every message compressed
	Takeover  Mode = "takeover"  // Echo with permessage-deflate, with context takeover both ways
	Writers   Mode = "writers"   // for each message Goroutines goroutines write it back Each times each
	Broadcast Mode = "broadcast" // each message goes to all connections, Config.Burst times, its first byte counting
	Prepared  Mode = "prepared"  // the same, framed once for all of them
	Room      Mode = "room"      // Broadcast to the members of a room, by the best that the library has for it
	Members   Mode = "members"   // Echo, and each connection is in Config.Rooms rooms
	Mixed     Mode = "mixed"     // Prepared, with permessage-deflate on those that offer it, with context takeover where they and the library can
)

// What a message sets off in Writers mode.
const (
	Goroutines = 16
	Each       = 256
)

// Config says how a server process runs. Servers built elsewhere get it as environment variables (see README.md).
type Config struct {
	Mode  Mode
	Burst int  // Broadcast, Prepared, Room and Mixed: copies of each message
	Rooms int  // Members
	Chi   bool // behind chi with RequestID, RealIP, Recoverer and a route
	TLS   bool // the listener speaks TLS
}

// Role says what a server is compared for.
type Role int

const (
	Ours  Role = iota
	Peer       // a Go library for WebSocket
	Floor      // no WebSocket at all: what the runtime and the kernel cost
	Other      // another language
)

// A Server is one competitor.
type Server struct {
	Name  string
	Role  Role
	About string // how it's set up
	Modes map[Mode]Maker
	Waits bool // is there for what its connections hold while they wait, and for nothing else

	Command []string // instead of Modes: a program that keeps to the protocol of README.md
	Needs   []string // files and programs without which Command can't run
	Hint    string   // how to get them
}

// A Maker returns the function that serves a listener in the mode that it stands for, or nil if it can't under cfg.
type Maker func(cfg Config) func(net.Listener) error

// Servers are all servers that are built in, in the order of the tables' columns.
var Servers = []*Server{&own, &ownEvents, &ownChain, &ownLogged, &ownTry, &ownWaiter, &ownHub, &gorilla, &coder, &gobwas, &gws, &fast,
	&melodyServer, &rawTCP, &epoll, &bun, &npmWS}

// onHTTP makes a mode of a handler for net/http.
func onHTTP(handler func(Config) http.HandlerFunc) Maker {
	return func(cfg Config) func(net.Listener) error {
		server := &http.Server{Handler: router(cfg, handler(cfg))}
		return server.Serve
	}
}

// hidden is a listener whose connections don't show that they are sockets, as those of many wrappers don't.
type hidden struct{ net.Listener }

func (l hidden) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return struct{ net.Conn }{nc}, err
}

func router(cfg Config, h http.Handler) http.Handler {
	if cfg.Chi {
		r := chi.NewRouter()
		r.Use(middleware.RequestID, middleware.RealIP, middleware.Recoverer)
		r.Handle("/", h)
		return r
	}
	mux := http.NewServeMux()
	mux.Handle("/", h)
	return mux
}

// checked is cfg for a library that checks UTF-8 itself, so that handle needn't.
func (cfg Config) checked() Config {
	if cfg.Mode == Text {
		cfg.Mode = Echo
	}
	return cfg
}

// handle is what the application does with a message before it sends it back. It reports whether it liked it.
func (cfg Config) handle(text bool, p []byte) bool {
	switch cfg.Mode {
	case Text:
		return !text || utf8.Valid(p)
	case Stack:
		return needStack(p) >= 0
	}
	return true
}

// needStack uses 5 KB of stack.
//
//go:noinline
func needStack(p []byte) int {
	var work [5000]byte
	n := copy(work[:], p)
	sum := 0
	for i := range work {
		work[i] ^= byte(n)
		sum += int(work[i])
	}
	return sum
}
