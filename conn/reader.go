package conn

import (
	"context"
	"errors"
	"io"

	"github.com/tidewire/ws/internal/pool"
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
	if in.stream != nil {
		return 0, nil, ErrUnfinished
	}
	if in.msg != nil { // what a read that was given up has left
		in.stream = &messageReader{c: c, ctx: ctx, kept: in.msg, rest: in.msg}
		in.msg = nil
		return MessageType(in.parser.Opcode()), in.stream, nil
	}
	ev, err := c.nextPiece(ctx)
	if err != nil {
		return 0, nil, err
	}
	in.stream = &messageReader{c: c, ctx: ctx, rest: ev.Data, last: ev.Last}
	return MessageType(ev.Opcode), in.stream, nil
}

// messageReader is a message in progress. Conn.reading guards it.
type messageReader struct {
	c    *Conn
	ctx  context.Context
	rest []byte // payload that has arrived: in the connection's buffer, or in kept
	kept []byte
	last bool // rest ends the message
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
		if err := c.over(); err != nil {
			return 0, err
		}
		if r.last && len(r.rest) == 0 {
			return 0, io.EOF
		}
		return 0, errStale
	}
	if len(p) == 0 {
		return 0, nil
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
