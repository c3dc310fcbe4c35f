//go:build linux

package peer

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/hub"
)

var ownHub = Server{
	Name:  "hub",
	Role:  Ours,
	About: "this library's hub, Handler.Events: Join, and Publish with all of a burst",
	Modes: map[Mode]Maker{
		Room:    onHTTP(hubRoom),
		Members: onHTTP(hubMembers),
	},
}

// hubEvents joins rooms when a connection opens.
type hubEvents struct {
	wsMessage
	hub   *hub.Hub
	rooms func() []string
}

func (e *hubEvents) Open(ctx context.Context, c *ws.Conn) (context.Context, error) {
	for _, room := range e.rooms() {
		if _, err := e.hub.Join(ctx, c, room, nil); err != nil {
			return nil, err
		}
	}
	return context.Background(), nil
}

// served is the hub whose Stats the process tells.
var served atomic.Pointer[hub.Hub]

func hubRoom(cfg Config) http.HandlerFunc {
	h := hub.New(nil)
	served.Store(h)
	return hubHandler(h, func() []string { return []string{"room"} }, func(ctx context.Context, _ *ws.Conn, m ws.Message) error {
		all := make([]hub.Message, 0, cfg.Burst)
		for _, p := range burst(m.Data, cfg.Burst) {
			all = append(all, hub.Message{Type: m.Type, Data: p})
		}
		_, err := h.Publish(ctx, "room", all...)
		return err
	})
}

// hubMembers has rooms of a hundred members or so, however many a connection is in.
func hubMembers(cfg Config) http.HandlerFunc {
	h := hub.New(nil)
	var opened atomic.Int64
	rooms := func() []string {
		names := make([]string, cfg.Rooms)
		first := int(opened.Add(1)) / 100 * cfg.Rooms
		for i := range names {
			names[i] = "room " + strconv.Itoa(first+i)
		}
		return names
	}
	return hubHandler(h, rooms, wsReply(cfg))
}

func hubHandler(h *hub.Hub, rooms func() []string, message wsMessage) http.HandlerFunc {
	// Members that read nothing stay: what they cost is measured.
	return (&ws.Handler{Events: &hubEvents{message, h, rooms}, Options: ws.Options{WriteTimeout: time.Hour}}).ServeHTTP
}
