package conn

import (
	"errors"
	"net"
	"strconv"
	"strings"
)

// Why a connection ended, beside the peer's and this side's close frames: a
// closed set, as context.Cause of Conn.Context has it and as every call after
// the end returns it. Each one matches net.ErrClosed with errors.Is.
var (
	// ErrIdle: no byte from the peer for IdleTimeout.
	ErrIdle = ended("nothing arrived for the idle timeout (option IdleTimeout)")
	// ErrPongTimeout: a keepalive ping was not answered, nor anything else sent, within PongTimeout.
	ErrPongTimeout = ended("keepalive ping not answered (options PingInterval, PongTimeout)")
	// ErrWriteStalled: the peer took no byte for WriteTimeout.
	ErrWriteStalled = ended("peer stopped reading (option WriteTimeout)")
	// ErrReadLimit: a message was longer than the read limit; the peer was told 1009.
	ErrReadLimit = ended("message longer than the read limit (option ReadLimit, method SetReadLimit)")
	// ErrFragments: a message came in too many fragments; the peer was told 1008.
	ErrFragments = ended("message in too many fragments (option MaxFragments)")
	// ErrControlFlood: too many control frames within a second; the peer was told 1008.
	ErrControlFlood = ended("too many control frames a second (option ControlRate)")
	// ErrRateLimit: the peer sent more than RateClose lets it; it was told 1008.
	ErrRateLimit = ended("too many messages or bytes a second (option Rate)")
	// ErrMessageTimeout: a message was begun and not completed within MessageTimeout; the peer was told 1008.
	ErrMessageTimeout = ended("message not completed in time (option MessageTimeout)")
	// ErrCloseTimeout: the peer did not answer the close frame in time.
	ErrCloseTimeout = ended("close frame not answered in time (option CloseTimeout)")
	// ErrWriteCut: a write was given up halfway where the rest can't be kept.
	ErrWriteCut = ended("write given up in the middle of a message")
	// ErrUnexpectedMessage: a data message came after CloseRead; the peer was told 1008.
	ErrUnexpectedMessage = ended("data message on a connection that is only written to (CloseRead)")
	// ErrExpired: the credential that the connection was opened with has expired.
	ErrExpired = ended("credential expired")
	// ErrLifetime: the connection has lived as long as it may (option MaxLifetime); the peer was told 1001.
	ErrLifetime = ended("maximum lifetime reached (option MaxLifetime)")
	// ErrShutdown: the handler is shutting down.
	ErrShutdown = ended("server is shutting down")
)

// errClosedNow is the cause after CloseNow.
var errClosedNow = ended("closed without a handshake")

// endError is one way in which a connection ends.
type endError struct{ text string }

func ended(text string) error { return &endError{text} }

func (e *endError) Error() string { return "ws: connection closed: " + e.text }

func (e *endError) Unwrap() error { return net.ErrClosed }

// ErrUnfinished is returned by reads while a message's Reader has not been read to its end.
var ErrUnfinished = errors.New("ws: the last message's Reader has not been read to its end")

// closedBy is a connection that was ended for a reason that is not this package's.
type closedBy struct{ cause error }

func (e *closedBy) Error() string { return "ws: connection closed: " + e.cause.Error() }

func (e *closedBy) Is(target error) bool { return target == net.ErrClosed }

func (e *closedBy) Unwrap() error { return e.cause }

// ProtocolError is the peer breaking RFC 6455 or RFC 7692. It names the rule
// with its section, matches net.ErrClosed with errors.Is, and the peer has been
// told Code.
type ProtocolError struct {
	Code StatusCode
	Text string
}

func (e *ProtocolError) Error() string { return "ws: connection closed: peer sent a " + e.Text }

func (e *ProtocolError) Unwrap() error { return net.ErrClosed }

// CloseError is a connection that ended with close frames, or should have.
// It matches net.ErrClosed with errors.Is.
type CloseError struct {
	Code      StatusCode // what the peer said; 1005: a close frame without a code; 1006: no close frame
	Reason    string     // the peer's
	Sent      StatusCode // what this side said; 0: nothing
	SentFirst bool       // this side's close frame was sent before the peer's arrived
	Err       error      // what ended the connection when Code is 1006; else nil
}

func (e *CloseError) Error() string {
	var b strings.Builder
	b.WriteString("ws: connection closed: ")
	if e.SentFirst {
		b.WriteString("sent " + e.Sent.String() + ", then ")
	}
	if e.Code == StatusAbnormal {
		b.WriteString("no close frame from the peer")
	} else {
		b.WriteString("received " + e.Code.String())
	}
	if e.Reason != "" {
		b.WriteString(" " + strconv.Quote(e.Reason))
	}
	if !e.SentFirst && e.Sent != 0 {
		b.WriteString(", then sent " + e.Sent.String())
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Is says that the connection is closed. (A list from Unwrap would be made anew
// for every question, and each connection's end is asked about several times.)
func (e *CloseError) Is(target error) bool { return target == net.ErrClosed }

// Unwrap returns Err.
func (e *CloseError) Unwrap() error { return e.Err }

// opError is a call that did not come through while the connection goes on.
type opError struct {
	op  string
	err error
}

func (e *opError) Error() string { return "ws: " + e.op + ": " + e.err.Error() }

func (e *opError) Unwrap() error { return e.err }

func (e *opError) Timeout() bool {
	t, ok := e.err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}
