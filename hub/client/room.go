package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/router"
)

// Room is a room that a Client is in.
type Room struct {
	c    *Client
	name string
	opts JoinOptions

	// c.mu guards all below.
	pos     hub.Position // of the last event
	asked   hub.Position // pos when it was joined
	live    *ws.Conn     // the connection on which it has been joined; nil: on none
	was     bool         // it has been live
	again   bool         // it had been live when it was joined
	over    error        // it has been left
	members map[string]hub.Member
}

// Change says who has come and gone.
type Change struct{ Joined, Left []hub.Member }

// Name returns the room's name.
func (r *Room) Name() string { return r.name }

// Position returns the position of the room's last event: for JoinOptions.Since.
func (r *Room) Position() hub.Position {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return r.pos
}

// Members returns who is there, as far as is known, sorted by ID: nobody in a
// room without presence.
func (r *Room) Members() []hub.Member {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	var all []hub.Member
	for _, m := range r.members {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b hub.Member) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// Joined waits until the room has been joined. It returns the *router.Error with
// which it was refused, ctx's error, or why Client.Run has ended.
func (r *Room) Joined(ctx context.Context) error {
	_, err := r.awaitLive(ctx)
	return err
}

func (r *Room) awaitLive(ctx context.Context) (conn *ws.Conn, err error) {
	err = r.c.await(ctx, func() (bool, error) {
		conn = r.live
		return conn != nil, r.over
	})
	return conn, err
}

// maxPublish is how long a message may be tried to publish: the server knows its
// id a little longer.
const maxPublish = 100 * time.Second

// Publish publishes in the room, and waits until that is acknowledged: for 100 s
// at most. pos is where it is in the room's history; zero if there is none. After
// an interruption it is sent again, and in a room with a history it is published
// once nevertheless. An error that is no *router.Error leaves open whether it was published.
func (r *Room) Publish(ctx context.Context, typ string, v any) (hub.Position, error) {
	type request struct {
		Room string `json:"room"`
		Type string `json:"type"`
		ID   string `json:"id"`
		Data any    `json:"data"`
	}
	type reply struct{ Pos hub.Position }
	ctx, cancel := context.WithTimeout(ctx, maxPublish)
	defer cancel()
	q := request{r.name, typ, fmt.Sprintf("%s-%d", r.c.session, r.c.lastID.Add(1)), v}
	for {
		conn, err := r.awaitLive(ctx)
		if err != nil {
			return hub.Position{}, err
		}
		got, err := router.Call[reply](ctx, conn, "$publish", q)
		var e *router.Error
		switch {
		case err == nil:
			return got.Pos, nil
		case errors.As(err, &e):
			if e.Code != router.Unavailable {
				return hub.Position{}, err
			}
			err = pause(ctx, e)
		case conn.Context().Err() != nil: // by now it may be known
			err = r.awaitOther(ctx, conn)
		}
		if err != nil {
			return hub.Position{}, err
		}
	}
}

// awaitOther waits until a connection that has ended is not the room's any more.
func (r *Room) awaitOther(ctx context.Context, conn *ws.Conn) error {
	return r.c.await(ctx, func() (bool, error) { return r.live != conn, r.over })
}

// Leave leaves the room.
func (r *Room) Leave() {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.over != nil {
		return
	}
	r.over, r.live = ErrLeft, nil
	delete(c.rooms, r.name)
	c.signal()
	conn := c.conn
	if conn == nil {
		return
	}
	c.leaving[r.name] = true
	c.calls.Go(func() {
		_, _ = router.Call[struct{}](conn.Context(), conn, "$leave", map[string]string{"room": r.name}) // it can only be too late
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.conn != conn {
			return
		}
		delete(c.leaving, r.name)
		if other := c.rooms[r.name]; other != nil {
			c.enter(other)
		}
	})
}

// takes notes an event's position, and reports whether it is news. c.mu is held.
func (r *Room) takes(q *router.Request) bool {
	if q.Pos == (hub.Position{}) {
		return true
	}
	if q.Pos.Epoch == r.pos.Epoch && cmp.Compare(q.Pos.Offset, r.pos.Offset) <= 0 {
		return q.Type[0] == '$'
	}
	r.pos = q.Pos
	return true
}

func roomOf(ctx context.Context) *Room {
	p, _ := ctx.Value(placeKey{}).(place)
	return p.room
}

func (c *Client) joined(ctx context.Context, in struct{ Recovered bool }) error {
	r := roomOf(ctx)
	if r == nil {
		return nil
	}
	c.mu.Lock()
	lost := r.again && r.asked == (hub.Position{}) && !in.Recovered // a room that keeps nothing
	r.again = false
	r.enter(router.Conn(ctx))
	c.mu.Unlock()
	if lost && c.opts.Lost != nil {
		c.opts.Lost(r, 0)
	}
	if c.opts.Joined != nil {
		c.opts.Joined(r)
	}
	return nil
}

// enter notes that the room has been joined on a connection, unless that or the
// room is over. c.mu is held.
func (r *Room) enter(conn *ws.Conn) {
	if conn != r.c.conn || r.over != nil {
		return
	}
	r.live, r.was = conn, true
	r.c.signal()
}

func (c *Client) gap(ctx context.Context, in struct{ Missed int }) error {
	if r := roomOf(ctx); r != nil && c.opts.Lost != nil {
		c.opts.Lost(r, in.Missed)
	}
	return nil
}

type presence struct {
	Members, Joined []hub.Member
	Left            []string
}

func (c *Client) presence(ctx context.Context, in presence) error {
	r := roomOf(ctx)
	if r == nil {
		return nil
	}
	c.mu.Lock()
	change := r.change(&in)
	c.mu.Unlock()
	if c.opts.Presence != nil && len(change.Joined)+len(change.Left) > 0 {
		c.opts.Presence(r, change)
	}
	return nil
}

// change takes in who has come and gone. c.mu is held.
func (r *Room) change(in *presence) (c Change) {
	if in.Members != nil {
		in.Joined = in.Members
		for id := range r.members {
			if !slices.ContainsFunc(in.Members, func(m hub.Member) bool { return m.ID == id }) {
				in.Left = append(in.Left, id)
			}
		}
	}
	for _, id := range in.Left {
		if m, known := r.members[id]; known {
			delete(r.members, id)
			c.Left = append(c.Left, m)
		}
	}
	for _, m := range in.Joined {
		if _, known := r.members[m.ID]; !known {
			c.Joined = append(c.Joined, m)
		}
		r.members[m.ID] = m
	}
	return c
}
