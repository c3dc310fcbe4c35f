package main

import (
	"context"
	"strings"
	"sync"
	"unicode"

	"github.com/go-chi/chi/v5"
	"golang.org/x/time/rate"

	"github.com/tidewire/ws"
)

const (
	maxRooms = 1000
	maxName  = 24      // characters
	maxText  = 4 << 10 // bytes
)

// chat is all rooms. The zero value is ready.
type chat struct {
	mu    sync.Mutex // guards rooms; taken before a room's
	rooms map[string]*room
}

// serve is one visit to one room.
func (c *chat) serve(ctx context.Context, conn *ws.Conn) error {
	r := ws.Request(ctx)
	m := &member{conn: conn, name: tidyName(r.URL.Query().Get("name"))}
	room := c.enter(chi.URLParam(r, "room"), m)
	if room == nil {
		return ws.Status(ws.StatusTryAgainLater, "too many rooms")
	}
	defer room.leave(m)
	pace := rate.NewLimiter(5, 20) // messages a second; who writes faster is read more slowly
	for msg, err := range conn.Messages(ctx) {
		if err != nil {
			return err
		}
		if msg.Type != ws.Text {
			return ws.Status(ws.StatusUnsupportedData, "a chat is made of text")
		}
		if text := strings.TrimSpace(string(msg.Data)); text != "" {
			room.say(m, text)
		}
		if err := pace.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// enter takes m into a room, which is made if need be, or returns nil if there
// are too many. Deserted rooms keep their history until the place is needed.
func (c *chat) enter(name string, m *member) *room {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.rooms[name]
	if r == nil {
		if len(c.rooms) >= maxRooms && !c.dropDeserted() {
			return nil
		}
		if c.rooms == nil {
			c.rooms = make(map[string]*room)
		}
		r = &room{members: make(map[*member]struct{})}
		c.rooms[name] = r
	}
	r.join(m)
	return r
}

func (c *chat) dropDeserted() bool {
	for name, r := range c.rooms {
		if r.deserted() {
			delete(c.rooms, name)
			return true
		}
	}
	return false
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
