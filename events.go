package ws

import (
	"context"
	"net/http"

	"github.com/tidewire/ws/conn"
)

// EventHandler handles a connection message by message, so that a connection on
// which nothing happens needs neither a goroutine nor ServeHTTP's stack.
//
// Messages of one connection are handled one at a time, in order, and nothing is
// read while one is: a handler that is slow slows its peer down, and other
// connections not at all, for it may block. m.Data is valid until Message
// returns. ctx ends with the connection. An error or a panic closes the
// connection as Handler says.
//
// On Linux a plain TCP connection's socket is taken from its net.Conn, which is
// closed then: whoever has kept that from http.Server's ConnContext or ConnState
// can't set options or end the connection by it any more.
//
// Message may read on by itself: Read, Messages and the other methods of c return
// what comes after m, and what they have left comes to Message again.
//
// An EventHandler may also have a method
//
//	Open(ctx context.Context, c *Conn) (context.Context, error)
//
// which runs inside ServeHTTP before the first message. The context that it
// returns is the base of every Message's, and should be context.Background()
// with the values that are needed: the request's own values may belong to
// another request once ServeHTTP has returned. (nil is context.Background().)
// Without Open the base has the record that middleware keeps, so that Principal
// and Renew work, and nothing else. And
//
//	Closed(c *Conn, cause error)
//
// which runs exactly once for each connection whose Open returned no error,
// after its last Message.
type EventHandler interface {
	Message(ctx context.Context, c *Conn, m Message) error
}

type opener interface {
	Open(ctx context.Context, c *Conn) (context.Context, error)
}

type closer interface {
	Closed(c *Conn, cause error)
}

// eventContext is a connection's context with the values of another one.
type eventContext struct {
	context.Context // the connection's
	values          context.Context
}

func (e eventContext) Value(key any) any {
	if v := e.Context.Value(key); v != nil {
		return v
	}
	return e.values.Value(key)
}

// startEvents opens the connection and leaves it to the engine.
func (s *session) startEvents(r *http.Request) {
	base := context.Background()
	if o, ok := s.handler.Events.(opener); ok {
		ctx := eventContext{s.c.Context(), requestContext{r}}
		err := s.protect(func() (err error) {
			base, err = o.Open(ctx, s.c)
			return err
		})
		if err != nil {
			s.finish(err)
			s.end()
			return
		}
	}
	if base == nil {
		base = context.Background()
	}
	if base.Done() != nil {
		stop := context.AfterFunc(base, func() { s.c.CloseCause(StatusGoingAway, "", context.Cause(base)) })
		context.AfterFunc(s.c.Context(), func() { stop() })
	}
	s.ctx = eventContext{s.c.Context(), base}
	s.handler.engine.Run(s.c, s)
}

var _ conn.Events = (*session)(nil)

// Message is the engine's call for one message.
func (s *session) Message(m Message) (err error) {
	defer s.recovered(&err)
	return s.handler.Events.Message(&s.ctx, s.c, m)
}

// Ended is the engine's last call.
func (s *session) Ended(err error) {
	defer s.end()
	s.finish(err)
	if h, ok := s.handler.Events.(closer); ok {
		s.finish(s.protect(func() error {
			h.Closed(s.c, context.Cause(s.c.Context()))
			return nil
		}))
	}
}
