package hub

import (
	"sync/atomic"

	"github.com/tidewire/ws"
)

// counters are what Stats reads.
type counters struct {
	published, sent, dropped, replaced, shed, closed, gaps atomic.Uint64
}

// Stats is what a Hub has done since it was made, and where it stands. All
// concerns this node alone.
type Stats struct {
	Connections int
	Rooms       int

	Published uint64 // messages published by this node
	Sent      uint64 // messages times members
	Dropped   uint64 // of these, dropped because a member's queue or the hub's memory was full
	Shed      uint64 // of the dropped, those for the sake of the hub's memory
	Replaced  uint64 // of those sent, replaced while they waited by others with the same key
	Closed    uint64 // connections that were closed because they read too slowly
	Gaps      uint64 // times that messages of a room's history were lost to the whole node

	Lagging int   // connections for which something waits
	Waiting int64 // bytes that wait for them
}

// Stats counts what has happened.
func (h *Hub) Stats() Stats {
	c := &h.stats
	s := Stats{
		Published: c.published.Load(), Sent: c.sent.Load(),
		Dropped: c.dropped.Load(), Shed: c.shed.Load(), Replaced: c.replaced.Load(),
		Closed: c.closed.Load(), Gaps: c.gaps.Load(),
		Waiting: h.lagging.bytes.Load(),
	}
	_, s.Lagging = h.lagging.slowest()
	h.mu.RLock()
	defer h.mu.RUnlock()
	s.Connections, s.Rooms = len(h.members), len(h.rooms)
	return s
}

// Lag says how many bytes wait for a connection, and how many messages for it
// have been dropped since the hub knows it.
func (h *Hub) Lag(c *ws.Conn) (waiting int, dropped uint64) {
	m := h.member(c)
	if m == nil {
		return 0, 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.q != nil {
		waiting = m.q.bytes
	}
	return waiting, m.drops
}
