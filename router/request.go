package router

import (
	"context"
	"sync"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/internal/pool"
)

// Request is a message on its way to its function, for middleware. It is valid
// until the Handler returns.
type Request struct {
	Type  string // as it was registered
	Reply bool   // the peer waits for a reply
	Data  []byte // the payload, as the connection's codec encodes it; nil: none

	Room string         // of an event that was published in a room (package hub); "": in none
	Pos  codec.Position // its place in the room's history; zero: it has none

	of *request
}

// Decode decodes the data into the value that v points to; without data it
// leaves that alone. Its error is an *Error with code bad_payload.
func (q *Request) Decode(v any) error { return q.of.s.decodeData(q.Data, v) }

// request is a message that waits for its function, or for which it runs. It is
// also that function's context, in one allocation: most functions never ask
// when it ends, so what tells them is made when they do.
type request struct {
	Request
	s     *session
	env   codec.Envelope // the message's; becomes the reply's
	route *Route
	own   []byte // borrowed from the pool for Data and the id; nil: they are the reader's
	batch *batch // nil: the reply is a message of its own

	parent context.Context

	mu sync.Mutex
	// mu guards all below.
	inner  context.Context // derives from parent; nil: nobody has asked
	cancel context.CancelCauseFunc
	stop   context.CancelFunc // of the deadline; nil: there is none
	cause  error              // why the context has ended, unless it is the parent's end
}

var _ context.Context = (*request)(nil)

// prepare fills in what a scanned envelope does not have.
func (q *request) prepare(s *session, t *Route, b *batch) {
	q.s, q.route, q.batch, q.parent = s, t, b, s.ctx
	q.Request = Request{Type: t.typ, Reply: q.env.HasID, Data: q.env.Data, Room: string(q.env.Room), Pos: q.env.Pos, of: q}
	q.env.Type, q.env.Data, q.env.Room, q.env.Pos = nil, nil, nil, codec.Position{}
	limit := time.Duration(min(q.env.TimeoutMS, maxMS)) * time.Millisecond
	if most := s.opts.Timeout; most > 0 && t.kind != streamKind && (limit == 0 || limit > most) {
		limit = most
	}
	q.env.TimeoutMS = 0
	if limit > 0 {
		q.derive()
		q.inner, q.stop = context.WithTimeout(q.inner, limit)
	}
}

// keep makes q independent of the reader's buffer.
func (q *request) keep() {
	if q.own != nil {
		return
	}
	n := len(q.Data)
	q.own = append(append(pool.Get(n+len(q.env.Ref)), q.Data...), q.env.Ref...)
	if q.Data != nil {
		q.Data = q.own[:n:n]
	}
	if q.env.Ref != nil {
		q.env.Ref = q.own[n:]
	}
}

// answers reports whether e is about the request with q's id.
func (q *request) hasID(e *codec.Envelope) bool {
	return q.env.HasID && q.env.ID == e.ID && string(q.env.Ref) == string(e.Ref)
}

// end ends the request's context, the first time with cause.
func (q *request) end(cause error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.cause != nil {
		return
	}
	q.cause = cause
	if q.inner != nil {
		q.cancel(cause)
		if q.stop != nil {
			q.stop()
		}
	}
}

// done is end for a request that has been answered.
func (q *request) done() {
	q.end(errReturned)
	if q.own != nil {
		pool.Put(q.own)
		q.own, q.Data, q.env.Ref = nil, nil, nil
	}
}

// derive makes the context that q stands for. mu is held, or q not yet shared.
func (q *request) derive() context.Context {
	if q.inner == nil {
		q.inner, q.cancel = context.WithCancelCause(q.parent)
		if q.cause != nil {
			q.cancel(q.cause)
		}
	}
	return q.inner
}

// derived returns what there is to ask without making anything.
func (q *request) derived() context.Context {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.inner != nil || q.cause != nil {
		return q.derive()
	}
	return q.parent
}

func (q *request) Done() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.derive().Done()
}

func (q *request) Deadline() (time.Time, bool) { return q.derived().Deadline() }

func (q *request) Err() error { return q.derived().Err() }

func (q *request) Value(key any) any {
	switch key {
	case sessionKey{}:
		return q.s
	case requestKey{}:
		return q
	}
	return q.derived().Value(key)
}

func (q *request) String() string { return "router request " + q.Type }

type sessionKey struct{}

func (sessionKey) String() string { return "router connection" }

// requestKey finds the request that a context belongs to.
type requestKey struct{}

func sessionFrom(ctx context.Context) *session {
	s, _ := ctx.Value(sessionKey{}).(*session)
	return s
}

// Conn returns the connection that a function's context belongs to; nil if it is
// another context.
func Conn(ctx context.Context) *ws.Conn {
	if s := sessionFrom(ctx); s != nil {
		return s.c
	}
	return nil
}
