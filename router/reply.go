package router

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/internal/pool"
)

func errMessageType(t ws.MessageType) error {
	return fmt.Errorf("the connection's codec has no %v messages", t)
}

func errNoEnvelope(c codec.Codec) error {
	return fmt.Errorf("router: the codec %s has no envelope (codec.Enveloper)", c.Name())
}

// run runs a request's function and sends its reply.
func (s *session) run(q *request) {
	out, err := s.call(q)
	s.reply(q, out, err)
	q.done()
}

// call calls the function with its middleware, and for a stream sends the items.
func (s *session) call(q *request) (out any, err error) {
	if err := q.Err(); err != nil {
		return nil, err // it has waited for its turn for too long
	}
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				_ = s.c.CloseNow()
			}
			err = &panicError{v, debug.Stack()}
		}
	}()
	out, err = q.route.run(q, &q.Request)
	if err == nil && q.route.kind == streamKind {
		return nil, s.stream(q, out)
	}
	return out, err
}

// stream sends the items of a streamed reply.
func (s *session) stream(q *request, out any) error {
	seq, ok := out.(iter.Seq2[any, error])
	if !ok {
		return fmt.Errorf("the stream's middleware returned a %T", out)
	}
	e := &codec.Envelope{ID: q.env.ID, HasID: true, Ref: q.env.Ref, More: true}
	for v, err := range seq {
		if err != nil {
			return err
		}
		if err := q.Err(); err != nil {
			return err
		}
		// Not with q, whose end would cut a long item, and so the connection.
		if err := s.send(s.ctx, e, v, nil); err != nil {
			return err
		}
	}
	return q.Err()
}

// reply sends what a function has returned.
func (s *session) reply(q *request, out any, err error) {
	var failure *codec.Error
	if err != nil {
		var internal error
		if failure, internal = s.tell(err); internal != nil {
			s.logFailure(q, internal)
		}
	}
	if !q.Reply {
		if failure != nil {
			s.unwanted("its function failed with "+failure.Code, q.Type)
		}
		q.batch.left()
		return
	}
	q.env.Error = failure
	if err = s.send(s.ctx, &q.env, out, q.batch); err != nil {
		s.replyUnsent(q, err)
	}
}

// replyUnsent deals with a reply that can't be encoded; if it can't be written,
// the connection is over anyway.
func (s *session) replyUnsent(q *request, err error) {
	var unencodable *encodeError
	if errors.As(err, &unencodable) {
		s.logFailure(q, err)
		q.env.Error = &codec.Error{Code: Internal, Message: "internal error"}
		_ = s.send(s.ctx, &q.env, nil, q.batch)
	}
}

func (s *session) logFailure(q *request, err error) {
	if s.ctx.Err() != nil {
		return // whatever it is, the connection's end was first
	}
	attrs := []slog.Attr{slog.String("type", q.Type), slog.Any("error", err)}
	var p *panicError
	if errors.As(err, &p) {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	s.opts.Logger.LogAttrs(q, slog.LevelError, "router: function failed", attrs...)
}

// encodeError is a value that the codec refuses.
type encodeError struct{ err error }

func (e *encodeError) Error() string { return "router: encode: " + e.err.Error() }

func (e *encodeError) Unwrap() error { return e.err }

// encode appends an envelope. A panic of the value's own methods is an error like
// others: it may come on a goroutine that nobody else looks after.
func (s *session) encode(b []byte, e *codec.Envelope, v any) (p []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			p, err = b, &encodeError{&panicError{v, debug.Stack()}}
		}
	}()
	if p, err = s.envelope.AppendEnvelope(b, e, v); err != nil {
		err = &encodeError{err}
	}
	return p, err
}

// send sends an envelope, or adds it to a batch's replies.
func (s *session) send(ctx context.Context, e *codec.Envelope, v any, b *batch) error {
	p, err := s.encode(pool.Get(pool.Small), e, v)
	switch {
	case err != nil:
	case b != nil:
		b.add(p)
	default:
		err = s.c.Write(ctx, s.typ, p)
	}
	pool.Put(p)
	return err
}

// batch collects the replies to requests that came in one message. nil stands
// for a request that came alone.
type batch struct {
	s  *session
	by batcher

	mu      sync.Mutex
	missing int // requests that are not dealt with yet
	replies [][]byte
}

func (r *reader) batch(parts [][]byte, by batcher) {
	b := &batch{s: r.s, by: by, missing: len(parts)}
	for _, p := range parts {
		r.envelope(p, b)
	}
}

// add takes a reply; p is the caller's.
func (b *batch) add(p []byte) { b.dealt(append([]byte(nil), p...)) }

// left says that there will be no reply.
func (b *batch) left() {
	if b != nil {
		b.dealt(nil)
	}
}

func (b *batch) dealt(reply []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if reply != nil {
		b.replies = append(b.replies, reply)
	}
	if b.missing--; b.missing > 0 || len(b.replies) == 0 {
		return
	}
	_ = b.s.c.Write(b.s.ctx, b.s.typ, b.by.Join(nil, b.replies)) // if this fails, the connection is over
}
