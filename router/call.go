package router

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
)

// Call asks the other side: it sends v as a request of the given type, waits for
// the reply, and decodes it as a Resp. The other side's errors come back as an
// *Error. When ctx ends, the request is canceled and ctx's error comes back; the
// other side is told of its deadline. When the connection ends, its cause does.
//
// Somebody has to serve the connection meanwhile (Router.Serve, or a ws.Handler
// with the Router). A function of a route may Call the side that it is
// answering; with a concurrency of 1 on both sides, that side must not wait for
// this one in turn. While it waits, 16 times Options.Backlog is read, since the
// reply may come behind other requests; if more than that comes before it, the
// call fails with code unavailable.
func Call[Resp any](ctx context.Context, c *ws.Conn, typ string, v any) (Resp, error) {
	var resp Resp
	s := sessionOf(c)
	w, err := s.ask(ctx, typ, v)
	if err != nil {
		return resp, err
	}
	a, _, err := s.await(ctx, w)
	switch {
	case err != nil:
		return resp, err
	case a.more:
		s.giveUp(w)
		return resp, fmt.Errorf("router: call: %s is a stream: use Items", typ)
	}
	return resp, s.decode(a, &resp)
}

// Items asks the other side for a stream: it sends v as a request, and returns
// the replies as they come. Leaving the loop cancels the request. Errors are
// Call's; the last step has it. The sequence can be used once for each request,
// and each use sends one.
//
// While the loop is busy, replies are kept for it: if it falls more than 1024 of
// them behind, or 16 MiB, the request is canceled, with code unavailable.
func Items[T any](ctx context.Context, c *ws.Conn, typ string, v any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		s := sessionOf(c)
		w, err := s.ask(ctx, typ, v)
		if err != nil {
			yield(zero, err)
			return
		}
		defer s.giveUp(w)
		for {
			a, more, err := s.await(ctx, w)
			if err == nil && !more {
				return
			}
			var item T
			if err == nil {
				err = s.decode(a, &item)
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// How many replies, and bytes of them, are kept for a loop that is busy; one reply
// may be longer.
const (
	maxItems     = 1024
	maxItemBytes = 16 << 20
)

// call is a request of this side. The session's mu guards it.
type call struct {
	id      uint64
	within  bool // a function of the same connection waits for it: see session.asking
	answers []answer
	bytes   int           // of these
	err     error         // what comes after them
	over    bool          // nothing more will arrive
	wake    chan struct{} // has a token when there is something new
}

type answer struct {
	data []byte // nil: none
	more bool
}

func (c *call) isFull(data []byte) bool {
	return len(c.answers) == maxItems || len(c.answers) > 0 && c.bytes+len(data) > maxItemBytes
}

func (c *call) finish(err error) {
	c.err, c.over = err, true
	c.signal()
}

func (c *call) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// ask sends a request.
func (s *session) ask(ctx context.Context, typ string, v any) (*call, error) {
	if s.envelope == nil {
		return nil, errNoEnvelope(s.codec)
	}
	w := &call{wake: make(chan struct{}, 1), within: s.holds(ctx)}
	s.mu.Lock()
	s.forgetAtEnd()
	if err := s.c.Context().Err(); err != nil {
		s.mu.Unlock()
		return nil, context.Cause(s.c.Context())
	}
	s.lastID++
	w.id = s.lastID
	if s.calls == nil {
		s.calls = make(map[uint64]*call)
	}
	s.calls[w.id] = w
	if w.within {
		s.asking++
		s.madeRoom()
	}
	s.startStandIn() // if a function of this connection asks, nobody else would read the reply
	s.mu.Unlock()
	err := s.send(ctx, &codec.Envelope{ID: w.id, HasID: true, Type: []byte(typ), TimeoutMS: timeoutMS(ctx)}, v, nil)
	if err != nil {
		s.giveUp(w)
		return nil, err
	}
	return w, nil
}

// holds reports whether ctx is that of a function for which others of the
// connection may have to wait.
func (s *session) holds(ctx context.Context) bool {
	q, _ := ctx.Value(requestKey{}).(*request)
	return q != nil && q.s == s && q.route.kind != streamKind
}

// forget takes a call out of those that wait for replies, if it is among them. mu
// is held.
func (s *session) forget(w *call) bool {
	if s.calls[w.id] != w {
		return false
	}
	delete(s.calls, w.id)
	if w.within {
		s.asking--
	}
	return true
}

var errAhead = &Error{Code: Unavailable, Message: "too much has come ahead of the reply"}

// stopAsking ends the calls of functions, so that those that wait behind these get
// their turn. mu is held.
func (s *session) stopAsking() {
	for _, w := range s.calls {
		if w.within {
			s.forget(w)
			w.finish(errAhead)
		}
	}
}

// timeoutMS is how long ctx has left; 0: for ever.
func timeoutMS(ctx context.Context) uint64 {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return uint64(max(1, time.Until(deadline).Milliseconds()))
}

// await returns the next answer, or false after the last.
func (s *session) await(ctx context.Context, w *call) (a answer, ok bool, err error) {
	for {
		s.mu.Lock()
		if len(w.answers) > 0 {
			a = w.answers[0]
			w.answers[0] = answer{}
			w.answers = w.answers[1:]
			w.bytes -= len(a.data)
			s.mu.Unlock()
			return a, a.more, nil
		}
		over, err := w.over, w.err
		s.mu.Unlock()
		if over {
			return a, false, err
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			s.giveUp(w)
			if s.c.Context().Err() != nil { // ctx may have ended with it
				return a, false, context.Cause(s.c.Context())
			}
			return a, false, fmt.Errorf("router: call: %w", ctx.Err())
		case <-s.c.Context().Done():
			s.giveUp(w)
			return a, false, context.Cause(s.c.Context())
		}
	}
}

func (s *session) decode(a answer, v any) error {
	if a.data == nil {
		return nil
	}
	if err := s.codec.Decode(a.data, v); err != nil {
		return fmt.Errorf("router: call: decode the reply: %w", err)
	}
	return nil
}

// giveUp forgets a call; the other side is told unless it has answered. It does
// not wait for that: it is called when time is over.
func (s *session) giveUp(w *call) {
	s.mu.Lock()
	open := s.forget(w)
	s.mu.Unlock()
	if open {
		go func() {
			_ = s.send(s.c.Context(), &codec.Envelope{ID: w.id, HasID: true, Type: []byte("$cancel")}, nil, nil)
		}()
	}
}

var errBehind = &Error{Code: Unavailable, Message: "the loop over the stream is too far behind"}

// answered hands a reply to whoever waits for it.
func (s *session) answered(e *codec.Envelope, b *batch) {
	b.left()
	if !e.HasID {
		if e.Error == nil {
			s.malformed(e, errors.New("neither type nor id"), nil)
			return
		}
		s.unwanted("the peer could not read a message: "+e.Error.Error(), "") // answering would go on for ever
		return
	}
	s.mu.Lock()
	w := s.calls[e.ID]
	if w == nil || e.Ref != nil {
		s.mu.Unlock()
		s.unwanted("reply that nobody waits for", "")
		return
	}
	behind := false
	switch {
	case e.Error != nil:
		w.finish(told(e.Error))
	case w.isFull(e.Data):
		behind = true
		w.finish(errBehind)
	default:
		w.answers = append(w.answers, answer{bytes.Clone(e.Data), e.More})
		w.bytes += len(e.Data)
		w.over = !e.More
		w.signal()
	}
	if !e.More {
		s.forget(w)
	}
	s.mu.Unlock()
	if behind {
		s.giveUp(w)
	}
}
