package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/hub"
)

// client is a member of rooms that comes back whenever it has lost its
// connection, to any node, with the positions that it has seen.
type client struct {
	run      *run
	name     string
	readings map[string]*reading
	watches  bool // the presence in whoRoom

	mu sync.Mutex
	// mu guards all below.
	there  map[string]string // who is in whoRoom: principals by member
	joined bool              // it is connected, and in all its rooms
	at     life              // to whom
}

// message is whatever a client gets: a reply, an event in a room, or the hub's notes.
type message struct {
	reply
	Room string          `json:"room"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

var errGap = errors.New("messages were dropped: they have to be asked for")

const (
	minPause = 10 * time.Millisecond
	maxPause = time.Second
)

// live stays connected until ctx ends. joined is called once it is in all its
// rooms for the first time.
func (c *client) live(ctx context.Context, joined func()) {
	var lost time.Time
	for pause := minPause; ctx.Err() == nil; pause = min(2*pause, maxPause) {
		err := c.session(ctx, func() {
			if joined != nil {
				joined()
				joined = nil
			} else {
				c.run.resumed(time.Since(lost))
			}
			pause = minPause
		})
		if c.leave() {
			lost = time.Now()
		}
		if errors.Is(err, errGap) {
			c.run.gaps.Add(1)
		}
		pauseFor(ctx, rand.N(pause))
	}
}

func pauseFor(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// leave notes that the connection is gone, and reports whether it was in use.
func (c *client) leave() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.joined
	c.joined = false
	clear(c.there)
	return was
}

func (c *client) session(ctx context.Context, ready func()) error {
	at := c.run.fleet.any()
	conn, err := dial(ctx, c.run.fleet.url(at, c.name))
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	rooms := make([]string, 0, len(c.readings)+1)
	for room := range c.readings {
		rooms = append(rooms, room)
	}
	if c.watches {
		rooms = append(rooms, whoRoom)
	}
	resumes := make([]bool, len(rooms))
	for i, room := range rooms {
		ask := request{N: i + 1, Join: room}
		if r := c.readings[room]; r != nil {
			ask.Since = r.since()
		}
		resumes[i] = ask.Since != hub.Position{}
		if err := ws.Send(ctx, conn, ask); err != nil {
			return err
		}
	}
	for left := len(rooms); ; {
		m, err := ws.Receive[message](ctx, conn)
		if err != nil {
			return err
		}
		if m.N == 0 {
			if err := c.take(&m); err != nil {
				return err
			}
			continue
		}
		if err := c.cameIn(rooms[m.N-1], &m.reply, resumes[m.N-1]); err != nil {
			return err
		}
		if left--; left == 0 {
			c.mu.Lock()
			c.joined, c.at = true, at
			c.mu.Unlock()
			ready()
		}
	}
}

func dial(ctx context.Context, url string) (*ws.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c, _, err := ws.Dial(ctx, url, nil)
	return c, err
}

// cameIn takes in a node's answer to joining.
func (c *client) cameIn(room string, a *reply, resumes bool) error {
	if a.Error != "" {
		return errors.New(a.Error)
	}
	r := c.readings[room]
	switch {
	case r == nil:
	case !resumes:
		r.began(a.Joined.Pos)
	case !a.Joined.Recovered:
		c.run.verdict.count(&c.run.verdict.Lost, "%s in %s: not recovered behind %v", c.name, room, r.since())
	}
	return nil
}

// take takes in what is no reply.
func (c *client) take(m *message) error {
	switch m.Type {
	case "posted":
		var id string
		if err := json.Unmarshal(m.Data, &id); err != nil {
			return err
		}
		c.readings[m.Room].take(c.name, id, m.Pos)
		c.run.delivered.Add(1)
	case "$gap":
		return errGap
	case "$presence":
		return c.see(m.Data)
	default:
		return fmt.Errorf("a message of type %q", m.Type)
	}
	return nil
}

func (c *client) see(data []byte) error {
	var d struct {
		Members, Joined []hub.Member
		Left            []string
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.Members != nil {
		clear(c.there)
	}
	for _, m := range append(d.Members, d.Joined...) {
		c.there[m.ID] = m.Principal
	}
	for _, id := range d.Left {
		delete(c.there, id)
	}
	return nil
}

// sees says what is wrong with what the client sees of who is there; "": nothing.
func (c *client) sees(names map[string]bool) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.joined || c.run.fleet.over(c.at) {
		return c.name + " is not there"
	}
	if len(c.there) != len(names) {
		return fmt.Sprintf("%s sees %d members of %d", c.name, len(c.there), len(names))
	}
	seen := make(map[string]bool)
	for _, name := range c.there {
		if seen[name] || !names[name] {
			return c.name + " sees a ghost of " + name
		}
		seen[name] = true
	}
	return ""
}
