package hub

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tidewire/ws"
)

// parcel is one message on its way to members.
type parcel struct {
	frames []frame // one for each codec, or one for all
	size   int     // the longest of them
	key    string
	offset uint64 // in the room's history; 0: it is not part of one
	except uint64 // id of a member that does not get it; 0: none
	only   *seat  // the only one that gets it; nil: all do
}

// frameFor returns what s's member is sent; nil: nothing.
func (p *parcel) frameFor(s *seat) *frame {
	if p.except == s.m.id || p.only != nil && p.only != s || p.offset > 0 && p.offset <= s.since {
		return nil
	}
	if f := p.frame(int(s.m.codec)); f.p != nil {
		return f
	}
	return nil
}

func (p *parcel) frame(codec int) *frame {
	if len(p.frames) == 1 {
		return &p.frames[0]
	}
	return &p.frames[codec]
}

// batch is messages that go out together.
type batch struct {
	parcels  []*parcel
	prepared [][]*ws.Prepared // by codec; empty: not all members get all of it
	first    uint64           // the first offset; 0: none has one
}

// forAll returns what s is sent if that is all of b; nil: it has to be asked
// message by message.
func (b *batch) forAll(s *seat) []*ws.Prepared {
	if b.first > 0 && b.first <= s.since {
		return nil
	}
	return b.prepared[s.m.codec]
}

// fill sets b up for a number of codecs.
func (b *batch) fill(codecs int) {
	if b.prepared == nil {
		b.prepared = make([][]*ws.Prepared, codecs)
	}
	b.first = 0
	for _, p := range b.parcels {
		if p.offset > 0 {
			b.first = p.offset
			break
		}
	}
	for i := range b.prepared {
		b.prepared[i] = b.prepared[i][:0]
		for _, p := range b.parcels {
			f := p.frame(i).p
			if p.except != 0 || p.only != nil || f == nil {
				clear(b.prepared[i])
				b.prepared[i] = b.prepared[i][:0]
				break
			}
			b.prepared[i] = append(b.prepared[i], f)
		}
	}
}

// empty lets go of what b holds, but not of the space.
func (b *batch) empty() {
	clear(b.parcels)
	b.parcels = b.parcels[:0]
	for i, ps := range b.prepared {
		clear(ps)
		b.prepared[i] = ps[:0]
	}
}

const (
	// maxInbox is how many messages may be on their way into a room before
	// publishers have to wait.
	maxInbox = 1024
	// maxRounds is how often a publisher sends what others have published
	// meanwhile, before a goroutine of its own takes over.
	maxRounds = 16
)

// room is the members of a room, and what is on its way to them.
//
// Messages reach every member in the same order: one goroutine at a time is the
// sender (busy is its lock). It takes all that has been published and writes it
// without holding mu; what others publish meanwhile is the next batch, so that
// nobody waits for anybody's socket, and the busier a room is the more goes out
// in one write.
type room struct {
	h    *Hub
	name string
	opts RoomOptions

	users int         // seats, and joins under way; h.mu guards it
	idle  *time.Timer // lets go of the room; h.mu guards it

	mu sync.Mutex // taken after h.mu, and before a member's
	// mu guards all below.
	seats   []*seat
	shared  bool // seats is being read without mu: it is replaced, not changed
	inbox   []*parcel
	busy    bool
	taken   chan struct{} // closed when inbox has been taken; nil: nobody waits
	full    []*member     // of a room that waits: whom it waits for
	current feed
	present presence

	batch       batch // the sender's
	subscribing subscription

	topic, presenceTopic Topic
}

func newRoom(h *Hub, name string, o RoomOptions) *room {
	r := &room{h: h, name: name, opts: o}
	r.topic = roomTopic(name, o)
	r.presenceTopic = Topic{Name: presenceOf + escaped(name)}
	r.subscribing.turn = make(chan struct{}, 1)
	if o.Presence {
		r.present.init(h, o)
	}
	return r
}

func roomTopic(name string, o RoomOptions) Topic {
	t := Topic{Name: messagesOf + escaped(name)}
	if o.History > 0 {
		t.History, t.KeepFor = o.History, o.KeepFor
	}
	return t
}

// add makes s a member's seat. mu is held.
func (r *room) add(s *seat) {
	r.own()
	s.index = int32(len(r.seats))
	r.seats = append(r.seats, s)
}

// remove takes s out. mu is held.
func (r *room) remove(s *seat) {
	r.own()
	last := len(r.seats) - 1
	moved := r.seats[last]
	r.seats[s.index], r.seats[last] = moved, nil
	moved.index = s.index
	r.seats = r.seats[:last]
}

// own makes seats nobody else's. mu is held.
func (r *room) own() {
	if r.shared {
		r.seats, r.shared = slices.Clone(r.seats), false
	}
}

// publish sends messages to the members, behind all that was published before.
// It waits only while too many messages of other publishers are under way.
func (r *room) publish(ctx context.Context, ps ...*parcel) error {
	r.mu.Lock()
	for len(r.inbox) >= maxInbox {
		if err := r.awaitTaken(ctx); err != nil {
			r.mu.Unlock()
			return err
		}
	}
	r.deliver(ps...)
	return nil
}

// awaitTaken waits until the inbox has been taken. mu is held before and after.
func (r *room) awaitTaken(ctx context.Context) error {
	if r.taken == nil {
		r.taken = make(chan struct{})
	}
	taken := r.taken
	r.mu.Unlock()
	defer r.mu.Lock()
	select {
	case <-taken:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deliver sends messages, or leaves them to the sender. mu is held, and no longer
// when deliver returns.
func (r *room) deliver(ps ...*parcel) {
	r.inbox = append(r.inbox, ps...)
	if r.busy {
		r.mu.Unlock()
		return
	}
	r.busy = true
	r.send(maxRounds)
}

// deliverLater is deliver for the broker's goroutine, which has other things to
// do than to write to sockets.
func (r *room) deliverLater(ps ...*parcel) {
	if r.h.alone {
		r.deliver(ps...)
		return
	}
	r.inbox = append(r.inbox, ps...)
	if !r.busy && len(r.inbox) > 0 {
		r.busy = true
		go r.sendLater()
	}
	r.mu.Unlock()
}

func (r *room) sendLater() {
	r.mu.Lock()
	r.send(maxRounds)
}

// send sends what is in the inbox, and what comes in meanwhile, for so many
// rounds. The caller is the sender; mu is held, and no longer when send returns.
func (r *room) send(rounds int) {
	for len(r.inbox) > 0 && len(r.seats) > 0 {
		if rounds == 0 {
			r.mu.Unlock()
			go r.sendLater()
			return
		}
		rounds--
		seats := r.take()
		r.mu.Unlock()
		full := r.sendTo(seats)
		r.mu.Lock()
		r.full = full
		r.shared = false
	}
	clear(r.inbox)
	r.inbox, r.busy = r.inbox[:0], false
	r.wakePublishers()
	r.mu.Unlock()
}

func (r *room) wakePublishers() {
	if r.taken != nil {
		close(r.taken)
		r.taken = nil
	}
}

// take makes a batch of the inbox, and returns whom it is for. mu is held.
func (r *room) take() []*seat {
	r.inbox, r.batch.parcels = r.batch.parcels[:0], r.inbox
	r.wakePublishers()
	r.shared = true
	return r.seats
}

// sendTo sends the batch, and returns who is full where that matters.
func (r *room) sendTo(seats []*seat) (full []*member) {
	b := &r.batch
	b.fill(len(r.h.codecs))
	for _, s := range seats {
		if s.m.send(s, b) && s.policy == Wait {
			full = append(full, s.m)
		}
	}
	r.h.stats.sent.Add(uint64(len(seats) * len(b.parcels)))
	b.empty()
	if r.h.lagging.bytes.Load() > r.h.opts.Memory {
		r.h.shed()
	}
	return full
}

// awaitRoom waits until none of the members that found their queue full does
// any more.
func (r *room) awaitRoom(ctx context.Context) error {
	r.mu.Lock()
	full := r.full
	r.mu.Unlock()
	for _, m := range full {
		if err := m.awaitRoom(ctx); err != nil {
			return err
		}
	}
	return nil
}
