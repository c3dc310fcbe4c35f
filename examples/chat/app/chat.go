// Package app is the chat of examples/chat, for one node or, with a broker, many.
package app

import (
	"context"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/router"
)

const (
	maxName = 24   // characters
	maxText = 1000 // characters
	maxOpen = 50   // rooms a page may be in, each with its second one for typing

	// History is how many messages of each room are kept for those who come back.
	History = 100
)

// The types of the messages: the page's client is made from them.
type (
	// Say is what somebody wants to say.
	Say struct {
		Text string `json:"text" doc:"1 to 1000 characters"`
	}

	// Said is what somebody has said.
	Said struct {
		Name string    `json:"name"`
		Text string    `json:"text"`
		At   time.Time `json:"at"`
	}

	// Typing says who is writing.
	Typing struct {
		Name string `json:"name"`
	}

	// None is for messages without data.
	None struct{}
)

// Validate is called by the router.
func (s Say) Validate() error {
	if n := utf8.RuneCountInString(strings.TrimSpace(s.Text)); n == 0 || n > maxText {
		return router.Field("text", "must have 1 to 1000 characters")
	}
	return nil
}

// Chat is a node's part of the chat.
type Chat struct {
	hub    *hub.Hub
	router *router.Router
}

// New returns a Chat. broker connects it with those on other nodes; nil: there
// are none. It has to be closed.
func New(ctx context.Context, broker hub.Broker) (*Chat, error) {
	c := &Chat{
		hub:    hub.New(&hub.Options{Broker: broker, Rooms: rooms, MaxRooms: 2 * maxOpen}),
		router: router.New(router.Options{Title: "Chat", Version: "1.0.0"}),
	}
	c.router.Use(paced)
	p := c.hub.Mount(c.router, &hub.Access{
		Publish: func(context.Context, string, string) error { return nil }, // whoever is in a room may speak
	})
	said := router.Emits[Said](c.router, "said").Doc("Somebody has said something in the room.")
	hub.Publishes(p, said, func(_ context.Context, m hub.Publication, in Say) (Said, error) {
		return Said{Name: m.Principal, Text: strings.TrimSpace(in.Text), At: time.Now().UTC()}, nil
	})
	typing := router.Emits[Typing](c.router, "typing").Doc("Somebody is writing.")
	hub.Publishes(p, typing, func(_ context.Context, m hub.Publication, _ None) (Typing, error) {
		return Typing{Name: m.Principal}, nil
	})
	if broker == nil {
		return c, nil
	}
	return c, c.hub.Start(ctx)
}

// Close takes leave of the other nodes.
func (c *Chat) Close(ctx context.Context) error { return c.hub.Close(ctx) }

// Beside each room there is one for what nobody needs to hear later: who writes.
const typingIn = "typing:"

var roomName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// rooms says what a room is like.
func rooms(name string) (hub.RoomOptions, error) {
	typing, beside := strings.CutPrefix(name, typingIn)
	switch {
	case beside && roomName.MatchString(typing):
		return hub.RoomOptions{}, nil
	case roomName.MatchString(name):
		return hub.RoomOptions{History: History, KeepFor: time.Hour, Presence: true, PerPrincipal: true}, nil
	}
	return hub.RoomOptions{}, &router.Error{Code: router.NotFound, Message: "there is no such room"}
}

// pace is how much a connection may publish.
type pace struct{ *rate.Limiter }

// paced is middleware: who publishes more than that is read more slowly.
func paced(next router.Handler) router.Handler {
	return func(ctx context.Context, q *router.Request) (any, error) {
		if q.Type == "$publish" {
			p := router.Local[pace](ctx)
			if p.Limiter == nil {
				p.Limiter = rate.NewLimiter(5, 20)
			}
			if err := p.Wait(ctx); err != nil {
				return nil, err
			}
		}
		return next(ctx, q)
	}
}

// handler returns the end of the pages' connections.
func (c *Chat) handler() *ws.Handler {
	return &ws.Handler{Events: c.router, Options: ws.Options{ReadLimit: 32 << 10}}
}

// tidyName makes a name that can be shown of whatever came in the query.
func tidyName(s string) string {
	printable := func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}
	name := []rune(strings.TrimSpace(strings.Map(printable, s)))
	name = []rune(strings.TrimSpace(string(name[:min(len(name), maxName)])))
	if len(name) == 0 {
		return "somebody"
	}
	return string(name)
}
