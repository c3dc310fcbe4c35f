package hub

import (
	"sync"
	"sync/atomic"

	"github.com/tidewire/ws"
)

// lagging is the members for whom something waits, in the order in which their
// connections last took something: the slowest first.
type lagging struct {
	bytes atomic.Int64 // that wait for all of them

	mu sync.Mutex // taken after a member's
	// mu guards all below, and the members' lag.
	first, last *member
	n           int
}

// lag is a member's place in the list.
type lag struct{ prev, next *member }

func (l *lagging) has(m *member) bool { return m.lag.prev != nil || l.first == m }

func (l *lagging) add(m *member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.has(m) {
		l.append(m)
	}
}

func (l *lagging) remove(m *member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.has(m) {
		l.unlink(m)
	}
}

// advance makes m the quickest of them.
func (l *lagging) advance(m *member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.has(m) {
		l.unlink(m)
		l.append(m)
	}
}

func (l *lagging) append(m *member) {
	m.lag = lag{prev: l.last}
	if l.last != nil {
		l.last.lag.next = m
	} else {
		l.first = m
	}
	l.last = m
	l.n++
}

func (l *lagging) unlink(m *member) {
	if m.lag.prev != nil {
		m.lag.prev.lag.next = m.lag.next
	} else {
		l.first = m.lag.next
	}
	if m.lag.next != nil {
		m.lag.next.lag.prev = m.lag.prev
	} else {
		l.last = m.lag.prev
	}
	m.lag = lag{}
	l.n--
}

func (l *lagging) slowest() (m *member, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first, l.n
}

// shed empties queues, the slowest member's first, until the rest is within the
// budget. The caller holds no member's mu.
func (h *Hub) shed() {
	for _, n := h.lagging.slowest(); n > 0 && h.lagging.bytes.Load() > h.opts.Memory; n-- {
		m, _ := h.lagging.slowest()
		if m == nil {
			return
		}
		m.shed()
	}
}

// shed drops all that waits for the member, or closes its connection if that is
// the policy of one of its rooms.
func (m *member) shed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hub().lagging.advance(m)
	if m.q == nil {
		return
	}
	for n := m.q.head; n != m.q.tail; n++ {
		e := m.q.at(n)
		if e.f == nil {
			continue
		}
		m.hub().stats.shed.Add(1)
		if code := e.s.policy.closes(); code != 0 {
			m.closeSlow(code)
			return
		}
		m.drop(n)
	}
	m.q.trim()
	m.q.opened()
}

// closeSlow ends a connection that reads too slowly. mu is held.
func (m *member) closeSlow(code ws.StatusCode) {
	m.c.CloseCause(code, "messages are read too slowly", ErrSlow)
	m.hub().stats.closed.Add(1)
	m.clear()
	m.ended = true
}
