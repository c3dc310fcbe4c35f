package hub

import (
	"context"
	"math"
	"sync"

	"github.com/tidewire/ws"
)

// member is a connection that the hub knows. It costs no goroutine: what its
// connection takes is written by whoever publishes, and the rest waits in a
// queue, which exists only while something does.
type member struct {
	c         *ws.Conn
	id        uint64 // unique on the node
	principal string
	codec     int32 // index in Hub.codecs

	// mu guards all below but direct and lag.
	ended  bool
	mu     sync.Mutex
	seats  []*seat
	q      *queue // nil: nothing waits
	placed uint64 // number of the next place in a queue, while there is none
	drops  uint64

	direct seat // for what comes by no room; also its seat in Hub.all
	lag    lag
}

// seat is a member in a room. There are as many as members times rooms: what few
// of them need is elsewhere.
type seat struct {
	m      *member
	r      *room
	since  uint64  // messages of the history up to this offset are not for it
	entry  *Member // in the room's presence; nil: none
	index  int32   // in r.seats; r.mu guards it
	policy Policy

	// m.mu guards these.
	left   bool
	late   *lateness // nil: nothing of the room has had to wait lately
	replay *replay   // nil: it takes part in what happens now
}

// lateness is what a seat knows of its places in the member's queue.
type lateness struct {
	first uint64            // no message of the room waits before this place
	gapAt uint64            // place of a note of a gap, plus 1
	byKey map[string]uint64 // places of waiting messages, with LatestWins
}

func (s *seat) lateness() *lateness {
	if s.late == nil {
		s.late = new(lateness)
	}
	return s.late
}

// replay is a seat that is still being told what it has missed.
type replay struct {
	held  []*parcel // what is published meanwhile
	bytes int
	lost  int // more than could be held
}

func (m *member) hub() *Hub { return m.direct.r.h }

// send writes messages of s's room to the member, or queues them. It reports
// whether the queue is full now. It never blocks.
func (m *member) send(s *seat, b *batch) (full bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case s.left:
		return false
	case s.replay != nil:
		s.replay.hold(b.parcels, m.hub().opts.Queue)
		return false
	}
	sent := 0
	if m.q == nil {
		sent = m.tryAll(s, b)
	}
	for _, p := range b.parcels[min(sent, len(b.parcels)):] {
		m.push(s, p)
	}
	m.attend()
	return m.q != nil && m.q.bytes >= m.hub().opts.Queue
}

// tryAll has the connection take what it can, and returns how many of the
// messages need no more attention.
func (m *member) tryAll(s *seat, b *batch) int {
	if ps := b.forAll(s); len(ps) > 0 {
		return taken(m.c.TryWrite(ps...))
	}
	var some [32]*ws.Prepared
	var at [32]int
	n, done := 0, 0
	for done < len(b.parcels) {
		for n = 0; done < len(b.parcels) && n < len(some); done++ {
			if f := b.parcels[done].frameFor(s); f != nil {
				some[n], at[n] = f.p, done
				n++
			}
		}
		if k := taken(m.c.TryWrite(some[:n]...)); k < n {
			return at[k]
		}
	}
	return done
}

// taken is TryWrite's result where a connection that is over takes everything:
// its member is about to be forgotten.
func taken(n int, err error) int {
	if err != nil {
		return math.MaxInt
	}
	return n
}

// push queues a message, by the seat's policy if there is no room for it. mu is held.
func (m *member) push(s *seat, p *parcel) {
	f := p.frameFor(s)
	if f == nil || m.ended {
		return
	}
	if s.policy == LatestWins && p.key != "" && m.replace(s, p.key, f) {
		return
	}
	for m.q != nil && m.q.bytes > 0 && m.q.bytes+f.size+entryCost > m.limit(s) {
		if !m.makeRoom(s) {
			return
		}
	}
	m.enqueue(s, p.key, f)
}

// enqueue queues a message, full or not. mu is held.
func (m *member) enqueue(s *seat, key string, f *frame) {
	if m.ended {
		return
	}
	n := m.queue().push(entry{f: f, s: s, key: key})
	m.took(f)
	switch s.policy {
	case LatestWins:
		if key != "" {
			l := s.lateness()
			if l.byKey == nil {
				l.byKey = make(map[string]uint64)
			}
			l.byKey[key] = n
		}
	case DropNewest, Wait:
		if s.late != nil {
			s.late.gapAt = 0 // the next gap is behind this one
		}
	}
}

// limit is how many bytes may wait for the member before s's policy has its say.
func (m *member) limit(s *seat) int {
	if s.policy == Wait {
		return 2 * m.hub().opts.Queue
	}
	return m.hub().opts.Queue
}

// makeRoom applies s's policy to a full queue, and reports whether there may be
// room now.
func (m *member) makeRoom(s *seat) bool {
	switch s.policy {
	case DropOldest, LatestWins:
		if m.dropOldest(s) {
			return true
		}
	case TryAgainLater, Violation:
		m.closeSlow(s.policy.closes())
		return false
	}
	m.note(s, 1)
	return false
}

// note counts messages that are dropped behind all that waits. mu is held.
func (m *member) note(s *seat, n int) {
	m.hub().stats.dropped.Add(uint64(n))
	m.drops += uint64(n)
	if !s.tellsGaps() {
		return
	}
	m.queue()
	if e := m.gapOf(s); e != nil {
		e.gap += uint32(n)
	} else {
		s.lateness().gapAt = m.q.push(entry{s: s, gap: uint32(n)}) + 1
	}
}

// replace puts f where a message with its key waits, if one does.
func (m *member) replace(s *seat, key string, f *frame) bool {
	if s.late == nil {
		return false
	}
	n, ok := s.late.byKey[key]
	if !ok {
		return false
	}
	e := m.q.at(n)
	m.gaveUp(e.f)
	e.f = f
	m.took(f)
	m.hub().stats.replaced.Add(1)
	return true
}

// dropOldest drops the oldest waiting message of s's room.
func (m *member) dropOldest(s *seat) bool {
	l := s.lateness()
	for n := max(l.first, m.q.head); n != m.q.tail; n++ {
		if e := m.q.at(n); e.s == s && e.f != nil {
			m.drop(n)
			l.first = n + 1
			m.q.trim()
			return true
		}
	}
	return false
}

// drop drops the message at place n.
func (m *member) drop(n uint64) {
	e := m.q.at(n)
	s := e.s
	m.gaveUp(e.f)
	m.forgetKey(*e)
	m.hub().stats.dropped.Add(1)
	m.drops++
	switch gap := m.gapOf(s); {
	case !s.tellsGaps():
		m.q.discard(n)
	case gap != nil:
		gap.gap++
		m.q.discard(n)
	default:
		*e = entry{s: s, gap: 1}
		s.lateness().gapAt = n + 1
	}
}

// dropWaiting drops what waits of a seat that has been left.
func (m *member) dropWaiting(s *seat) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.q == nil {
		return
	}
	for n := m.q.head; n != m.q.tail; n++ {
		e := m.q.at(n)
		if e.s != s {
			continue
		}
		if e.f != nil {
			m.gaveUp(e.f)
			m.forgetKey(*e)
		}
		m.q.discard(n)
	}
	m.q.trim()
}

// gapOf returns the note of a gap that s's next drop belongs to; nil: none.
func (m *member) gapOf(s *seat) *entry {
	if s.late == nil || s.late.gapAt <= m.q.head {
		return nil
	}
	if e := m.q.at(s.late.gapAt - 1); e.s == s && e.gap > 0 {
		return e
	}
	return nil
}

func (m *member) forgetKey(e entry) {
	if e.key != "" && e.s.late != nil {
		delete(e.s.late.byKey, e.key)
	}
}

// moved keeps what s knows of places in the queue right.
func (s *seat) moved(from, to uint64, e entry) {
	if s.late == nil {
		return
	}
	if s.late.gapAt == from+1 {
		s.late.gapAt = to + 1
	}
	if e.key != "" && s.late.byKey != nil {
		s.late.byKey[e.key] = to
	}
}

// tellsGaps reports whether the client is told of dropped messages: where there
// is a history it can make up for them.
func (s *seat) tellsGaps() bool { return s.r != nil && s.r.opts.History > 0 }

// took and gaveUp keep account of what waits: the payload counts once, however
// many queues it waits in.
func (m *member) took(f *frame) {
	m.q.bytes += f.size + entryCost
	n := int64(entryCost)
	if f.refs.Add(1) == 1 {
		n += int64(f.size)
	}
	m.hub().lagging.bytes.Add(n)
}

func (m *member) gaveUp(f *frame) {
	m.q.bytes -= f.size + entryCost
	n := int64(entryCost)
	if f.refs.Add(-1) == 0 {
		n += int64(f.size)
	}
	m.hub().lagging.bytes.Add(-n)
}

// attend sees to it that somebody goes on with the queue. mu is held.
func (m *member) attend() {
	if m.q == nil || m.q.waiting {
		return
	}
	if m.q.empty() {
		m.hub().lagging.remove(m)
		m.free()
		return
	}
	m.q.waiting = true
	m.hub().lagging.add(m)
	m.c.OnWritable(m.writable)
}

// flushNow sends what the connection takes at once, unless something waits for
// it already. mu is held.
func (m *member) flushNow() {
	if m.q == nil || m.q.waiting {
		return
	}
	m.flush()
	if m.ended {
		m.clear()
	}
	m.attend()
}

// writable is called when the connection may take more.
func (m *member) writable() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.q == nil {
		return
	}
	m.q.waiting = false
	moved := m.flush()
	switch {
	case m.ended:
		m.clear()
	case moved, m.q.empty():
		m.hub().lagging.advance(m)
		m.attend()
	default:
		m.q.waiting = true
		go m.awaitFlushed()
	}
}

// awaitFlushed is for a connection that says it is writable while there is less
// room than the next message needs: it waits until everything is written.
func (m *member) awaitFlushed() {
	_ = m.c.Flush(m.c.Context()) // TryWrite will say what is wrong
	m.writable()
}

// flush has the connection take what it can, and reports whether it took anything.
func (m *member) flush() (moved bool) {
	q := m.q
	for !m.ended {
		q.trim()
		if q.empty() {
			break
		}
		n, k, err := m.flushSome()
		if err != nil {
			m.ended = true
			break
		}
		moved = moved || k > 0
		if k < n {
			break
		}
	}
	if q.bytes < m.hub().opts.Queue {
		q.opened()
	}
	return moved
}

// flushSome offers the connection the first n messages, of which it takes k.
func (m *member) flushSome() (n, k int, err error) {
	var some [64]*ws.Prepared
	if e := m.q.at(m.q.head); e.gap == 0 {
		n = m.q.peek(some[:])
	} else if some[0] = m.hub().gapNotice(m, e); some[0] != nil {
		n = 1
	} else {
		m.q.pop()
		return 0, 0, nil
	}
	k, err = m.c.TryWrite(some[:n]...)
	m.sent(k)
	return n, k, err
}

// sent takes the first k messages and notes out of the queue.
func (m *member) sent(k int) {
	q := m.q
	for k > 0 {
		e := q.pop()
		switch {
		case e.f != nil:
			m.gaveUp(e.f)
			m.forgetKey(e)
			k--
		case e.gap > 0:
			k--
		default:
			q.void--
		}
	}
}

// clear drops the queue of a member that needs none any more. mu is held.
func (m *member) clear() {
	if m.q == nil {
		return
	}
	for ; m.q.head != m.q.tail; m.q.head++ {
		if e := m.q.at(m.q.head); e.f != nil {
			m.gaveUp(e.f)
		}
	}
	m.hub().lagging.remove(m)
	m.free()
}

// queue makes the member's queue if there is none. mu is held.
func (m *member) queue() *queue {
	if m.q == nil {
		m.q = &queue{head: m.placed, tail: m.placed}
	}
	return m.q
}

// free lets go of the queue. Its numbers go on in the next one, for what seats
// know of them to stay right. mu is held.
func (m *member) free() {
	m.q.opened()
	m.placed, m.q = m.q.tail, nil
	m.direct.late = nil
	for _, s := range m.seats {
		s.late = nil
	}
}

// awaitRoom waits until the member's queue is not full.
func (m *member) awaitRoom(ctx context.Context) error {
	for {
		m.mu.Lock()
		if m.ended || m.q == nil || m.q.bytes < m.hub().opts.Queue {
			m.mu.Unlock()
			return nil
		}
		if m.q.room == nil {
			m.q.room = make(chan struct{})
		}
		room := m.q.room
		m.mu.Unlock()
		select {
		case <-room:
		case <-m.c.Context().Done():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hold keeps messages until the replay is over.
func (r *replay) hold(ps []*parcel, limit int) {
	for _, p := range ps {
		if r.bytes += p.size + entryCost; r.lost > 0 || r.bytes > limit {
			r.lost++
			continue
		}
		r.held = append(r.held, p)
	}
}
