package hub

import (
	"sync/atomic"

	"github.com/tidewire/ws"
)

// frame is a message as it is sent to all members with the same codec.
type frame struct {
	p    *ws.Prepared // nil: there is no form of the message for that codec
	size int
	refs atomic.Int32 // queues that it waits in
}

// entryCost is what a waiting message is counted beside its payload.
const entryCost = 64

// entry is a place in a queue: a message, the note that messages of a room are
// missing here, or nothing any more.
type entry struct {
	f   *frame // nil: no message
	s   *seat
	key string
	gap uint32 // messages that are missing; 0 with a nil f: the place is void
}

// queue is what waits for one member: a ring of entries, numbered from the
// first that was ever queued. The member's mu guards it.
type queue struct {
	ring       []entry // its length is a power of two
	head, tail uint64  // numbers of the first entry, and of the one to come
	void       int     // void places between them
	bytes      int

	waiting bool          // for the connection to become writable
	room    chan struct{} // closed when there is room; nil: nobody waits
}

const minRing = 16

func (q *queue) at(n uint64) *entry { return &q.ring[n&uint64(len(q.ring)-1)] }

// empty reports whether nothing is left to be sent.
func (q *queue) empty() bool { return q.head == q.tail }

// push appends e and returns its number.
func (q *queue) push(e entry) uint64 {
	if q.tail-q.head == uint64(len(q.ring)) {
		q.grow()
	}
	n := q.tail
	*q.at(n) = e
	q.tail++
	return n
}

// grow makes room in the ring: by taking out void places if they are many. The
// entries get new numbers, beyond all that were ever used.
func (q *queue) grow() {
	size := len(q.ring)
	if live := int(q.tail-q.head) - q.void; 2*live >= size {
		size = max(minRing, 2*size)
	}
	old := *q
	q.ring, q.head, q.void = make([]entry, size), q.tail, 0
	for n := old.head; n != old.tail; n++ {
		e := *old.at(n)
		if e.f == nil && e.gap == 0 {
			continue
		}
		e.s.moved(n, q.tail, e)
		*q.at(q.tail) = e
		q.tail++
	}
}

// pop takes out the first entry.
func (q *queue) pop() entry {
	e := *q.at(q.head)
	*q.at(q.head) = entry{}
	q.head++
	return e
}

// trim takes out void places at the head.
func (q *queue) trim() {
	for q.head != q.tail {
		if e := q.at(q.head); e.f != nil || e.gap > 0 {
			return
		}
		q.head++
		q.void--
	}
}

// peek returns the messages at the head, up to the note of a gap.
func (q *queue) peek(some []*ws.Prepared) (n int) {
	for at := q.head; n < len(some) && at != q.tail; at++ {
		e := q.at(at)
		if e.gap > 0 {
			break
		}
		if e.f != nil {
			some[n] = e.f.p
			n++
		}
	}
	return n
}

// discard makes the place of a message void.
func (q *queue) discard(n uint64) {
	*q.at(n) = entry{}
	q.void++
}

// opened wakes who waits for room.
func (q *queue) opened() {
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
}
