// Package client is a client of package hub's protocol in Go: rooms, joined on a
// connection that is made again whenever it breaks.
//
//	c := client.New(router.New(), &client.Options{Redialer: ws.Redialer{URL: "wss://example.com/ws"}})
//	client.On(c, "chat.said", func(ctx context.Context, e client.Event[Said]) error { ... })
//	go c.Run(ctx)
//	lobby := c.Join("lobby", nil)
//	pos, err := lobby.Publish(ctx, "chat.said", Say{Text: "hello"})
//
// After an interruption the client joins its rooms again and gets what it has
// missed: every message of a room with a history once and in order, or
// Options.Lost is called where some are missing. What it publishes it sends again
// until that is acknowledged; in a room with a history it is published once.
package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/router"
)

// Options are a Client's settings. Its functions are called in the order of the
// room's messages, one at a time with the functions of On, and return soon.
type Options struct {
	// Redialer makes the connections. It needs a URL.
	Redialer ws.Redialer

	// Joined is called whenever a room has been joined, also after an
	// interruption: what came before is of the past, what comes now is live.
	Joined func(r *Room)

	// Lost is called where messages of a room are missing: so many, or 0 if nobody knows.
	Lost func(r *Room, missed int)

	// Presence is called when somebody comes or goes.
	Presence func(r *Room, c Change)

	// Refused is called when a room can't be joined: it is left then. An *router.Error says why.
	Refused func(r *Room, err error)

	// Interrupted is called when the connection has ended, or could not be made,
	// with an error that says when it will be tried again (*ws.Retry).
	Interrupted func(err error)
}

// Client is a connection to a hub, and the rooms that it is in. Its methods may
// be called from any goroutine.
type Client struct {
	opts    Options
	router  *router.Router
	events  *router.Router // r, for events of rooms
	session string         // what ids of messages begin with
	lastID  atomic.Uint64
	calls   sync.WaitGroup

	mu sync.Mutex
	// mu guards all below.
	conn    *ws.Conn      // nil: there is none
	changed chan struct{} // closed when conn or a room changes
	over    error         // Run has returned
	rooms   map[string]*Room
	leaving map[string]bool // $leave has not been answered
}

// ErrLeft is returned by what a Room is asked after it has been left.
var ErrLeft = errors.New("client: room has been left")

// New returns a Client whose connections r serves. r may have routes of its own,
// for what the server sends in no room and what it asks, and has a concurrency
// of 1.
func New(r *router.Router, o *Options) *Client {
	c := &Client{
		opts: *o, router: r, session: rand.Text()[:16], changed: make(chan struct{}),
		rooms: make(map[string]*Room), leaving: make(map[string]bool),
	}
	c.events = r.Group("", c.place)
	reserved := r.Reserved()
	reserved.Use(c.place)
	router.On(reserved, "$joined", c.joined)
	router.On(reserved, "$gap", c.gap)
	router.On(reserved, "$presence", c.presence)
	return c
}

// Event is an event that was published in a room.
type Event[T any] struct {
	Room *Room        // nil: the server has joined it, or the event was sent in no room
	Pos  hub.Position // in the room's history; zero: it has none
	Data T
}

// On registers the function for a type of event, in whatever room. It is called
// before Run. f is called like the functions of router.On.
func On[T any](c *Client, typ string, f func(ctx context.Context, e Event[T]) error) {
	router.On(c.events, typ, func(ctx context.Context, data T) error {
		p, _ := ctx.Value(placeKey{}).(place)
		return f(ctx, Event[T]{Room: p.room, Pos: p.pos, Data: data})
	})
}

// place is where an event was published.
type place struct {
	room *Room
	pos  codec.Position
}

type placeKey struct{}

func (placeKey) String() string { return "room of an event" }

// place is middleware that lets events of rooms through once, and keeps account
// of their positions.
func (c *Client) place(next router.Handler) router.Handler {
	return func(ctx context.Context, q *router.Request) (any, error) {
		if q.Room == "" {
			return next(ctx, q)
		}
		c.mu.Lock()
		r := c.rooms[q.Room]
		wanted := !c.leaving[q.Room] && (r == nil || r.takes(q))
		c.mu.Unlock()
		if !wanted {
			return nil, nil
		}
		return next(context.WithValue(ctx, placeKey{}, place{r, q.Pos}), q)
	}
}

// Run connects, and stays connected until ctx ends or there is no use in trying
// again (ws.Redialer); it returns why. It is called once.
func (c *Client) Run(ctx context.Context) error {
	var last error
	for conn, err := range c.opts.Redialer.Conns(ctx) {
		if err != nil {
			last = err
			if c.opts.Interrupted != nil {
				c.opts.Interrupted(err)
			}
			continue
		}
		c.connected(conn)
		_ = c.router.Serve(ctx, conn) // the next step has the reason
		c.interrupted(nil)
	}
	c.interrupted(last)
	c.calls.Wait()
	return last
}

// connected joins all rooms.
func (c *Client) connected(conn *ws.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	c.signal()
	var rooms []*Room
	for _, r := range c.rooms {
		rooms = append(rooms, r)
	}
	if len(rooms) > 0 {
		c.calls.Go(func() { c.resume(conn, rooms) })
	}
}

// interrupted ends what depends on the connection; over: for good.
func (c *Client) interrupted(over error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn, c.over = nil, over
	clear(c.leaving)
	for _, r := range c.rooms {
		r.live = nil
	}
	c.signal()
}

// signal wakes all who wait for something to change. mu is held.
func (c *Client) signal() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// await waits until ready, which is called with mu held, says so or fails.
func (c *Client) await(ctx context.Context, ready func() (bool, error)) error {
	for {
		c.mu.Lock()
		ok, err := ready()
		if !ok && err == nil && c.over != nil {
			err = c.over
		}
		changed := c.changed
		c.mu.Unlock()
		if ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("client: %w", ctx.Err())
		}
	}
}

// Conn returns the connection, and waits for it if there is none: for router.Call
// and the like. It may end at any time.
func (c *Client) Conn(ctx context.Context) (conn *ws.Conn, err error) {
	err = c.await(ctx, func() (bool, error) {
		conn = c.conn
		return conn != nil, nil
	})
	return conn, err
}

// JoinOptions are for one room.
type JoinOptions struct {
	Since  hub.Position // of the last message that was seen, in an earlier life of the program, say
	Recent int          // how many of the last messages come at first; default none
	Meta   any          // what others see in the room's presence
}

// Join joins a room, as soon as there is a connection and after each
// interruption, until Leave. Room.Joined waits for it. A room that has been
// joined already is returned as it is. o may be nil.
func (c *Client) Join(name string, o *JoinOptions) *Room {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.rooms[name]; r != nil {
		return r
	}
	r := &Room{c: c, name: name, members: make(map[string]hub.Member)}
	if o != nil {
		r.opts, r.pos = *o, o.Since
	}
	c.rooms[name] = r
	c.enter(r)
	return r
}

// enter joins a room on the present connection; without one, connected will. mu
// is held.
func (c *Client) enter(r *Room) {
	conn := c.conn
	if conn == nil || c.leaving[r.name] {
		return
	}
	c.calls.Go(func() {
		_, err := router.Call[struct{}](conn.Context(), conn, "$join", c.request(r))
		c.answered(conn, r, err)
	})
}

type joinRequest struct {
	Room   string       `json:"room"`
	Since  hub.Position `json:"since,omitzero"`
	Recent int          `json:"recent,omitempty"`
	Meta   any          `json:"meta,omitempty"`
}

func (c *Client) request(r *Room) joinRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.asked, r.again = r.pos, r.was
	q := joinRequest{Room: r.name, Since: r.pos, Meta: r.opts.Meta}
	if !r.was {
		q.Recent = r.opts.Recent
	}
	return q
}

// resume joins rooms again.
func (c *Client) resume(conn *ws.Conn, rooms []*Room) {
	type request struct {
		Rooms []joinRequest `json:"rooms"`
	}
	type reply struct {
		Rooms []struct{ Error *codec.Error }
	}
	var q request
	for _, r := range rooms {
		q.Rooms = append(q.Rooms, c.request(r))
	}
	got, err := router.Call[reply](conn.Context(), conn, "$resume", q)
	for i, r := range rooms {
		one := err
		if i < len(got.Rooms) {
			if e := got.Rooms[i].Error; e != nil {
				one = &router.Error{Code: e.Code, Message: e.Message, RetryAfter: time.Duration(e.RetryMS) * time.Millisecond}
			}
		}
		c.answered(conn, r, one)
	}
}

// answered deals with what the server says about joining a room. If it went well,
// $joined says the rest, in its place, unless it was dropped.
func (c *Client) answered(conn *ws.Conn, r *Room, err error) {
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		r.enter(conn)
		return
	}
	var e *router.Error
	if !errors.As(err, &e) {
		return // the connection has ended
	}
	if again(e) {
		c.calls.Go(func() {
			if pause(conn.Context(), e) != nil {
				return
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.conn == conn && c.rooms[r.name] == r {
				c.enter(r)
			}
		})
		return
	}
	c.mu.Lock()
	if c.rooms[r.name] == r {
		delete(c.rooms, r.name)
	}
	r.over = e
	c.signal()
	c.mu.Unlock()
	if c.opts.Refused != nil {
		c.opts.Refused(r, e)
	}
}

// again reports whether it makes sense to ask again.
func again(e *router.Error) bool {
	return e.Code == router.Unavailable || e.Code == router.Timeout || e.Code == router.Canceled
}

// pause waits for as long as the server asks.
func pause(ctx context.Context, e *router.Error) error {
	wait := e.RetryAfter
	if wait <= 0 {
		wait = time.Second
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
