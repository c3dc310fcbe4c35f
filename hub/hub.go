// Package hub sends messages to many connections: to the members of rooms, to all
// connections of somebody, to everyone; on one node or, by a Broker, on many.
//
//	h := hub.New(nil)
//	_, err := h.Join(ctx, c, "lobby", nil)                                     // until h.Leave, or the connection's end
//	_, err = h.Publish(ctx, "lobby", hub.Message{Type: ws.Text, Data: text})   // to every member
//	_, err = h.Publish(ctx, "lobby", hub.Typed(posted, Posted{...}))           // posted := router.Emits[Posted](r, "chat.posted")
//
// A message is encoded and framed once. What a member's connection takes at once
// is written at once, by the goroutine that publishes and without ever waiting;
// the rest waits in a queue of the member's own, which is bounded, and when that
// is full the room's Policy decides. So a slow member costs the others nothing,
// and a member needs no goroutine.
//
// Between nodes messages travel through a Broker. Without a history delivery is
// at most once, as brokers' plain publish and subscribe is: what is published
// while a node is cut off doesn't reach that node's members. In a room with a
// history (RoomOptions.History) every member gets every message once and in one
// order on all nodes, or is told of a gap; a client that comes back says the
// position of the last message that it has seen and gets what it has missed
// (JoinOptions.Since).
//
// # What clients see
//
// Hub.Mount lets clients join, come back, and publish by themselves, and package
// hub/client and the generated TypeScript client do. Whoever has joined them,
// events published with Typed have the member "room" in their envelope, and with
// a history "pos", the message's position. Besides, the hub itself sends events:
//
//	{"room":"lobby","type":"$gap","data":{"missed":3}}             messages were dropped here; 0: nobody knows how many
//	{"room":"lobby","type":"$presence","data":{"members":[...]}}   who is there, when the client has joined
//	{"room":"lobby","type":"$presence","data":{"joined":[...]}}    who has come since
//	{"room":"lobby","type":"$presence","data":{"left":["..."]}}    ids of those who have left
//
// The first in rooms with a history, the others in rooms with presence.
package hub

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
)

// Options are a Hub's settings. The zero value is safe and useful.
type Options struct {
	// Rooms says what a room is like. It is asked when a node first hears of the
	// room; an error refuses the name. All nodes must say the same. nil: every
	// name is good, and RoomOptions zero.
	Rooms func(name string) (RoomOptions, error)

	// Queue is how many bytes may wait for one connection beyond those that the
	// connection itself has accepted (ws.Options.WriteQueue): payload, and 64 a
	// message; default 256 KiB.
	Queue int

	// Memory is how many bytes may wait for all connections together, where
	// what waits for several counts once; default 64 MiB. Beyond it the queues
	// of the slowest connections are emptied, or these are closed where that is
	// the policy of a room whose messages wait.
	Memory int64

	// MaxRooms is how many rooms a connection may be in; default 100.
	MaxRooms int

	// Codecs are those that connections may have; default codec.JSON. Typed
	// messages are encoded with each of them.
	Codecs []codec.Codec

	// Principal says whose connection it is, given the connection's context, for
	// PublishTo and Kick; "" is nobody's. nil: ws.Principal if that is a
	// string or a fmt.Stringer.
	Principal func(ctx context.Context) string

	// Broker connects the hub with those on other nodes; nil: there are none.
	Broker Broker

	// Heartbeat is how often nodes tell each other that they are there; one that
	// is silent three times as long is dead. Default 2 s.
	Heartbeat time.Duration

	// Linger is how long a node stays subscribed to a room that its last member
	// has left; default 5 s.
	Linger time.Duration

	// Told is called with what another node has sent by Tell; it returns soon.
	// nil: nobody listens.
	Told func(node string, p []byte)

	// Logger is told of what goes wrong between nodes. nil: slog.Default().
	Logger *slog.Logger
}

// RoomOptions say what a room is like.
type RoomOptions struct {
	// Policy is what happens to messages for a member that is too slow; default DropOldest.
	Policy Policy

	// History is how many messages are kept for those who have missed them;
	// default none. The Broker has to be a History; that of a single node is one.
	History int

	// KeepFor is how long they are kept; default 5 min.
	KeepFor time.Duration

	// Presence has members told who is there, as $presence events.
	Presence bool

	// PerPrincipal counts several connections of one principal as one.
	PerPrincipal bool
}

const (
	defaultQueue     = 256 << 10
	defaultMemory    = 64 << 20
	defaultMaxRooms  = 100
	defaultHeartbeat = 2 * time.Second
	defaultLinger    = 5 * time.Second
	defaultKeepFor   = 5 * time.Minute
	maxRoomName      = 128 // bytes
)

// Hub knows connections and the rooms that they are in. Its methods may be
// called from any goroutine.
type Hub struct {
	opts   Options
	codecs []codec.Codec
	node   string
	broker Broker
	kept   History // the broker, if it is one
	alone  bool    // there are no other nodes

	all      *room // every connection is in it
	lagging  lagging
	stats    counters
	nodes    nodes
	lastID   atomic.Uint64
	lastBase atomic.Uint64 // see changeBase

	mu sync.RWMutex
	// mu guards all below.
	state      state
	members    map[*ws.Conn]*member
	principals map[string][]*member
	rooms      map[string]*room
	topics     map[string]*room // by both of a room's topics
}

type state uint8

const (
	fresh state = iota // has a broker, and is not started
	running
	closed
)

// New returns a Hub. o may be nil. A Hub with a Broker needs to be started.
func New(o *Options) *Hub {
	h := &Hub{
		node:       rand.Text(),
		members:    make(map[*ws.Conn]*member),
		principals: make(map[string][]*member),
		rooms:      make(map[string]*room),
		topics:     make(map[string]*room),
	}
	if o != nil {
		h.opts = *o
	}
	h.opts.setDefaults()
	h.codecs, h.broker = h.opts.Codecs, h.opts.Broker
	h.all = &room{h: h, opts: RoomOptions{Policy: DropOldest}}
	h.nodes.init(h)
	if h.broker == nil {
		h.alone, h.state, h.broker = true, running, NewMemory().Connect()
		_ = h.broker.Start(context.Background(), receiver{h}) // can't fail
	}
	h.kept, _ = h.broker.(History)
	return h
}

func (o *Options) setDefaults() {
	orDefault(&o.Queue, defaultQueue)
	orDefault(&o.Memory, defaultMemory)
	orDefault(&o.MaxRooms, defaultMaxRooms)
	orDefault(&o.Heartbeat, defaultHeartbeat)
	orDefault(&o.Linger, defaultLinger)
	if o.Rooms == nil {
		o.Rooms = func(string) (RoomOptions, error) { return RoomOptions{}, nil }
	}
	if len(o.Codecs) == 0 {
		o.Codecs = []codec.Codec{codec.JSON}
	}
	if o.Principal == nil {
		o.Principal = principal
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

func orDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

func principal(ctx context.Context) string {
	switch p := ws.Principal(ctx).(type) {
	case string:
		return p
	case fmt.Stringer:
		return p.String()
	}
	return ""
}

// Start connects a Hub that has a Broker: ctx is for the time until that is done.
func (h *Hub) Start(ctx context.Context) error {
	h.mu.Lock()
	if h.alone || h.state != fresh {
		h.mu.Unlock()
		return errors.New("hub: nothing to start: there is no Broker, or Start was called before")
	}
	h.mu.Unlock()
	if err := h.broker.Start(ctx, receiver{h}); err != nil {
		return err
	}
	h.mu.Lock()
	h.state = running
	h.mu.Unlock()
	return h.nodes.start(ctx)
}

// Close takes leave of the other nodes, and lets go of the broker. Connections
// stay open, but nothing reaches them by the hub any more.
func (h *Hub) Close(ctx context.Context) error {
	h.mu.Lock()
	if h.state != running {
		h.mu.Unlock()
		return nil
	}
	h.state = closed
	rooms := make([]*room, 0, len(h.rooms))
	for _, r := range h.rooms {
		if r.idle != nil {
			r.idle.Stop()
		}
		rooms = append(rooms, r)
	}
	h.mu.Unlock()
	h.nodes.stop(ctx)
	err := h.broker.Close(ctx)
	for _, r := range rooms {
		r.stopFeed()
	}
	return err
}

// Add makes a connection known to the hub: to Send, PublishTo, PublishAll and Kick.
// Join does so, too.
func (h *Hub) Add(c *ws.Conn) error {
	_, err := h.add(c)
	return err
}

func (h *Hub) add(c *ws.Conn) (*member, error) {
	if m := h.member(c); m != nil {
		return m, nil
	}
	if c.Context().Err() != nil {
		return nil, fmt.Errorf("hub: connection has ended: %w", context.Cause(c.Context()))
	}
	codec := h.codecOf(c)
	if codec < 0 {
		return nil, fmt.Errorf("hub: the connection's codec %s is not among Options.Codecs", c.Codec().Name())
	}
	m := &member{c: c, codec: int32(codec), principal: h.opts.Principal(c.Context())}
	m.direct = seat{m: m, r: h.all, policy: DropOldest}
	h.mu.Lock()
	if known := h.members[c]; known != nil || h.state != running {
		h.mu.Unlock()
		if known == nil {
			return nil, ErrClosed
		}
		return known, nil
	}
	m.id = h.lastID.Add(1)
	h.members[c] = m
	if m.principal != "" {
		h.principals[m.principal] = append(h.principals[m.principal], m)
	}
	h.mu.Unlock()
	h.all.mu.Lock()
	h.all.add(&m.direct)
	h.all.mu.Unlock()
	c.OnClosed(m.forget)
	return m, nil
}

func (h *Hub) member(c *ws.Conn) *member {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.members[c]
}

// idOf is a member's id; 0: it is none.
func (h *Hub) idOf(c *ws.Conn) uint64 {
	if m := h.member(c); m != nil {
		return m.id
	}
	return 0
}

func (h *Hub) codecOf(c *ws.Conn) int {
	name := c.Codec().Name()
	for i, known := range h.codecs {
		if known.Name() == name {
			return i
		}
	}
	return -1
}

// forget is called when the member's connection has ended.
func (m *member) forget() {
	h := m.hub()
	m.mu.Lock()
	m.ended = true
	m.clear()
	seats := m.seats
	m.seats = nil
	for _, s := range seats {
		s.left = true
	}
	m.direct.left = true
	m.mu.Unlock()
	for _, s := range seats {
		s.r.leave(s)
	}
	h.all.mu.Lock()
	h.all.remove(&m.direct)
	h.all.mu.Unlock()

	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.members, m.c)
	if m.principal == "" {
		return
	}
	theirs := h.principals[m.principal]
	for i, other := range theirs {
		if other == m {
			theirs = append(theirs[:i:i], theirs[i+1:]...) // a copy: PublishTo may be reading the old one
			break
		}
	}
	if h.principals[m.principal] = theirs; len(theirs) == 0 {
		delete(h.principals, m.principal)
	}
}

// room returns a room, with one user more, which has to be done with it by
// release.
func (h *Hub) room(name string) (*room, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state != running {
		return nil, ErrClosed
	}
	r := h.rooms[name]
	if r == nil {
		opts, err := h.roomOptions(name)
		if err != nil {
			return nil, err
		}
		r = newRoom(h, name, opts)
		h.rooms[name] = r
		h.topics[r.topic.Name] = r
		h.topics[r.presenceTopic.Name] = r
	}
	r.users++
	if r.idle != nil {
		r.idle.Stop()
		r.idle = nil
	}
	return r, nil
}

// roomOptions asks what a room is like that the node has not heard of.
func (h *Hub) roomOptions(name string) (RoomOptions, error) {
	if err := checkName(name); err != nil {
		return RoomOptions{}, err
	}
	o, err := h.opts.Rooms(name)
	if err != nil {
		return o, err
	}
	if o.Policy == 0 {
		o.Policy = DropOldest
	}
	orDefault(&o.KeepFor, defaultKeepFor)
	switch {
	case o.History > 0 && h.kept == nil:
		return o, fmt.Errorf("hub: room %q: the broker %T keeps no history", name, h.broker)
	case o.History > 0 && o.Policy == LatestWins:
		return o, fmt.Errorf("hub: room %q: LatestWins and a history exclude each other", name)
	}
	return o, o.Policy.check()
}

func checkName(room string) error {
	if room == "" || len(room) > maxRoomName || !utf8.ValidString(room) {
		return fmt.Errorf("hub: a room's name is 1 to %d bytes of UTF-8", maxRoomName)
	}
	for _, r := range room {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("hub: the room's name %q has characters that can't be printed", room)
		}
	}
	return nil
}

// release is the end of what room began. The last user's leaves the room alone
// for a while, if it costs something to come back.
func (h *Hub) release(r *room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.users--; r.users > 0 || h.state != running {
		return
	}
	if h.alone && r.opts.History == 0 {
		h.drop(r)
		return
	}
	r.idle = time.AfterFunc(h.opts.Linger, func() { h.abandon(r) })
}

// drop forgets a room. mu is held.
func (h *Hub) drop(r *room) {
	delete(h.rooms, r.name)
	delete(h.topics, r.topic.Name)
	delete(h.topics, r.presenceTopic.Name)
}

// abandon unsubscribes from a room that nobody has come back to.
func (h *Hub) abandon(r *room) {
	_ = r.subscribing.lock(context.Background())
	defer r.subscribing.unlock()
	h.mu.Lock()
	unused := r.users == 0 && h.state == running
	h.mu.Unlock()
	if !unused {
		return
	}
	r.unsubscribe()
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.users == 0 { // else somebody waits to subscribe again
		h.drop(r)
	}
}
