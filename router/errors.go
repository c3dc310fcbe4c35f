package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/tidewire/ws/codec"
)

// The error codes that the router itself uses, and that every client knows.
// Programs may have codes of their own beside them.
const (
	BadEnvelope  = "bad_envelope" // the message is none
	UnknownType  = "unknown_type" // there is no function for it
	BadPayload   = "bad_payload"  // its data does not fit the function's type
	Invalid      = "invalid"      // its data fits, but makes no sense; details: see Field
	Unauthorized = "unauthorized" // who are you?
	Forbidden    = "forbidden"
	NotFound     = "not_found"
	Conflict     = "conflict"
	RateLimited  = "rate_limited" // see Error.RetryAfter
	Timeout      = "timeout"
	Canceled     = "canceled"
	Unavailable  = "unavailable" // try again later
	Internal     = "internal"    // what it is stands in the server's log
)

// Error is an error that crosses the connection: what a function returns to
// choose what the peer is told, and what Call returns when the peer said it.
//
// Other errors of functions become: timeout and canceled, if they are the
// context package's; what Options.MapError makes of them; internal otherwise,
// and then their text is logged and never sent.
type Error struct {
	Code       string
	Message    string        // for people; "" is left out
	Details    any           // nil is left out; Call has it as the codec decodes an any
	RetryAfter time.Duration // when it makes sense to try again; 0 says nothing
}

func (e *Error) Error() string {
	if e.Message == "" {
		return "router: " + e.Code
	}
	return "router: " + e.Code + ": " + e.Message
}

// Is makes errors.Is match errors of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Field is an error about one field, for Validate methods: joined with others by
// errors.Join, they are the details of code invalid, as a list of objects with
// the members field and message. path is as the peer knows it: "lines[2].price".
func Field(path, message string) error { return &fieldError{path, message} }

type fieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

func (e *fieldError) Error() string { return e.Field + ": " + e.Message }

// fieldErrors collects the Fields that err is made of.
func fieldErrors(err error) []*fieldError {
	switch e := err.(type) {
	case *fieldError:
		return []*fieldError{e}
	case interface{ Unwrap() []error }:
		var all []*fieldError
		for _, err := range e.Unwrap() {
			all = append(all, fieldErrors(err)...)
		}
		return all
	case interface{ Unwrap() error }:
		return fieldErrors(e.Unwrap())
	}
	return nil
}

// invalid is what the peer is told of a validator's error.
func invalid(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	e = &Error{Code: Invalid, Message: err.Error()}
	if fields := fieldErrors(err); fields != nil {
		e.Details = fields
	}
	return e
}

// badPayload says what is wrong without naming Go's types.
func badPayload(err error) *Error {
	e := &Error{Code: BadPayload, Message: "data does not fit"}
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		e.Message = "data does not fit: unexpected " + mismatch.Value
		if mismatch.Field != "" {
			e.Details = []*fieldError{{mismatch.Field, "unexpected " + mismatch.Value}}
		}
	}
	return e
}

// panicError is a function's panic.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// tell finds out what the peer is told of a function's error, and what the log is
// told if that is not everything.
func (reg *registry) tell(err error) (e *codec.Error, internal error) {
	var known *Error
	switch {
	case errors.As(err, &known):
	case errors.Is(err, context.DeadlineExceeded):
		known = &Error{Code: Timeout}
	case errors.Is(err, errCanceled), errors.Is(err, context.Canceled):
		known = &Error{Code: Canceled}
	case reg.opts.MapError != nil:
		known, err = reg.mapError(err)
	}
	if known == nil {
		return &codec.Error{Code: Internal, Message: "internal error"}, err
	}
	e = &codec.Error{Code: known.Code, Message: known.Message, Details: known.Details}
	if known.RetryAfter > 0 {
		e.RetryMS = uint64((known.RetryAfter + time.Millisecond - 1) / time.Millisecond)
	}
	return e, nil
}

// mapError asks the program. If that panics, so has the function, in a way.
func (reg *registry) mapError(err error) (known *Error, because error) {
	defer func() {
		if v := recover(); v != nil {
			known, because = nil, errors.Join(err, &panicError{v, debug.Stack()})
		}
	}()
	return reg.opts.MapError(err), err
}

// told is tell's inverse.
func told(e *codec.Error) *Error {
	return &Error{Code: e.Code, Message: e.Message, Details: e.Details, RetryAfter: time.Duration(min(e.RetryMS, maxMS)) * time.Millisecond}
}

// maxMS keeps a peer's milliseconds from overflowing a time.Duration.
const maxMS = uint64(365 * 24 * time.Hour / time.Millisecond)

// errCanceled is the cause of a request's context that the peer has ended.
var errCanceled = errors.New("router: the peer has canceled the request")

// errReturned is the cause of a request's context after its function has returned.
var errReturned = errors.New("router: the request's function has returned")
