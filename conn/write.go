package conn

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tidewire/ws/internal/mask"
	"github.com/tidewire/ws/internal/pool"
	"github.com/tidewire/ws/internal/wire"
)

// Writes may come from any goroutine; each message goes out whole. nil means
// that the message was accepted, in order: if it can't be sent after all, the
// next call and Context's cause say so. Flush waits until the kernel has
// everything.
//
// While more requests have arrived and wait to be read, a message may wait a
// moment for the next one, and while one goroutine is sending the others' are
// collected, so that many messages go out with one system call.

// Write sends a message. p is not kept and not changed. Text is not checked: it
// is the caller's to send UTF-8 only.
//
// If ctx ends before any of it is on the wire, the message is not sent, the
// error wraps ctx.Err(), and the connection goes on. If ctx ends halfway, or
// once it is about to be sent on a connection with context takeover, what is
// left of the message is sent in the background, and the error says that it
// may still arrive; over TLS, and in a message of which more than 256 KiB lie
// behind the fragment that is being sent, this ends the connection with
// ErrWriteCut instead.
func (c *Conn) Write(ctx context.Context, t MessageType, p []byte) error {
	return c.WriteMessage(ctx, Message{Type: t, Data: p})
}

// WriteMessage is Write with the message's options.
func (c *Conn) WriteMessage(ctx context.Context, m Message) error {
	needs(ctx)
	if err := m.Type.check(); err != nil {
		return err
	}
	if len(m.Data) > maxCopied {
		return c.writeLong(ctx, m, nil)
	}
	n := c.frameLen(len(m.Data))
	c.out.mu.Lock()
	if err := c.awaitRoom(ctx, n); err != nil {
		c.out.mu.Unlock()
		return err
	}
	if c.compresses(m) {
		n = c.appendCompressed(m)
	} else {
		c.out.buf = c.appendFrame(pool.Grow(c.out.buf, n), header(m, true), m.Data)
	}
	c.countOut(m.Type, len(m.Data))
	return c.commit(ctx, n)
}

// needs panics without a context, before a lock is held that a recovered panic
// would leave behind.
func needs(ctx context.Context) {
	if ctx == nil {
		panic("ws: nil context")
	}
}

// appendCompressed appends a whole message, compressed, and returns its length.
func (c *Conn) appendCompressed(m Message) int {
	z := c.deflate.compress(pool.Get(len(m.Data)), m.Data, true)
	h := header(m, true)
	h.RSV1 = true
	n := c.frameLen(len(z))
	c.out.buf = c.appendFrame(pool.Grow(c.out.buf, n), h, z)
	pool.Put(z)
	return n
}

// header is what the first frame of a message begins with; appendFrame knows the rest.
func header(m Message, fin bool) wire.Header {
	return wire.Header{Opcode: wire.Opcode(m.Type), Fin: fin}
}

func (t MessageType) check() error {
	if t != Text && t != Binary {
		return typeError(t)
	}
	return nil
}

func typeError(t MessageType) error {
	return fmt.Errorf("ws: write: message type %d is neither Text nor Binary", byte(t))
}

// frameLen is what appendFrame adds for n bytes of payload.
func (c *Conn) frameLen(n int) int {
	return wire.Header{Masked: c.client, Length: int64(n)}.Len() + n
}

// appendFrame appends a frame, masked if this end is a client. Of h it needs the
// opcode and the flags.
func (c *Conn) appendFrame(b []byte, h wire.Header, p []byte) []byte {
	h.Masked, h.Length = c.client, int64(len(p))
	if !c.client {
		return append(h.Append(b), p...)
	}
	h.Key = newMaskKey()
	b = h.Append(b)
	at := len(b)
	b = append(b, p...)
	mask.Bytes(b[at:], h.Key)
	return b
}

// newMaskKey returns a key that nobody can foresee (RFC 6455 10.3).
func newMaskKey() uint32 {
	var key [4]byte
	_, _ = rand.Read(key[:]) // never fails
	return binary.LittleEndian.Uint32(key[:])
}

// writeLong sends a message that is not copied whole: each fragment goes out
// before the next is begun, so that control frames can pass between. packed is
// its payload, if that has been compressed already.
func (c *Conn) writeLong(ctx context.Context, m Message, packed []byte) error {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := c.beginMessage(ctx); err != nil {
		return err
	}
	defer o.endMessage()
	h, rest, compress := header(m, false), m.Data, c.compresses(m)
	h.RSV1 = compress
	if packed != nil {
		c.deflate.c.Sent(m.Data)
		rest, compress = packed, false
	}
	for len(rest) > 0 {
		p := rest[:min(len(rest), c.fragment())]
		rest = rest[len(p):]
		h.Fin = len(rest) == 0
		if err := c.writeFragment(ctx, h, p, rest, compress); err != nil {
			return err
		}
		if h.Fin {
			c.countOut(m.Type, len(m.Data))
		}
		h = wire.Header{Opcode: wire.Continuation}
	}
	return nil
}

// fragment is the longest payload of a frame. A client's is shorter: masking
// copies it.
func (c *Conn) fragment() int {
	if c.client {
		return maxCopied
	}
	return maxFragment
}

// writeFragment sends p as one frame of a message, of which rest follows. mu is
// held before and after.
func (c *Conn) writeFragment(ctx context.Context, h wire.Header, p, rest []byte, compress bool) error {
	o := &c.out
	if compress { // nobody else does: the message is this goroutine's
		o.mu.Unlock()
		p = c.deflate.compress(pool.Get(len(p)), p, h.Fin)
		defer pool.Put(p)
		o.mu.Lock()
	}
	if err := c.awaitTurn(ctx); err != nil {
		return c.giveUp(h, p, rest, compress, err)
	}
	n := c.frameLen(len(p))
	o.accepted += int64(n)
	head, body := o.take(), p
	if c.client {
		head, body = c.appendFrame(pool.Grow(head, n), h, p), nil
	} else {
		h.Length = int64(len(p))
		head = h.Append(pool.Grow(head, wire.MaxHeader))
	}
	o.mu.Unlock()
	err := c.send(ctx, head, body, n)
	o.mu.Lock()
	if err == nil {
		return nil
	}
	var begun *partlyWritten
	if errors.As(err, &begun) {
		h, p = wire.Header{}, nil
	}
	return c.giveUp(h, p, rest, compress, err)
}

// giveUp ends a message whose write has failed with err: if the connection goes
// on and a part of the message has been sent, p, which is the next frame's
// payload and nil if that is on its way already, and rest, which is what the
// message has beyond it, are sent in the background.
func (c *Conn) giveUp(h wire.Header, p, rest []byte, compress bool, err error) error {
	o := &c.out
	var call *opError
	if !errors.As(err, &call) || o.refused() != nil {
		return err // nothing can be sent any more
	}
	if h.Opcode != wire.Continuation { // nothing has been sent
		if c.deflate != nil {
			c.deflate.c.Forget() // the peer's window knows nothing of it
		}
		return err
	}
	if len(p)+len(rest) > maxKept || !c.writesCut {
		o.mu.Unlock()
		err = c.fail(ErrWriteCut)
		o.mu.Lock()
		return err
	}
	if p != nil {
		c.appendRest(p, len(rest) == 0)
	}
	if len(rest) > 0 {
		if compress {
			rest = c.deflate.compress(nil, rest, true)
		}
		c.appendRest(rest, true)
	}
	o.mu.Unlock()
	c.kickSoon()
	o.mu.Lock()
	if p == nil {
		return err // which says so already
	}
	return &opError{"write", &partlyWritten{call.err}}
}

func (c *Conn) appendRest(p []byte, fin bool) {
	n := c.frameLen(len(p))
	c.out.buf = c.appendFrame(pool.Grow(c.out.buf, n), wire.Header{Opcode: wire.Continuation, Fin: fin}, p)
	c.out.accepted += int64(n)
}

// kickSoon is kick without mu held.
func (c *Conn) kickSoon() {
	c.out.mu.Lock()
	c.kick()
}

// Flush waits until the kernel has taken everything that was accepted before.
// It fails if that did not come about; if ctx ends first, the error wraps
// ctx.Err(), and sending goes on.
func (c *Conn) Flush(ctx context.Context) error {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	goal := o.taken
	if o.pending() {
		goal++
	}
	for int32(goal-o.done) > 0 {
		if o.err != nil {
			return o.err
		}
		if !o.busy {
			c.kick()
			o.mu.Lock()
			continue
		}
		if err := c.await(ctx); err != nil {
			return err
		}
	}
	return nil
}
