package main

import (
	"fmt"
	"sync"

	"github.com/tidewire/ws/hub"
)

// ledger is what the checker knows of a room with a history: which message has
// which place in it, and which ones were acknowledged.
type ledger struct {
	name string
	v    *verdict

	mu sync.Mutex
	// mu guards all below.
	epoch string
	at    map[uint64]string // ids by offset
	ids   map[string]uint64
	acked map[string]uint64
}

func newLedger(name string, v *verdict) *ledger {
	return &ledger{name: name, v: v, at: make(map[uint64]string), ids: make(map[string]uint64), acked: make(map[string]uint64)}
}

// note notes a message's place; all who hear of it have to agree.
func (l *ledger) note(id string, pos hub.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoch == "" {
		l.epoch = pos.Epoch
	}
	if l.epoch != pos.Epoch {
		l.v.count(&l.v.Lost, "%s: the history has begun anew: epoch %s, then %s", l.name, l.epoch, pos.Epoch)
	}
	if other, taken := l.at[pos.Offset]; taken && other != id {
		l.v.count(&l.v.Disordered, "%s: %s and %s are both at %d", l.name, other, id, pos.Offset)
	}
	if other, known := l.ids[id]; known && other != pos.Offset {
		l.v.count(&l.v.Doubled, "%s: %s is at %d and at %d", l.name, id, other, pos.Offset)
	}
	l.at[pos.Offset], l.ids[id] = id, pos.Offset
}

func (l *ledger) acknowledge(id string, pos hub.Position) {
	l.note(id, pos)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[id] = pos.Offset
}

func (l *ledger) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// reading is what one client has got of a room.
type reading struct {
	*ledger
	mu sync.Mutex
	// mu guards both below.
	last hub.Position
	got  map[uint64]bool // offsets
}

// began sets where a client that joins for the first time begins.
func (r *reading) began(pos hub.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == (hub.Position{}) {
		r.last = pos
	}
}

func (r *reading) since() hub.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// take takes in a message that has arrived.
func (r *reading) take(client, id string, pos hub.Position) {
	r.note(id, pos)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.got[pos.Offset]:
		r.v.count(&r.v.Doubled, "%s in %s: %s at %d came again", client, r.name, id, pos.Offset)
	case pos.Offset <= r.last.Offset:
		r.v.count(&r.v.Disordered, "%s in %s: %s at %d came behind %d", client, r.name, id, pos.Offset, r.last.Offset)
	}
	r.got[pos.Offset], r.last = true, pos
}

// missing returns the acknowledged messages that have not arrived.
func (r *reading) missing() (ids []string) {
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.got) == len(r.at) { // all that anybody has got
		return nil
	}
	for id, offset := range r.acked {
		if !r.got[offset] {
			ids = append(ids, id)
		}
	}
	return ids
}

// verdict is what went wrong.
type verdict struct {
	mu sync.Mutex
	// mu guards all below.
	Lost, Doubled, Disordered int
	Presence                  int      // times that it was wrong for too long
	Said                      []string // the first of them, in words
}

// mostSaid is how many faults are described.
const mostSaid = 20

func (v *verdict) count(n *int, format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	*n++
	if len(v.Said) < mostSaid {
		v.Said = append(v.Said, fmt.Sprintf(format, args...))
	}
}

func (v *verdict) faults() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.Lost + v.Doubled + v.Disordered + v.Presence
}
