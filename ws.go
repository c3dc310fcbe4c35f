// Package ws serves and dials WebSocket connections (RFC 6455) in the manner of
// net/http: a handler is a function of a context and a connection, middleware is
// func(http.Handler) http.Handler, and typed messages are routed to functions
// (package router).
//
//	http.Handle("/echo", &ws.Handler{Serve: func(ctx context.Context, c *ws.Conn) error {
//		for m, err := range c.Messages(ctx) {
//			if err != nil {
//				return err
//			}
//			if err := c.Write(ctx, m.Type, m.Data); err != nil {
//				return err
//			}
//		}
//		return nil
//	}})
//
// Handler is the http.Handler that upgrades. Accept does the same by hand; Dial
// is the other end. All three give a Conn, an alias of conn.Conn, whose methods are
//
//	Read, AppendRead, Messages, Reader     receive messages
//	Write, WriteMessage, Writer            send messages
//	WritePrepared, TryWrite, OnWritable    send one message to many connections
//	Flush, Ping                            wait for the kernel, for the peer
//	Close, CloseNow, CloseRead             end the connection
//	Context, OnClosed                      end with it, and say why
//	NetConn                                the connection as a byte stream
//	Stats                                  messages and bytes each way, the last round trip
//	Subprotocol, LocalAddr, RemoteAddr, Codec, SetReadLimit
//
// and are documented there.
package ws

import (
	"context"
	"errors"

	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/internal/pool"
)

type (
	// Conn is a connection; its methods are those of conn.Conn.
	Conn = conn.Conn
	// Message is a message; see conn.Message.
	Message = conn.Message
	// MessageType is Text or Binary; see conn.MessageType.
	MessageType = conn.MessageType
	// StatusCode is a close code; see conn.StatusCode.
	StatusCode = conn.StatusCode
	// CloseError is an end with close frames; see conn.CloseError.
	CloseError = conn.CloseError
	// ProtocolError is the peer breaking the protocol; see conn.ProtocolError.
	ProtocolError = conn.ProtocolError
	// Observer is told what happens to connections; see conn.Observer.
	Observer = conn.Observer
	// Rate bounds what a peer may send over time; see conn.Rate, which has the policies, too.
	Rate = conn.Rate
	// Prepared is a message framed once for many connections; see conn.Prepared.
	Prepared = conn.Prepared
)

// A package has the text of another one's function for its importers only if it
// has been inlined there. Programs that import this package, and not conn, would
// call Messages: and then the variables that a loop's body shares with the rest
// of its function go to the heap.
var _ = func(ctx context.Context, c *Conn) {
	for _, err := range c.Messages(ctx) {
		_ = err
	}
}

// The message types.
const (
	Text   = conn.Text
	Binary = conn.Binary
)

// The close codes that programs use; package conn has them all.
const (
	StatusNormal          = conn.StatusNormal
	StatusGoingAway       = conn.StatusGoingAway
	StatusProtocolError   = conn.StatusProtocolError
	StatusUnsupportedData = conn.StatusUnsupportedData
	StatusNoStatus        = conn.StatusNoStatus
	StatusAbnormal        = conn.StatusAbnormal
	StatusInvalidData     = conn.StatusInvalidData
	StatusPolicyViolation = conn.StatusPolicyViolation
	StatusTooBig          = conn.StatusTooBig
	StatusInternalError   = conn.StatusInternalError
	StatusServiceRestart  = conn.StatusServiceRestart
	StatusTryAgainLater   = conn.StatusTryAgainLater
)

// NewPrepared prepares m for being written to many connections.
func NewPrepared(m Message) (*Prepared, error) { return conn.NewPrepared(m) }

// statusError is what Status returns.
type statusError struct {
	code   StatusCode
	reason string
}

func (e *statusError) Error() string {
	if e.reason == "" {
		return "ws: close with " + e.code.String()
	}
	return "ws: close with " + e.code.String() + ": " + e.reason
}

// Status is what a handler returns to choose how its connection is closed. The
// reason goes to the peer, cut to 123 bytes. Wrapped in another error it has the
// same effect.
func Status(code StatusCode, reason string) error { return &statusError{code, reason} }

// CloseStatus is the close code that err is about: the peer's, if err wraps a
// *CloseError, what the peer was told, if it wraps a *ProtocolError, Status's
// own; and 0 for every other error.
func CloseStatus(err error) StatusCode {
	if closed, ok := errors.AsType[*CloseError](err); ok {
		return closed.Code
	}
	if protocol, ok := errors.AsType[*ProtocolError](err); ok {
		return protocol.Code
	}
	if status, ok := errors.AsType[*statusError](err); ok {
		return status.code
	}
	return 0
}

// Send writes v as one message in the connection's codec. Its errors are
// Conn.Write's, or the codec's, in which case nothing was sent.
func Send(ctx context.Context, c *Conn, v any) error {
	cd := c.Codec()
	b, err := cd.Append(pool.Get(pool.Small), v)
	if err == nil {
		err = c.Write(ctx, messageType(cd), b)
	} else {
		err = &codecError{"encode", cd.Name(), err}
	}
	pool.Put(b)
	return err
}

// Receive reads one message and decodes it with the connection's codec. Its
// errors are Conn.Read's, or the codec's: the message is lost then, but the
// connection goes on.
func Receive[T any](ctx context.Context, c *Conn) (T, error) {
	var v T
	_, b, err := c.AppendRead(ctx, pool.Get(pool.Small))
	if err == nil {
		if err = c.Codec().Decode(b, &v); err != nil {
			err = &codecError{"decode", c.Codec().Name(), err}
		}
	}
	pool.Put(b)
	return v, err
}

func messageType(cd codec.Codec) MessageType {
	if cd.Binary() {
		return Binary
	}
	return Text
}

// codecError is a value or a message that the codec refused.
type codecError struct {
	verb, codec string
	err         error
}

func (e *codecError) Error() string { return "ws: " + e.verb + " " + e.codec + ": " + e.err.Error() }

func (e *codecError) Unwrap() error { return e.err }
