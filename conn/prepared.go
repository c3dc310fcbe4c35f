package conn

import (
	"context"
	"errors"
	"slices"

	"github.com/tidewire/ws/internal/pool"
	"github.com/tidewire/ws/internal/wire"
)

// Prepared is a message that is framed once and written to many connections, and
// compressed once for those of them that compress with the same window. It never
// changes and is safe for concurrent use. A client masks, and compresses, what it
// sends for each connection anew: there a Prepared saves nothing.
type Prepared struct {
	m       Message
	frame   []byte  // as a server sends it plain; nil if it goes out in fragments
	classes classes // as a server sends it compressed
}

// NewPrepared prepares m, of whose Data it keeps a copy.
func NewPrepared(m Message) (*Prepared, error) {
	if err := m.Type.check(); err != nil {
		return nil, err
	}
	h := wire.Header{Opcode: wire.Opcode(m.Type), Fin: true, Length: int64(len(m.Data))}
	p := &Prepared{m: m}
	if len(m.Data) > maxFragment {
		p.m.Data = slices.Clone(m.Data)
		return p, nil
	}
	p.frame = append(h.Append(make([]byte, 0, h.Len()+len(m.Data))), m.Data...)
	p.m.Data = p.frame[h.Len():]
	return p, nil
}

// preparedFrame is p's frame as a server sends it on c, or nil if c sends it as
// a message like any other.
func (c *Conn) preparedFrame(p *Prepared) []byte {
	switch {
	case c.client:
		return nil
	case c.compresses(p.m):
		return p.deflated(c.deflate.out.WindowBits).frame
	}
	return p.frame
}

// size is the most that p takes on c's wire.
func (p *Prepared) size(c *Conn) int {
	if f := c.preparedFrame(p); f != nil {
		return len(f)
	}
	return c.frameLen(len(p.m.Data))
}

// preparedPayload is what of p is compressed already, or nil.
func (c *Conn) preparedPayload(p *Prepared) []byte {
	if c.client || !c.compresses(p.m) {
		return nil
	}
	return p.deflated(c.deflate.out.WindowBits).payload
}

// appendAll appends messages of at most size bytes with their headers, and
// returns how many bytes they were.
func (c *Conn) appendAll(ps []*Prepared, size int) (n int) {
	c.out.buf = pool.Grow(c.out.buf, size)
	for _, p := range ps {
		n += c.appendPrepared(p)
	}
	return n
}

// appendPrepared appends p as c sends it, and returns its length.
func (c *Conn) appendPrepared(p *Prepared) int {
	o := &c.out
	c.countOut(p.m.Type, len(p.m.Data))
	if c.client && c.compresses(p.m) {
		return c.appendCompressed(p.m)
	}
	c.sentStandalone(p)
	if f := c.preparedFrame(p); f != nil {
		o.buf = append(pool.Grow(o.buf, len(f)), f...)
		return len(f)
	}
	h, payload := header(p.m, true), c.preparedPayload(p)
	if h.RSV1 = payload != nil; !h.RSV1 {
		payload = p.m.Data
	}
	n := c.frameLen(len(payload))
	o.buf = c.appendFrame(pool.Grow(o.buf, n), h, payload)
	return n
}

// sentStandalone tells the compressor of a message that goes out compressed
// without it: the peer's window takes it in all the same.
func (c *Conn) sentStandalone(p *Prepared) {
	if c.compresses(p.m) {
		c.deflate.c.Sent(p.m.Data)
	}
}

// WritePrepared sends messages, in order and, if they are together not longer
// than 64 KiB, in one piece. Errors are as Write's; where ctx ended before any
// of it was on the wire, none of that piece was sent.
func (c *Conn) WritePrepared(ctx context.Context, ps ...*Prepared) error {
	needs(ctx)
	if slices.Contains(ps, nil) {
		return errNilPrepared
	}
	for len(ps) > 0 {
		k, n := 0, 0
		for _, p := range ps {
			size := p.size(c)
			if n+size > pool.Large {
				break
			}
			k, n = k+1, n+size
		}
		var err error
		switch {
		case k > 0:
			err = c.writeTogether(ctx, ps[:k], n)
		case c.preparedFrame(ps[0]) != nil:
			k, err = 1, c.writeTogether(ctx, ps[:1], ps[0].size(c))
		default:
			k, err = 1, c.writeLong(ctx, ps[0].m, c.preparedPayload(ps[0]))
		}
		if err != nil {
			return err
		}
		ps = ps[k:]
	}
	return nil
}

// writeTogether sends messages of n bytes with their headers. A single one, if
// the connection has nothing else to send, is not even copied.
func (c *Conn) writeTogether(ctx context.Context, ps []*Prepared, n int) error {
	o := &c.out
	o.mu.Lock()
	if err := c.awaitRoom(ctx, n); err != nil {
		o.mu.Unlock()
		return err
	}
	if len(ps) == 1 && c.direct() {
		frame := c.preparedFrame(ps[0])
		c.countOut(ps[0].m.Type, len(ps[0].m.Data))
		c.sentStandalone(ps[0])
		o.accepted += int64(len(frame))
		head := o.take()
		o.mu.Unlock()
		return c.send(ctx, head, frame, len(frame))
	}
	return c.commit(ctx, c.appendAll(ps, n))
}

// direct reports whether a prepared frame can be written from where it lies.
func (c *Conn) direct() bool {
	return !c.client && !c.out.busy && len(c.out.buf) == 0 && !c.deferrable()
}

// errNilPrepared is for those who have not looked at NewPrepared's error.
var errNilPrepared = errors.New("ws: write: a prepared message is nil")

// TryWrite sends messages without ever blocking: it accepts the first n whole,
// as many as the connection's queue (Config.WriteQueue) takes, and leaves the
// others. OnWritable tells when more may be accepted. err is not nil only if
// the connection has ended or is closing, or if one of ps is nil.
func (c *Conn) TryWrite(ps ...*Prepared) (n int, err error) {
	if slices.Contains(ps, nil) {
		return 0, errNilPrepared
	}
	o := &c.out
	o.mu.Lock()
	if err := c.refused(); err != nil {
		o.mu.Unlock()
		return 0, err
	}
	if len(ps) == 1 && c.socket && !o.message && c.direct() && c.preparedFrame(ps[0]) != nil {
		frame := c.preparedFrame(ps[0])
		c.countOut(ps[0].m.Type, len(ps[0].m.Data))
		c.sentStandalone(ps[0])
		o.accepted += int64(len(frame))
		head := o.take()
		o.mu.Unlock()
		c.tryDirect(head, frame)
		return 1, nil
	}
	n, size := c.accepts(ps)
	if n == 0 {
		o.mu.Unlock()
		return 0, nil
	}
	o.accepted += int64(c.appendAll(ps[:n], size))
	if o.busy {
		o.mu.Unlock()
		return n, nil
	}
	if c.deferrable() {
		c.armDeferred()
		o.mu.Unlock()
		return n, nil
	}
	c.kick()
	return n, nil
}

// accepts says how many of ps TryWrite may append now, and their size: those
// that the queue has room for, but one at least if it is empty.
func (c *Conn) accepts(ps []*Prepared) (n, size int) {
	if c.out.message {
		return 0, 0
	}
	queued := len(c.out.buf)
	for _, p := range ps {
		s := p.size(c)
		if all := queued + size; all > 0 && all+s > c.queue {
			break
		}
		n, size = n+1, size+s
	}
	return n, size
}

// tryDirect writes head and a frame that lies elsewhere, of which it copies
// only what the socket doesn't take at once.
func (c *Conn) tryDirect(head, frame []byte) {
	n, err := c.raw.write(c, head, frame, false)
	if err != nil && !c.goesOn(err) {
		go c.sendFailed(err)
		return
	}
	if total := len(head) + len(frame); n < total {
		rest := append(pool.Get(total-n), head[min(n, len(head)):]...)
		rest = append(rest, frame[max(n-len(head), 0):]...)
		pool.Put(head)
		c.out.mu.Lock()
		c.out.written += int64(n)
		c.out.mu.Unlock()
		c.flushLater(rest, 0)
		return
	}
	c.sentAll(head, frame)
}

// OnWritable has f called once, on a goroutine of its own, when TryWrite may
// accept a message again that it has left, or when the connection has ended.
func (c *Conn) OnWritable(f func()) {
	if f == nil {
		panic("ws: OnWritable: nil function")
	}
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ready() {
		go f()
		return
	}
	o.writable = both(o.writable, f)
}
