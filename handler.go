package ws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"

	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/internal/upgrade"
)

// Handler is an http.Handler that upgrades requests to connections and hands
// these to Serve or Events, exactly one of which must be set. It can be mounted
// on any router, for every method: over HTTP/2 an upgrade is a CONNECT. It must
// not be copied after its first use.
//
// A handler's return closes its connection: nil with 1000, Status with its code
// and reason, an ended context with 1001, and any other error, or a panic, with
// 1011 and an empty reason; the error goes to the log and never to the peer. A
// connection that has ended by itself is left alone, and its error not logged.
type Handler struct {
	// Serve is called for each connection, in the goroutine of its request:
	// ServeHTTP returns when Serve does. ctx is the connection's context: it has
	// the request's values, and ends with the connection.
	Serve func(ctx context.Context, c *Conn) error

	// Events is called for each message; see EventHandler.
	Events EventHandler

	// Options are the same for every connection, unless Configure changes them.
	Options Options

	// Configure, if not nil, may change a copy of Options for one request, as
	// tls.Config.GetConfigForClient does. An error refuses the request: one from
	// Refuse with its status and text, any other with 403.
	Configure func(r *http.Request, o *Options) error

	checked sync.Once
	misused error // what the check has found

	keeper conn.Keeper
	engine conn.Engine
	live   Group
}

var _ http.Handler = (*Handler)(nil)

// refusedError is what Refuse returns.
type refusedError struct {
	status int
	text   string
}

func (e *refusedError) Error() string { return e.text }

// Refusal is how middleware, which can't see the type, finds out.
func (e *refusedError) Refusal() (status int, text string) { return e.status, e.text }

// Refuse is what Configure, and the function of middleware.Authenticate, return
// to choose the HTTP status and the text of a refusal.
func Refuse(status int, text string) error { return &refusedError{status, text} }

// ServeHTTP upgrades the request. With Serve it returns when that does, with
// Events when Open has returned.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := &session{record: upgrade.From(r.Context())}
	s.handler, s.opts = h, &h.Options
	if err := h.misuse(); err != nil {
		_ = s.broken(w, r, err)
		return
	}
	if h.Configure != nil {
		s.opts = h.Options.copied()
		if err := h.Configure(r, s.opts); err != nil {
			s.refuseConfigured(w, r, err)
			return
		}
	}
	var err error
	if s.c, err = s.accept(w, r); err != nil {
		return // answered, and logged if it is this side's fault
	}
	if h.Events != nil {
		s.startEvents(r)
		return
	}
	defer s.end()
	err = s.protect(func() error { return h.Serve(s.c.Context(), s.c) })
	s.finish(err)
	if err == http.ErrAbortHandler {
		panic(err) // for the http.Server, and the middleware on the way to it
	}
}

// misuse says what is wrong with the handler, found out at its first use.
func (h *Handler) misuse() error {
	h.checked.Do(func() {
		h.misused = h.Options.check()
		if (h.Serve == nil) == (h.Events == nil) {
			h.misused = errors.New("Handler needs exactly one of Serve and Events")
		}
	})
	return h.misused
}

func (a *acceptance) refuseConfigured(w http.ResponseWriter, r *http.Request, err error) {
	ref := upgrade.Refusal{By: "configure", Status: http.StatusForbidden, Text: http.StatusText(http.StatusForbidden)}
	var refused *refusedError
	if errors.As(err, &refused) {
		ref.Status, ref.Text = refused.status, refused.text
	}
	a.refuse(w, r, ref)
}

// Shutdown is Group.Shutdown for the handler's own connections, as Options.Drain says.
func (h *Handler) Shutdown(ctx context.Context) error { return h.live.shutdown(ctx, h.Options.Drain) }

// session is a connection in the hands of a Handler.
type session struct {
	acceptance
	c      *Conn
	record *upgrade.Record
	ctx    eventContext // of events' messages
}

// end runs when no more of the user's code will: it waits until the connection,
// which is over, is released, so that the peer has been told why, and tells those
// who wait for that.
func (s *session) end() {
	_ = s.c.Close(context.Background(), StatusInternalError, "")
	s.over(s.c, s.record)
}

// panicked is a handler's panic, on its way to finish.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// protect calls f and makes an error of its panic.
func (s *session) protect(f func() error) (err error) {
	defer s.recovered(&err)
	return f()
}

// recovered, deferred, makes an error of a panic. http.ErrAbortHandler, by which
// net/http's handlers say that they want no word said, drops the connection.
func (s *session) recovered(err *error) {
	switch v := recover(); v {
	case nil:
	case http.ErrAbortHandler:
		_ = s.c.CloseNow()
		*err = http.ErrAbortHandler
	default:
		*err = &panicked{v, debug.Stack()}
	}
}

// finish closes the connection as the handler's error asks for.
func (s *session) finish(err error) {
	code, reason := StatusNormal, ""
	ended := s.c.Context().Err() != nil
	status, chosen := errors.AsType[*statusError](err)
	panicked, isPanic := errors.AsType[*panicked](err)
	switch {
	case err == nil:
	case isPanic:
		code = StatusInternalError
		s.opts.logger().ErrorContext(s.c.Context(), "ws: handler panicked", "panic", panicked.value, "stack", string(panicked.stack))
	case ended:
	case chosen:
		code, reason = status.code, status.reason
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		code = StatusGoingAway
	default:
		code = StatusInternalError
		s.opts.logger().ErrorContext(s.c.Context(), "ws: handler failed", "error", err)
	}
	if !ended {
		// The peer's answer, or its absence, is nobody's business any more.
		_ = s.c.Close(context.Background(), code, reason)
	}
}
