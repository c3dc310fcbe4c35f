package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/router"
)

// nodeConfig is what a node's process is told on its command line.
type nodeConfig struct {
	Addr      string // to serve on
	Engine    engineConfig
	Heartbeat time.Duration
	Verbose   bool
}

// The rooms: all have a history but the one where presence is watched.
const (
	whoRoom  = "who"
	history  = 10_000 // messages that are kept of a room
	maxCalls = 64     // of one connection that are under way
)

// request is what a client asks of a node; one of Join and Publish is set.
type request struct {
	N       int          `json:"n"` // of the request, which its reply has again
	Join    string       `json:"join,omitempty"`
	Since   hub.Position `json:"since,omitzero"`
	Publish string       `json:"publish,omitempty"`
	ID      string       `json:"id,omitempty"`
}

type reply struct {
	N      int          `json:"n"`
	Joined hub.Joined   `json:"joined,omitzero"`
	Pos    hub.Position `json:"pos,omitzero"`
	Error  string       `json:"error,omitempty"`
}

// posted is a message, which consists of its id.
var posted = router.Emits[string](router.New(), "posted")

// nodeMain is a node's process: it says "ready" and serves until its standard
// input ends, or somebody kills it.
func nodeMain(config string) error {
	var cfg nodeConfig
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return err
	}
	logger := slog.New(slog.DiscardHandler)
	if cfg.Verbose {
		logger = slog.Default().With("node", cfg.Addr)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	broker, err := cfg.Engine.connect()
	if err != nil {
		return err
	}
	h := hub.New(&hub.Options{
		Broker: broker, Heartbeat: cfg.Heartbeat, Logger: logger,
		Principal: func(ctx context.Context) string { return ws.Request(ctx).URL.Query().Get("name") },
		Rooms: func(name string) (hub.RoomOptions, error) {
			if name == whoRoom {
				return hub.RoomOptions{Presence: true}, nil
			}
			return hub.RoomOptions{History: history, KeepFor: time.Hour}, nil
		},
	})
	if err := h.Start(ctx); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return err
	}
	handler := &ws.Handler{Serve: node{h}.serve, Options: ws.Options{Logger: logger}}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent
		os.Exit(0)
	}()
	fmt.Println("ready")
	return srv.Serve(ln)
}

type node struct{ hub *hub.Hub }

// serve answers requests; joining and publishing wait for the engine, and not for each other.
func (n node) serve(ctx context.Context, c *ws.Conn) error {
	calls := make(chan struct{}, maxCalls)
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		var r request
		if err := json.Unmarshal(m.Data, &r); err != nil {
			return err
		}
		calls <- struct{}{}
		go func() {
			defer func() { <-calls }()
			_ = ws.Send(ctx, c, n.answer(ctx, c, r)) // who doesn't get it asks again
		}()
	}
	return nil
}

func (n node) answer(ctx context.Context, c *ws.Conn, r request) (a reply) {
	a.N = r.N
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var err error
	if r.Join != "" {
		a.Joined, err = n.hub.Join(ctx, c, r.Join, &hub.JoinOptions{Since: r.Since})
	} else {
		m := hub.Typed(posted, r.ID)
		m.ID = r.ID
		a.Pos, err = n.hub.Publish(ctx, r.Publish, m)
	}
	if err != nil {
		a.Error = strings.ToValidUTF8(err.Error(), "?")
	}
	return a
}
