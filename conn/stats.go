package conn

import (
	"sync/atomic"
	"time"

	"github.com/tidewire/ws/internal/wire"
)

// Traffic counts the data messages of one direction.
type Traffic struct {
	Messages int64
	Bytes    int64 // of payload, as the application sees it
}

// Stats are a connection's figures at one time.
type Stats struct {
	In, Out Traffic       // out: what was accepted
	Queued  int64         // bytes that were accepted and that the kernel has not taken yet
	Silence time.Duration // of the peer while it is being read, a check of keepalive more or less
	RTT     time.Duration // of the last ping that was answered; 0: none has been
}

// Stats returns the connection's figures. What a read has taken since it last
// waited may be missing while it is under way.
func (c *Conn) Stats() Stats {
	if c.reading.tryAcquire() {
		c.publish()
		c.reading.release()
	}
	s := Stats{Silence: c.watch.silence(), RTT: time.Duration(c.watch.rtt.Load()) * time.Microsecond}
	c.out.mu.Lock()
	if m := c.metered.Load(); m != nil {
		s.In = Traffic{Messages: m.messages.Load(), Bytes: m.bytes.Load()}
		s.Out = m.out
	}
	if !c.out.gone {
		s.Queued = c.out.accepted - c.out.written
	}
	c.out.mu.Unlock()
	return s
}

// meter counts a connection's traffic. It is made with the first message. The
// read side counts in plain memory and publishes before it waits, when nobody
// minds the time.
type meter struct {
	in  Traffic // guarded by Conn.reading
	out Traffic // guarded by outbound.mu

	part int // of the message that is being read, for an Observer; as in

	messages, bytes atomic.Int64 // what others know of in

	ration *ration // nil: Config.Rate is no bound
}

func (c *Conn) meter() *meter {
	if m := c.metered.Load(); m != nil {
		return m
	}
	c.metered.CompareAndSwap(nil, new(meter))
	return c.metered.Load()
}

// publish is called by whoever holds the read side.
func (c *Conn) publish() {
	m := c.metered.Load()
	if m == nil {
		return
	}
	if m.messages.Load() != m.in.Messages {
		m.messages.Store(m.in.Messages)
	}
	if m.bytes.Load() != m.in.Bytes {
		m.bytes.Store(m.in.Bytes)
	}
}

// countIn counts a piece of a message; the caller holds the read side.
func (c *Conn) countIn(op wire.Opcode, n int, last bool) {
	m := c.metered.Load()
	if m == nil {
		m = c.meter()
	}
	m.in.Bytes += int64(n)
	if last {
		m.in.Messages++
	}
	if c.observer != nil {
		c.observer.observeIn(c, &m.part, op, n, last)
	}
}

// countOut counts a message; the caller holds out.mu.
func (c *Conn) countOut(t MessageType, n int) {
	m := c.metered.Load()
	if m == nil {
		m = c.meter()
	}
	m.out.Bytes += int64(n)
	m.out.Messages++
	if c.observer != nil {
		c.observer.observeOut(c, t, n)
	}
}
