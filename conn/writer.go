package conn

import (
	"context"
	"errors"
	"io"

	"github.com/tidewire/ws/internal/pool"
	"github.com/tidewire/ws/internal/wire"
)

// Writer begins a message that is written as a stream. What is written goes out
// in fragments as it fills buffers; Close ends the message. Other messages wait
// until then; control frames don't. The stream must not be used by several
// goroutines at a time. It is compressed where that was agreed on: for what
// must not be, there is WriteMessage.
//
// A message that is begun can only be completed or take the connection with
// it: if ctx ends before Close, the connection ends with ErrWriteCut.
func (c *Conn) Writer(ctx context.Context, t MessageType) (io.WriteCloser, error) {
	needs(ctx)
	if err := t.check(); err != nil {
		return nil, err
	}
	c.out.mu.Lock()
	err := c.beginMessage(ctx)
	c.out.mu.Unlock()
	if err != nil {
		return nil, err
	}
	w := &messageWriter{c: c, ctx: ctx, t: t, op: wire.Opcode(t)}
	if c.watchable(ctx) != nil {
		w.stop = context.AfterFunc(ctx, func() { c.fail(ErrWriteCut) })
	}
	return w, nil
}

// messageWriter is a message in progress; it holds outbound.message.
type messageWriter struct {
	c      *Conn
	ctx    context.Context
	stop   func() bool // of the watch on ctx
	op     wire.Opcode // of the next fragment
	buf    []byte
	t      MessageType
	total  int // ever written
	closed bool

	compressed bool
}

var errWriterClosed = errors.New("ws: write: the message is closed already")

func (w *messageWriter) Write(p []byte) (int, error) {
	if w.closed {
		return 0, errWriterClosed
	}
	total := len(p)
	w.total += total
	for len(p) > 0 {
		if w.buf == nil {
			w.buf = pool.Get(min(len(p), maxCopied))
		}
		// Room is left for a header, so that the pool's next size isn't needed.
		n := min(len(p), cap(w.buf)-wire.MaxHeader-len(w.buf))
		w.buf = append(w.buf, p[:n]...)
		if p = p[n:]; len(p) == 0 {
			break
		}
		if err := w.fragment(false); err != nil {
			return total - len(p), err
		}
	}
	return total, nil
}

// Close ends the message and, as Write of Conn does, has it sent.
func (w *messageWriter) Close() error {
	if w.closed {
		return errWriterClosed
	}
	err := w.fragment(true)
	w.closed = true
	if w.stop != nil {
		w.stop()
	}
	c := w.c
	c.out.mu.Lock()
	if err == nil {
		c.countOut(w.t, w.total)
	}
	c.out.endMessage()
	c.out.mu.Unlock()
	return err
}

// fragment sends what has been collected as one frame. Any failure ends the
// connection: the message can't be completed.
func (w *messageWriter) fragment(fin bool) error {
	c, o := w.c, &w.c.out
	h := wire.Header{Opcode: w.op, Fin: fin}
	if w.op != wire.Continuation { // the whole message, or the beginning of a long one
		w.compressed = c.deflate != nil && (!fin || len(w.buf) >= c.deflate.threshold)
		h.RSV1 = w.compressed
	}
	if w.compressed {
		z := c.deflate.compress(pool.Get(len(w.buf)), w.buf, fin)
		pool.Put(w.buf)
		w.buf = z
	}
	o.mu.Lock()
	if err := c.awaitTurn(w.ctx); err != nil {
		o.mu.Unlock()
		return w.cut(err)
	}
	n := c.frameLen(len(w.buf))
	o.buf = c.appendFrame(pool.Grow(o.buf, n), h, w.buf)
	err := c.commit(w.ctx, n)
	pool.Put(w.buf)
	w.buf, w.op = nil, wire.Continuation
	if err != nil {
		return w.cut(err)
	}
	return nil
}

func (w *messageWriter) cut(err error) error {
	var call *opError
	if errors.As(err, &call) {
		return w.c.fail(ErrWriteCut)
	}
	return err
}
