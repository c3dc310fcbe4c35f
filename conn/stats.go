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
	s.In = Traffic{Messages: c.arrived.messages.Load(), Bytes: c.arrived.bytes.Load()}
	c.out.mu.Lock()
	s.Out = c.out.traffic
	if !c.out.gone {
		s.Queued = c.out.accepted - c.out.written
	}
	c.out.mu.Unlock()
	return s
}

// arrivals are what others know of inbound.traffic. The read side counts in plain
// memory and publishes before it waits, when nobody minds the time.
type arrivals struct{ messages, bytes atomic.Int64 }

// publish is called by whoever holds the read side.
func (c *Conn) publish() {
	a, in := &c.arrived, &c.in.traffic
	if a.messages.Load() != in.Messages {
		a.messages.Store(in.Messages)
	}
	if a.bytes.Load() != in.Bytes {
		a.bytes.Store(in.Bytes)
	}
}

// countIn counts a piece of a message; the caller holds the read side.
func (c *Conn) countIn(op wire.Opcode, n int, last bool) {
	in := &c.in
	in.traffic.Bytes += int64(n)
	if last {
		in.traffic.Messages++
	}
	if c.observer != nil {
		c.observer.observeIn(c, op, n, last)
	}
}

// countOut counts a message; the caller holds out.mu.
func (c *Conn) countOut(t MessageType, n int) {
	o := &c.out
	o.traffic.Bytes += int64(n)
	o.traffic.Messages++
	if c.observer != nil {
		c.observer.observeOut(c, t, n)
	}
}
