package hub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidewire/ws"
)

// feed is where the node is in a room's history. What the broker delivers may
// have holes: a message is sent to the members only behind the one before it,
// and what is missing is read from the history. The room's mu guards it.
type feed struct {
	ctx     context.Context // nil: the feed is off
	end     context.CancelFunc
	last    Position // of the last message that was sent to the members; no epoch: nobody knows
	seen    Position // the furthest that has arrived
	filling bool     // somebody reads the history, and what arrives is left to it
}

const (
	// page is how many messages are read from a history at a time.
	page = 256
	// fillTries is how often reading the history is tried, with pauses between
	// minPause and maxPause, before the members are told that something is missing.
	fillTries = 10
	minPause  = 50 * time.Millisecond
	maxPause  = 5 * time.Second
)

// startFeed begins behind a position.
func (r *room) startFeed(last Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &r.current
	f.ctx, f.end = context.WithCancel(context.Background())
	f.last = last
	if f.seen.Epoch == last.Epoch && f.seen.Offset > last.Offset {
		r.startFill() // it came between Subscribe and History
	}
}

func (r *room) stopFeed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current.ctx != nil {
		r.current.end()
	}
	r.current = feed{}
}

// arrive takes in what the broker has delivered.
func (r *room) arrive(d *Delivery) {
	if r.opts.History == 0 {
		r.arrivePlain(d)
		return
	}
	p := r.unpack(d)
	r.mu.Lock()
	r.awaitInbox()
	f := &r.current
	if d.Pos.Epoch != f.seen.Epoch || d.Pos.Offset > f.seen.Offset {
		f.seen = d.Pos
	}
	switch {
	case f.ctx == nil || f.filling:
	case d.Pos.Epoch == f.last.Epoch && d.Pos.Offset <= f.last.Offset: // again, or late
	case d.Prev == 0, // the history has begun anew, or all before it has expired
		d.Pos.Epoch == f.last.Epoch && d.Prev == f.last.Offset,
		f.last.Epoch == "":
		f.last = d.Pos
		r.deliverLater(p...)
		return
	default:
		r.startFill()
	}
	r.mu.Unlock()
}

// arrivePlain delivers what comes from other nodes: what is from this one was
// delivered before it was published.
func (r *room) arrivePlain(d *Delivery) {
	pk, err := parsePacket(d.Data)
	if err != nil {
		r.h.malformed(d.Topic, err)
		return
	}
	if pk.from == r.h.node {
		return
	}
	ps, err := r.unpackAll(pk, Position{})
	if err != nil {
		r.h.malformed(d.Topic, err)
		return
	}
	r.mu.Lock()
	r.awaitInbox()
	r.deliverLater(ps...)
}

// awaitInbox slows the broker down while too much is on its way into the room.
// mu is held before and after.
func (r *room) awaitInbox() {
	for len(r.inbox) >= maxInbox {
		_ = r.awaitTaken(context.Background()) // never fails
	}
}

// unpack makes parcels of a delivery; none, if it says nothing.
func (r *room) unpack(d *Delivery) []*parcel {
	if len(d.Data) == 0 {
		return nil
	}
	pk, err := parsePacket(d.Data)
	var ps []*parcel
	if err == nil {
		ps, err = r.unpackAll(pk, d.Pos)
	}
	if err != nil {
		r.h.malformed(d.Topic, err)
	}
	return ps
}

func (r *room) unpackAll(pk packet, pos Position) (ps []*parcel, err error) {
	if pk.kind != kindMessage {
		return nil, fmt.Errorf("%w: kind %d", errPacket, pk.kind)
	}
	for rest := pk.body; len(rest) > 0; {
		var ct *content
		if ct, rest, err = parseContent(rest, pk.from); err != nil {
			return nil, err
		}
		p, err := r.h.parcel(ct, r.name, pos)
		if err != nil {
			return nil, err
		}
		ps = append(ps, p)
	}
	return ps, nil
}

// lost is told when the broker may not have delivered everything.
func (r *room) lost() {
	r.mu.Lock()
	if r.current.ctx != nil && !r.current.filling {
		r.startFill()
	}
	r.mu.Unlock()
}

// startFill has what is missing read from the history. mu is held.
func (r *room) startFill() {
	r.current.filling = true
	go r.fill(r.current.ctx, r.current.last)
}

// fill reads the history behind a position and sends it to the members, until
// it has come to the end and nothing more has arrived meanwhile.
func (r *room) fill(ctx context.Context, since Position) {
	pause := minPause
	for range fillTries {
		last, err := r.fillOnce(ctx, since)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			return
		case errors.Is(err, ErrUnrecoverable):
			r.giveUpFill(last)
			return
		}
		r.h.opts.Logger.Warn("hub: reading a history failed", "room", r.name, "error", err)
		r.mu.Lock()
		since = r.current.last
		r.mu.Unlock()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, maxPause)
	}
	r.giveUpFill(Position{})
}

func (r *room) fillOnce(ctx context.Context, since Position) (last Position, err error) {
	for {
		within, cancel := context.WithTimeout(ctx, brokerTimeout)
		ds, last, err := r.h.kept.History(within, r.topic, since, page)
		cancel()
		if err != nil {
			return last, err
		}
		var more bool
		if since, more = r.catchUp(ctx, ds); !more {
			return last, nil
		}
		if len(ds) == 0 {
			return last, errBehind
		}
	}
}

// errBehind is a history that does not have yet what was delivered.
var errBehind = errors.New("hub: message delivered, but not in the history")

// catchUp sends a page of the history, and returns where to read on, if there
// is more.
func (r *room) catchUp(ctx context.Context, ds []Delivery) (since Position, more bool) {
	var ps []*parcel
	for i := range ds {
		ps = append(ps, r.unpack(&ds[i])...)
	}
	r.mu.Lock()
	f := &r.current
	if f.ctx != ctx { // switched off
		r.mu.Unlock()
		return Position{}, false
	}
	if len(ds) > 0 {
		f.last = ds[len(ds)-1].Pos
	}
	more = len(ds) == page || f.seen.Epoch == f.last.Epoch && f.seen.Offset > f.last.Offset
	f.filling = more
	since = f.last
	r.deliver(ps...)
	return since, more
}

// giveUpFill goes on at another position, and tells the members that they have
// missed something.
func (r *room) giveUpFill(at Position) {
	gap := r.h.notice("$gap", r.name, Position{}, gapData{})
	r.h.stats.gaps.Add(1)
	r.mu.Lock()
	r.current.filling = false
	r.current.last = at
	r.deliver(gap)
}

// gapData is what a $gap says.
type gapData struct {
	Missed uint32 `json:"missed"` // 0: nobody knows how many
}

// gapNotice tells a member of a gap; nil: its codec has no envelope.
func (h *Hub) gapNotice(m *member, e *entry) *ws.Prepared {
	return h.notice("$gap", e.s.r.name, Position{}, gapData{e.gap}).frame(int(m.codec)).p
}
