// Package router routes typed messages to functions, the way http.ServeMux
// routes requests:
//
//	r := router.New()
//	router.On(r, "chat.typing", func(ctx context.Context, in Typing) error { ... })                // an event: no reply
//	router.Handle(r, "chat.post", func(ctx context.Context, in Post) (Receipt, error) { ... })     // a request: one reply
//	router.Stream(r, "ticks", func(ctx context.Context, in Watch) iter.Seq2[Tick, error] { ... })  // a request: many replies
//	posted := router.Emits[Posted](r, "chat.posted")                                               // an event of this side
//	http.Handle("/ws", &ws.Handler{Events: r})
//
// Messages are small envelopes around the functions' own types (codec.Envelope):
// JSON objects, unless the connection's subprotocol has chosen another codec.
// Both sides of a connection are equal: the same Router serves a connection that
// was dialled (Router.Serve), and Call asks the other side.
//
// The functions of a connection run one at a time, in the order in which the
// messages came; Options.Concurrency and Route.Concurrency allow more, and
// streams run beside them. While they are busy, a few more messages are taken in,
// and then no more is read: a peer that is too fast is slowed down. A function's
// context ends when the other side gives up the request, when its time is over,
// when the connection ends, and when the function has returned.
package router

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/router/schema"
)

// Options are a Router's settings. The zero value is safe and useful.
type Options struct {
	// Concurrency is how many functions of one connection run at a time, beside
	// streams and routes with a concurrency of their own; default 1.
	Concurrency int

	// Backlog is how many messages of one connection, of 256 KiB together, may
	// wait for their turn before reading stops; default 64. (16 times as many
	// while a function waits for the other side: see Call.)
	Backlog int

	// Streams is how many streams a connection may have open; default 100.
	Streams int

	// Timeout is the longest time for a request, streams excepted; default none.
	// A request's own timeout_ms can only make it shorter.
	Timeout time.Duration

	// Strict closes a connection that sends what is no envelope, with 1007.
	// Otherwise it is told bad_envelope, and goes on.
	Strict bool

	// Validate checks each decoded value, given a pointer to it, after the value's
	// own Validate method if it has one. Its error is sent to the peer with code invalid.
	Validate func(ctx context.Context, v any) error

	// MapError turns functions' errors into what the peer is told. It is asked
	// about errors that wrap no *Error; nil means internal, and a log line.
	MapError func(error) *Error

	// Open runs before a connection's first message, during the upgrade's
	// request. The context that it returns is the base of every function's, and
	// should be context.Background() with the values that they need, as
	// ws.EventHandler says. It must not wait for messages: none are read yet.
	Open func(ctx context.Context, c *ws.Conn) (context.Context, error)

	// Closed runs once for each connection whose Open returned no error, after
	// its last function has returned. ctx has ended; Conn and Local work with it.
	Closed func(ctx context.Context, c *ws.Conn, cause error)

	// Logger is told of internal errors and panics, and at level Debug of
	// messages that nobody wants. nil: slog.Default().
	Logger *slog.Logger

	// Title and Version are those of the documents made from the routes.
	Title, Version string
}

const (
	defaultBacklog = 64
	defaultStreams = 100
	backlogBytes   = 256 << 10
)

// Router is a set of message types and the functions for them: a
// ws.EventHandler, and by Serve a connection's handler. Types are registered
// before the first connection is served; after that it is safe for concurrent use.
type Router struct {
	*registry
	prefix string
	mws    []func(Handler) Handler
	dollar bool // for reserved types
	used   bool // there are routes already: Use would be too late for them
}

// registry is what a Router and its groups share.
type registry struct {
	opts    Options
	routes  map[string]*Route
	emitted map[string]*emitted
	docs    []func() schema.Message // in the order of registration
	lanes   []int                   // how many functions of each lane may run; 0 is the common lane
	ordered int                     // the lane of reserved types
	serving atomic.Bool             // nothing may be registered any more
}

var _ ws.EventHandler = (*Router)(nil)

// New returns a Router without routes. At most one Options may be given.
func New(o ...Options) *Router {
	reg := &registry{routes: make(map[string]*Route), emitted: make(map[string]*emitted)}
	switch len(o) {
	case 0:
	case 1:
		reg.opts = o[0]
	default:
		panic("router: New takes one Options")
	}
	orDefault(&reg.opts.Concurrency, 1)
	orDefault(&reg.opts.Backlog, defaultBacklog)
	orDefault(&reg.opts.Streams, defaultStreams)
	if reg.opts.Logger == nil {
		reg.opts.Logger = slog.Default()
	}
	reg.lanes = []int{reg.opts.Concurrency}
	return &Router{registry: reg}
}

func orDefault(n *int, def int) {
	if *n <= 0 {
		*n = def
	}
}

// Use adds middleware, which runs around the functions of the routes registered
// after it, the first one outermost.
func (r *Router) Use(mws ...func(Handler) Handler) {
	if r.used {
		panic("router: Use after a route was registered: it would not apply to that one")
	}
	r.mws = append(r.mws[:len(r.mws):len(r.mws)], mws...)
}

// Group returns a Router for types that begin with r's prefix and then prefix,
// with r's middleware and then mws. It shares everything else with r.
func (r *Router) Group(prefix string, mws ...func(Handler) Handler) *Router {
	return &Router{registry: r.registry, prefix: r.prefix + prefix, mws: append(r.mws[:len(r.mws):len(r.mws)], mws...)}
}

// Reserved returns a Router for types that begin with $ and add to the protocol,
// for packages like hub. It has r's middleware, but not its prefix. Documents
// and generated clients say nothing of such types. Their functions run one at a
// time on a connection, in order, whatever Options.Concurrency is.
func (r *Router) Reserved() *Router {
	if r.ordered == 0 && r.opts.Concurrency > 1 {
		r.ordered = len(r.lanes)
		r.lanes = append(r.lanes, 1)
	}
	return &Router{registry: r.registry, mws: r.mws[:len(r.mws):len(r.mws)], dollar: true}
}

// Open makes Router a ws.EventHandler that knows of connections before their
// first message; it runs Options.Open.
func (r *Router) Open(ctx context.Context, c *ws.Conn) (context.Context, error) {
	s := sessionOf(c)
	if err := s.bind(r.registry); err != nil {
		return nil, err
	}
	base := context.Background()
	if r.opts.Open != nil {
		var err error
		if base, err = r.opts.Open(context.WithValue(ctx, sessionKey{}, s), c); err != nil {
			s.unbind()
			return nil, err
		}
	}
	return context.WithValue(base, sessionKey{}, s), nil
}

// Message makes Router a ws.EventHandler. It returns when the message's function
// has, or once the message waits for its turn. ctx must end with the connection.
func (r *Router) Message(ctx context.Context, c *ws.Conn, m ws.Message) error {
	s := sessionFrom(ctx)
	if s == nil { // somebody calls Message without Open
		s = sessionOf(c)
	}
	if s.ctx == nil {
		if s.registry == nil {
			if err := s.bind(r.registry); err != nil {
				return err
			}
			context.AfterFunc(c.Context(), s.unbind)
		}
		s.ctx = ctx
	}
	s.main.message(m.Type, m.Data)
	return nil
}

// Closed makes Router a ws.EventHandler that waits for the connection's
// functions at its end; it runs Options.Closed.
func (r *Router) Closed(c *ws.Conn, cause error) {
	s := sessionOf(c)
	s.functions.Wait()
	if r.opts.Closed != nil {
		ctx := s.ctx
		if ctx == nil { // there was no message
			ctx = context.WithValue(c.Context(), sessionKey{}, s)
		}
		r.opts.Closed(ctx, c, cause)
	}
	s.unbind()
}

// Serve reads c's messages and runs their functions until the connection or ctx
// ends, and waits for them: as ws.Handler's Serve, and for connections that were
// dialled or accepted by hand. The functions' contexts have the values of ctx.
// It returns nil after a clean end. A connection is served by one Serve at a time.
func (r *Router) Serve(ctx context.Context, c *ws.Conn) error {
	if ctx.Done() != c.Context().Done() {
		both, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(c.Context(), func() { cancel(context.Cause(c.Context())) })()
		ctx = both
	}
	base, err := r.Open(ctx, c)
	if err != nil {
		return err
	}
	ctx = withValues{ctx, base}
	defer func() { r.Closed(c, context.Cause(c.Context())) }()
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		if err := r.Message(ctx, c, m); err != nil {
			return err
		}
	}
	return nil
}

// withValues is a context with the values of another one before its own.
type withValues struct {
	context.Context
	values context.Context
}

func (w withValues) Value(key any) any {
	if v := w.values.Value(key); v != nil {
		return v
	}
	return w.Context.Value(key)
}

var errServed = errors.New("router: the connection is being served already")
