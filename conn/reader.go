package conn

import (
	"context"
	"errors"
	"io"

	"github.com/tidewire/ws/internal/pool"
	"github.com/tidewire/ws/internal/wire"
)

// Reader returns the next message as a stream: for messages that are too long
// to hold, or that are decoded while they arrive. The read limit counts
// nevertheless. ctx bounds Reader and every Read of the stream; a Read that ctx
// ends has lost nothing, but can't be repeated with another context.
//
// The message has to be read to its io.EOF before the next one can be read:
// until then Read, AppendRead, Messages and Reader return ErrUnfinished. The
// stream must not be used by several goroutines at a time.
func (c *Conn) Reader(ctx context.Context) (MessageType, io.Reader, error) {
	if err := c.lockReads(ctx); err != nil {
		return 0, nil, err
	}
	defer c.unlockReads()
	in := &c.in
	if err := c.over(); err != nil {
		return 0, nil, err
	}
	if in.stream != nil {
		return 0, nil, ErrUnfinished
	}
	if in.msg != nil { // what a read that was given up has left
		return c.resumeReader(ctx)
	}
	ev, err := c.nextPiece(ctx)
	if err != nil {
		return 0, nil, err
	}
	in.stream = &messageReader{c: c, ctx: ctx, rest: ev.Data, last: ev.Last}
	if ev.RSV1 {
		in.stream.op = ev.Opcode
		c.beginInflating()
	}
	return MessageType(ev.Opcode), in.stream, nil
}

// resumeReader is Reader for a message of which a part has been read. If it is
// compressed, the rest is read first: it can't be inflated in another way than
// its beginning was.
func (c *Conn) resumeReader(ctx context.Context) (MessageType, io.Reader, error) {
	in := &c.in
	t := MessageType(in.parser.Opcode())
	r := &messageReader{c: c, ctx: ctx}
	if in.parser.Compressed() {
		var err error
		if t, r.rest, err = c.appendMessage(ctx, nil); err != nil {
			return 0, nil, err
		}
		r.last = true
	} else {
		r.kept, r.rest = in.msg, in.msg
		in.msg = nil
	}
	in.stream = r
	return t, r, nil
}

// messageReader is a message in progress. Conn.reading guards it.
type messageReader struct {
	c    *Conn
	ctx  context.Context
	rest []byte // payload that has arrived: in the connection's buffer, or in kept
	kept []byte
	last bool        // rest ends the message
	op   wire.Opcode // of a message that is compressed, and rest with it; else 0
}

// errStale is what a stream returns that something else has ended.
var errStale = errors.New("ws: read: the message is over")

func (r *messageReader) Read(p []byte) (int, error) {
	c := r.c
	if err := c.lockReads(r.ctx); err != nil {
		return 0, err
	}
	defer c.unlockReads()
	if c.in.stream != r {
		if r.last && len(r.rest) == 0 {
			return 0, io.EOF
		}
		if err := c.over(); err != nil {
			return 0, err
		}
		return 0, errStale
	}
	if len(p) == 0 {
		return 0, nil
	}
	if r.op != 0 {
		return r.inflate(p)
	}
	for len(r.rest) == 0 {
		if r.last {
			c.in.stream = nil
			return 0, io.EOF
		}
		if c.wantsDirect() && len(p) >= directMin {
			ev, err := c.fillDirect(r.ctx, p)
			r.last = ev.Last
			return len(ev.Data), err
		}
		ev, err := c.nextPiece(r.ctx)
		if err != nil {
			return 0, err
		}
		r.rest, r.last = ev.Data, ev.Last
	}
	n := copy(p, r.rest)
	if r.rest = r.rest[n:]; len(r.rest) == 0 && r.kept != nil {
		pool.Put(r.kept)
		r.kept = nil
	}
	return n, nil
}

// inflate is Read of a compressed message.
func (r *messageReader) inflate(p []byte) (int, error) {
	c := r.c
	for {
		n, used, done, err := c.deflate.in.Read(p, r.rest, r.last, c.deflate.limit)
		r.rest = r.rest[used:]
		if err = c.inflated(p[:n], r.op, done, err); err != nil {
			return 0, err
		}
		if done {
			c.in.stream, r.op, r.rest = nil, 0, nil
			if n == 0 {
				return 0, io.EOF
			}
		}
		if n > 0 {
			return n, nil
		}
		ev, err := c.nextPiece(r.ctx)
		if err != nil {
			return 0, err
		}
		r.rest, r.last = ev.Data, ev.Last
	}
}
