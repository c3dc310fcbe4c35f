package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tidewire/ws"
)

// JoinOptions are for one connection in one room.
type JoinOptions struct {
	// Policy is the connection's own; default the room's.
	Policy Policy

	// Since is where the client comes back: the position of the last message of
	// the room that it has seen. It gets all later ones, in order and none
	// twice, and then what is published from now on.
	Since Position

	// Recent is how many of the last messages are sent at first, if Since is
	// zero or what has come since is not kept any more; default none.
	Recent int

	// Meta is what others see of the connection in the room's presence, as
	// encoding/json encodes it; at most 4 KiB.
	Meta any

	announce bool // the client is told in order: $gap if it has lost something, $joined where it goes live
}

// Joined says how joining went.
type Joined struct {
	// Pos is the position behind which what is published now is sent; zero in
	// a room without a history.
	Pos Position `json:"pos,omitzero"`
	// Recovered says that everything since JoinOptions.Since is being sent; else
	// the client has to find out otherwise what it has missed.
	Recovered bool `json:"recovered"`
	// Missed is how many messages of the history are being sent.
	Missed int `json:"missed"`
}

var errTooManyRooms = errors.New("hub: connection is in as many rooms as it may be in")

// maxMeta bounds JoinOptions.Meta, in bytes.
const maxMeta = 4 << 10

// Join makes a connection a member of a room until Leave, or its own end. When
// it has returned, everything that is published afterwards, on any node, is sent
// to the connection. o may be nil. A connection that is in the room already stays as it is.
//
// ctx is for the time until it is done: until the node has subscribed to the
// room, and what the client has missed is in the connection's queue.
func (h *Hub) Join(ctx context.Context, c *ws.Conn, room string, o *JoinOptions) (Joined, error) {
	if o == nil {
		o = new(JoinOptions)
	}
	m, err := h.add(c)
	if err != nil {
		return Joined{}, err
	}
	r, err := h.room(room)
	if err != nil {
		return Joined{}, err
	}
	s, err := r.newSeat(m, o)
	if err == nil {
		err = r.subscribe(ctx)
	}
	var joined Joined
	var known bool
	if err == nil {
		joined, known, err = r.join(s, o)
	}
	if err != nil || known {
		h.release(r)
		return joined, err
	}
	if s.replay != nil {
		if joined, err = r.catchUpSeat(ctx, s, o, joined); err != nil {
			h.Leave(c, room)
		}
	}
	return joined, err
}

func (r *room) newSeat(m *member, o *JoinOptions) (*seat, error) {
	s := &seat{m: m, r: r, policy: r.opts.Policy}
	if o.Policy != 0 {
		if s.policy = o.Policy; s.policy == LatestWins && r.opts.History > 0 {
			return nil, errors.New("hub: LatestWins and a history exclude each other")
		}
		if err := s.policy.check(); err != nil {
			return nil, err
		}
	}
	if r.opts.Presence {
		e := &Member{ID: r.h.connID(m), Principal: m.principal}
		if o.Meta != nil {
			var err error
			if e.Meta, err = json.Marshal(o.Meta); err != nil {
				return nil, fmt.Errorf("hub: join: metadata: %w", err)
			}
			if len(e.Meta) > maxMeta {
				return nil, fmt.Errorf("hub: join: metadata of %d bytes, at most %d may be", len(e.Meta), maxMeta)
			}
		}
		s.entry = e
	}
	if r.opts.History > 0 && (o.Since != Position{} || o.Recent > 0) {
		s.replay = new(replay)
	}
	return s, nil
}

// join makes s a seat of the room; known: the member has one.
func (r *room) join(s *seat, o *JoinOptions) (joined Joined, known bool, err error) {
	m := s.m
	r.mu.Lock()
	joined.Pos = r.current.last
	m.mu.Lock()
	switch {
	case m.ended:
		err = context.Cause(m.c.Context())
		if err == nil {
			err = ErrSlow
		}
	case m.seatIn(r) != nil:
		known = true
	case len(m.seats) >= r.h.opts.MaxRooms:
		err = fmt.Errorf("%w: %d (Options.MaxRooms)", errTooManyRooms, len(m.seats))
	}
	if err != nil || known {
		m.mu.Unlock()
		r.mu.Unlock()
		return joined, known, err
	}
	s.since = joined.Pos.Offset
	if o.Since.Epoch == joined.Pos.Epoch { // this node may be behind what the client has seen on another one
		s.since = max(s.since, o.Since.Offset)
		joined.Pos.Offset = s.since
	}
	m.seats = append(m.seats, s)
	m.mu.Unlock()
	r.add(s)
	ps := r.arrived(s)
	if o.announce && s.replay == nil {
		ps = slices.Insert(ps, 0, s.wentLive(joined))
		if o.Since != (Position{}) { // in a room that keeps nothing
			ps = slices.Insert(ps, 0, s.lost())
		}
	}
	r.deliver(ps...)
	r.tellChanges()
	return joined, false, nil
}

// lost and wentLive are what a client is told, in order, that joins by itself.
func (s *seat) lost() *parcel { return s.note("$gap", Position{}, gapData{}) }

func (s *seat) wentLive(j Joined) *parcel {
	return s.note("$joined", j.Pos, joinedData{j.Recovered, j.Missed})
}

func (s *seat) note(typ string, pos Position, v any) *parcel {
	p := s.r.h.notice(typ, s.r.name, pos, v)
	p.only = s
	return p
}

// joinedData is what a $joined says.
type joinedData struct {
	Recovered bool `json:"recovered"`
	Missed    int  `json:"missed"`
}

// seatIn returns the member's seat in a room; nil: it has none. mu is held.
func (m *member) seatIn(r *room) *seat {
	for _, s := range m.seats {
		if s.r == r {
			return s
		}
	}
	return nil
}

// Leave ends a connection's membership, and reports whether there was one. What
// has been published before may still be sent.
func (h *Hub) Leave(c *ws.Conn, room string) bool {
	h.mu.RLock()
	m, r := h.members[c], h.rooms[room]
	h.mu.RUnlock()
	if m == nil || r == nil {
		return false
	}
	m.mu.Lock()
	s := m.seatIn(r)
	if s != nil {
		s.left = true
		i := slices.Index(m.seats, s)
		m.seats = slices.Delete(m.seats, i, i+1)
	}
	m.mu.Unlock()
	if s == nil {
		return false
	}
	r.leave(s)
	return true
}

// leave takes out a seat that its member has given up.
func (r *room) leave(s *seat) {
	r.mu.Lock()
	r.remove(s)
	r.deliver(r.departed(s)...)
	r.tellChanges()
	r.h.release(r)
}

// Rooms returns the names of the rooms that a connection is in, in the order in
// which it has joined them.
func (h *Hub) Rooms(c *ws.Conn) []string {
	m := h.member(c)
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	names := make([]string, len(m.seats))
	for i, s := range m.seats {
		names[i] = s.r.name
	}
	return names
}

// catchUpSeat sends a new member what it has missed, up to a position, and then
// what has been published meanwhile. After an error it must not: the member would
// take it for what comes next. Then the seat has to be given up.
func (r *room) catchUpSeat(ctx context.Context, s *seat, o *JoinOptions, joined Joined) (Joined, error) {
	if err := r.replay(ctx, s, o, &joined); err != nil {
		return joined, err
	}
	var live *parcel
	if o.announce {
		live = s.wentLive(joined)
	}
	s.m.goLive(s, live)
	return joined, nil
}

func (r *room) replay(ctx context.Context, s *seat, o *JoinOptions, joined *Joined) (err error) {
	head := joined.Pos
	if (o.Since != Position{}) {
		joined.Missed, err = r.replaySince(ctx, s, o.Since, head)
		if joined.Recovered = err == nil; !errors.Is(err, ErrUnrecoverable) {
			return err
		}
		if o.announce {
			s.m.sendNotice(s, s.lost())
		}
	}
	if joined.Missed = 0; o.Recent > 0 {
		joined.Missed, err = r.replayRecent(ctx, s, o.Recent, head)
		return err
	}
	return nil
}

func (r *room) replaySince(ctx context.Context, s *seat, since, head Position) (n int, err error) {
	if since == head || since.Epoch == head.Epoch && since.Offset > head.Offset {
		return 0, nil
	}
	err = r.readHistory(ctx, since, head, func(ds []Delivery) error {
		n += len(ds)
		return s.m.sendMissed(ctx, s, ds)
	})
	return n, err
}

func (r *room) replayRecent(ctx context.Context, s *seat, most int, head Position) (int, error) {
	var recent []Delivery
	err := r.readHistory(ctx, Position{}, head, func(ds []Delivery) error {
		recent = append(recent, ds...)
		recent = slices.Delete(recent, 0, max(0, len(recent)-most))
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(recent), s.m.sendMissed(ctx, s, recent)
}

// readHistory reads what the history has behind since, up to head.
func (r *room) readHistory(ctx context.Context, since, head Position, each func([]Delivery) error) error {
	for {
		ds, last, err := r.h.kept.History(ctx, r.topic, since, page)
		if err != nil {
			return err
		}
		if last.Epoch != head.Epoch {
			return ErrUnrecoverable
		}
		full := len(ds) == page
		if full {
			since = ds[page-1].Pos
		}
		behind, _ := slices.BinarySearchFunc(ds, head.Offset+1, func(d Delivery, offset uint64) int {
			return cmp.Compare(d.Pos.Offset, offset)
		})
		if err := each(messages(ds[:behind])); err != nil {
			return err
		}
		if !full || behind < page {
			return nil
		}
	}
}

// messages leaves out what says nothing.
func messages(ds []Delivery) []Delivery {
	return slices.DeleteFunc(ds, func(d Delivery) bool { return len(d.Data) == 0 })
}

// missedChunk is how many missed messages are sent at a time.
const missedChunk = 16

// sendMissed sends messages of the history to one member, waiting while its
// queue is full.
func (m *member) sendMissed(ctx context.Context, s *seat, ds []Delivery) error {
	for chunk := range slices.Chunk(ds, missedChunk) {
		if err := m.awaitRoom(ctx); err != nil {
			return err
		}
		var ps []*parcel
		for i := range chunk {
			ps = append(ps, s.r.unpack(&chunk[i])...)
		}
		m.mu.Lock()
		for _, p := range ps {
			p.offset = 0 // it is behind what the seat is for
			if f := p.frameFor(s); f != nil {
				m.enqueue(s, p.key, f)
			}
		}
		m.flushNow()
		m.mu.Unlock()
	}
	return nil
}

// sendNotice is sendMissed for something of the hub's own.
func (m *member) sendNotice(s *seat, p *parcel) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := p.frameFor(s); f != nil {
		m.enqueue(s, "", f)
		m.flushNow()
	}
}

// goLive ends a seat's replay: it gets the notice, if there is one, and what was
// published meanwhile.
func (m *member) goLive(s *seat, notice *parcel) {
	m.mu.Lock()
	defer m.mu.Unlock()
	held, lost := s.replay.held, s.replay.lost
	s.replay = nil
	if notice != nil {
		if f := notice.frameFor(s); f != nil {
			m.enqueue(s, "", f)
		}
	}
	for _, p := range held {
		m.push(s, p)
	}
	if lost > 0 && !m.ended {
		m.note(s, lost)
	}
	m.flushNow()
}
