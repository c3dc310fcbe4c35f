package router

import (
	"context"
	"strings"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/internal/pool"
)

// reader takes messages apart. There are two at most: the main one, and the one
// that stands in for it.
type reader struct {
	s     *session
	main  bool
	stop  <-chan struct{} // closed when the second one is to stop; nil: the main one
	spare *request        // scanned into, and not used
}

// batcher is a codec whose messages may have several envelopes.
type batcher interface {
	Split(p []byte) ([][]byte, error)
	Join(b []byte, replies [][]byte) []byte
}

// message deals with a message; p is the caller's.
func (r *reader) message(t ws.MessageType, p []byte) {
	s := r.s
	if t != s.typ {
		s.malformed(&codec.Envelope{}, errMessageType(t), nil)
		return
	}
	b, ok := s.codec.(batcher)
	if !ok {
		r.envelope(p, nil)
		return
	}
	parts, err := b.Split(p)
	switch {
	case err != nil:
		s.malformed(&codec.Envelope{}, err, nil)
	case parts == nil:
		r.envelope(p, nil)
	default:
		r.batch(parts, b)
	}
}

// envelope deals with one envelope.
func (r *reader) envelope(p []byte, b *batch) {
	s, q := r.s, r.spare
	if r.spare = nil; q == nil {
		q = new(request)
	}
	err := s.envelope.ScanEnvelope(p, &q.env)
	switch typ := q.env.Type; {
	case err != nil:
		s.malformed(&q.env, err, b)
	case typ == nil:
		s.answered(&q.env, b)
	case string(typ) == cancelType:
		s.gaveUp(&q.env, b)
	default:
		if t := s.routes[string(typ)]; t != nil {
			q.prepare(s, t, b)
			s.begin(q, r)
			return
		}
		s.unknown(&q.env, b)
	}
	*q = request{}
	r.spare = q
}

// cancelType is the one of the reserved types that is the router's own.
const cancelType = "$cancel"

func (s *session) gaveUp(e *codec.Envelope, b *batch) {
	if e.HasID {
		s.cancelRequest(e)
	}
	b.left()
}

// unknown answers a message that there is no function for.
func (s *session) unknown(e *codec.Envelope, b *batch) {
	if !e.HasID {
		s.unwanted("unknown type", short(e.Type))
		b.left()
		return
	}
	failure := &codec.Error{Code: UnknownType, Message: "unknown type " + short(e.Type)}
	_ = s.send(s.ctx, &codec.Envelope{ID: e.ID, HasID: true, Ref: e.Ref, Error: failure}, nil, b) // the next read says why
}

// short is the beginning of a type that the peer has made up.
func short(typ []byte) string {
	const enough = 100
	if len(typ) <= enough {
		return string(typ)
	}
	return strings.ToValidUTF8(string(typ[:enough]), "") + "..."
}

// malformed answers what is no envelope, or ends the connection.
func (s *session) malformed(e *codec.Envelope, err error, b *batch) {
	if s.opts.Strict {
		s.c.CloseCause(conn.StatusInvalidData, err.Error(), &Error{Code: BadEnvelope, Message: err.Error()})
		return
	}
	failure, ok := err.(*codec.Error)
	if !ok {
		failure = &codec.Error{Code: BadEnvelope, Message: err.Error()}
	}
	_ = s.send(s.ctx, &codec.Envelope{ID: e.ID, HasID: e.HasID, Ref: e.Ref, Error: failure}, nil, b) // as above
}

// The phases of a main reader that runs functions itself.
const (
	idle     = iota // it reads
	running         // it runs a function, and nobody reads
	standing        // it runs a function, and a second reader reads
	phase    = 3    // the bits that they take
)

// slow is how long nobody reads while a function runs: until then the peer's
// $cancel and the connection's end go unnoticed. At most twice that, really.
const slow = 10 * time.Millisecond

// runInline runs a request, and what has come in meanwhile, on the main
// reader's goroutine.
func (s *session) runInline(q *request) {
	for first := true; q != nil; first = false {
		s.current.Store(q)
		v := s.enter()
		s.run(q)
		s.current.Store(nil)
		switch alone := s.state.CompareAndSwap(v, v-running+idle); {
		case !alone:
			s.stopStandIn(v)
		case first:
			return // nobody else has read, so nothing waits
		}
		s.mu.Lock()
		q = s.next(&s.lanes[0])
		s.mu.Unlock()
	}
}

// enter says that a function begins.
func (s *session) enter() uint64 {
	v := s.state.Load()&^phase + phase + 1 + running
	s.state.Store(v)
	if !s.watched.Load() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.watch(v)
	}
	return v
}

// watch sets the timer. mu is held.
func (s *session) watch(v uint64) {
	s.seen = v
	s.watched.Store(true)
	if s.timer == nil {
		s.timer = time.AfterFunc(slow, s.tick)
	} else {
		s.timer.Reset(slow)
	}
}

// tick looks whether the same function still runs as the last time. Looking now
// and then costs less than a timer for each function.
func (s *session) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch v := s.state.Load(); {
	case s.c.Context().Err() != nil:
	case v != s.seen:
		s.watch(v)
	case v&phase == running:
		s.watched.Store(false)
		s.startStandIn()
	default:
		s.watched.Store(false)
		if v := s.state.Load(); v != s.seen { // begun before it was seen that nobody watches
			s.watch(v)
		}
	}
}

// startStandIn starts the second reader if a function runs inline without one.
// mu is held.
func (s *session) startStandIn() {
	v := s.state.Load()
	if v&phase != running || !s.state.CompareAndSwap(v, v-running+standing) {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	gone := make(chan struct{})
	s.cancel, s.gone = cancel, gone
	go func() {
		defer close(gone)
		s.standIn.read(ctx, s)
	}()
}

// read is the second reader's loop.
func (*standIn) read(ctx context.Context, s *session) {
	r := reader{s: s, stop: ctx.Done()}
	for ctx.Err() == nil {
		t, b, err := s.c.AppendRead(ctx, pool.Get(pool.Small))
		if err == nil {
			r.message(t, b)
		}
		pool.Put(b)
		if err != nil {
			return // ctx's end, or the connection's, which the main reader will see
		}
	}
}

// stopStandIn waits until the main reader is the only one again.
func (s *session) stopStandIn(v uint64) {
	s.mu.Lock()
	cancel, gone := s.cancel, s.gone
	s.cancel, s.gone = nil, nil
	s.mu.Unlock()
	cancel()
	<-gone
	s.state.Store(v - running + idle)
}
