package conn

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/tidewire/ws/internal/pool"
	"github.com/tidewire/ws/internal/wire"
)

// control deals with a control frame; an error means that reading is over.
func (c *Conn) control(ev wire.Event) error {
	if ev.Opcode == wire.Close {
		return c.peerClosed(ev.Data)
	}
	if c.flooded() {
		return c.refuse(StatusPolicyViolation, ErrControlFlood)
	}
	if ev.Opcode == wire.Ping {
		_ = c.sendControl(wire.Pong, ev.Data)
	} else if len(ev.Data) == 0 {
		c.ponged()
	} else {
		c.pings.Load().answered(ev.Data)
	}
	return nil
}

// flooded counts a ping or pong against ControlRate.
func (c *Conn) flooded() bool {
	if c.controls == 0 {
		return false
	}
	in := &c.in
	if in.controls++; int(in.controls) <= c.controls {
		return false
	}
	now := time.Now().UnixNano()
	if now-in.controlsSince < int64(time.Second) {
		return true
	}
	in.controls, in.controlsSince = 1, now
	return false
}

// sendControl sends a ping or pong without blocking, ahead of messages that
// wait. Pongs that pile up behind a peer that doesn't read are dropped for
// newer ones, which RFC 6455 5.5.3 allows; of pings the last one is kept, whose
// pong answers all. An error says that nothing can be sent any more.
func (c *Conn) sendControl(op wire.Opcode, p []byte) error {
	o := &c.out
	o.mu.Lock()
	if err := o.refused(); err != nil {
		o.mu.Unlock()
		return err
	}
	if len(o.ctl) > maxControls {
		o.accepted -= int64(len(o.ctl))
		o.ctl = o.ctl[:0]
		if last := c.pings.Load().latest(); last != nil {
			c.appendControl(wire.Ping, last)
		}
	}
	c.appendControl(op, p)
	if !o.busy && c.deferrable() {
		c.armDeferred()
		o.mu.Unlock()
		return nil
	}
	c.kick()
	return nil
}

func (c *Conn) appendControl(op wire.Opcode, p []byte) {
	o := &c.out
	before := len(o.ctl)
	o.ctl = c.appendFrame(pool.Grow(o.ctl, wire.MaxHeader+len(p)), wire.Header{Opcode: op, Fin: true}, p)
	o.accepted += int64(len(o.ctl) - before)
}

// pingState matches pongs with the pings of Ping. Keepalive's pings are empty:
// any byte of the peer answers them.
type pingState struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan struct{}
}

// Ping sends a ping and waits for the pong (RFC 6455 5.5.2): a round trip to
// the peer and back. Somebody has to be reading meanwhile. Its error wraps
// ctx.Err(), or is why the connection ended.
func (c *Conn) Ping(ctx context.Context) error {
	c.pings.CompareAndSwap(nil, new(pingState))
	pings := c.pings.Load()
	id, pong := pings.expect()
	defer pings.forget(id)
	sent := time.Now()
	if err := c.sendControl(wire.Ping, pingPayload(id)); err != nil {
		return err
	}
	select {
	case <-pong:
		c.roundTrip(time.Since(sent))
		return nil
	case <-c.ctx.Done():
		return c.endCause()
	case <-ctx.Done():
		return c.gaveUp("ping", ctx.Err())
	}
}

func (s *pingState) expect() (uint64, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = make(map[uint64]chan struct{})
	}
	s.last++
	pong := make(chan struct{})
	s.waiting[s.last] = pong
	return s.last, pong
}

func pingPayload(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }

// latest is the payload of the last ping that was sent, or nil if nobody waits.
func (s *pingState) latest() []byte {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return nil
	}
	return pingPayload(s.last)
}

func (s *pingState) forget(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.waiting, id); len(s.waiting) == 0 {
		s.waiting = nil
	}
}

// answered notes a pong, which also answers every earlier ping: a peer may
// answer the latest alone (RFC 6455 5.5.3).
func (s *pingState) answered(p []byte) {
	if s == nil || len(p) != 8 {
		return
	}
	id := binary.BigEndian.Uint64(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if id > s.last {
		return // nobody has asked
	}
	for i, pong := range s.waiting {
		if i <= id {
			close(pong)
			delete(s.waiting, i)
		}
	}
}
