package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/router"
)

const (
	kept    = 200 // messages of a room
	recent  = 20  // of these, what a newcomer hears
	maxName = 24
	maxText = 2000
)

// What clients send and get.
type (
	joinRequest struct {
		Room  string       `json:"room"`
		Name  string       `json:"name"`
		Since hub.Position `json:"since"` // of the last message that the client has; null: it is new
	}
	leaveRequest struct {
		Room string `json:"room"`
	}
	sayRequest struct {
		Room string `json:"room"`
		Text string `json:"text"`
		ID   string `json:"id"` // of the client's own; sent again with the same one a message is said once
	}
	receipt struct {
		Pos hub.Position `json:"pos"`
	}
	saidEvent struct {
		Name string    `json:"name"`
		Text string    `json:"text"`
		At   time.Time `json:"at"`
	}
)

// Validate makes it a router.Error with code invalid when a name is missing.
func (j *joinRequest) Validate() error {
	if j.Name = strings.TrimSpace(j.Name); j.Name == "" || len(j.Name) > maxName {
		return router.Field("name", "has to be 1 to 24 bytes long")
	}
	return nil
}

// Validate is like joinRequest's.
func (s *sayRequest) Validate() error {
	if s.Text = strings.TrimSpace(s.Text); s.Text == "" || len(s.Text) > maxText {
		return router.Field("text", "has to be 1 to 2000 bytes long")
	}
	return nil
}

// rooms is a node's part of the rooms.
type rooms struct {
	hub    *hub.Hub
	router *router.Router
	said   *router.Event[saidEvent]
}

// visitor is what is known of a connection: its name in each room.
type visitor struct{ names map[string]string }

func newRooms(ctx context.Context, broker hub.Broker) (*rooms, error) {
	r := &rooms{
		router: router.New(router.Options{Title: "rooms"}),
		hub: hub.New(&hub.Options{Broker: broker, Rooms: func(name string) (hub.RoomOptions, error) {
			if len(name) > maxName {
				return hub.RoomOptions{}, &router.Error{Code: router.NotFound, Message: "there is no such room"}
			}
			return hub.RoomOptions{History: kept, Presence: true, Policy: hub.TryAgainLater}, nil
		}}),
	}
	r.said = router.Emits[saidEvent](r.router, "said").Doc("somebody has said something in a room")
	router.Handle(r.router, "join", r.join).Doc("enter a room, or come back to it")
	router.On(r.router, "leave", r.leave).Doc("leave a room")
	router.Handle(r.router, "say", r.say).Doc("say something to everybody in a room")
	if broker == nil {
		return r, nil
	}
	return r, r.hub.Start(ctx)
}

func (r *rooms) join(ctx context.Context, in joinRequest) (hub.Joined, error) {
	v := router.Local[visitor](ctx)
	joined, err := r.hub.Join(ctx, router.Conn(ctx), in.Room, &hub.JoinOptions{
		Since: in.Since, Recent: recent,
		Meta: map[string]string{"name": in.Name},
	})
	if err != nil {
		return joined, err
	}
	if v.names == nil {
		v.names = make(map[string]string)
	}
	v.names[in.Room] = in.Name
	return joined, nil
}

func (r *rooms) leave(ctx context.Context, in leaveRequest) error {
	r.hub.Leave(router.Conn(ctx), in.Room)
	delete(router.Local[visitor](ctx).names, in.Room)
	return nil
}

// say is for members alone. The receipt means that the message is kept.
func (r *rooms) say(ctx context.Context, in sayRequest) (receipt, error) {
	name, member := router.Local[visitor](ctx).names[in.Room]
	if !member {
		return receipt{}, &router.Error{Code: router.Forbidden, Message: "join the room first"}
	}
	m := hub.Typed(r.said, saidEvent{Name: name, Text: in.Text, At: time.Now().UTC()})
	m.ID = in.ID
	pos, err := r.hub.Publish(ctx, in.Room, m)
	if errors.Is(err, hub.ErrClosed) {
		return receipt{}, &router.Error{Code: router.Unavailable, RetryAfter: time.Second}
	}
	return receipt{pos}, err
}
