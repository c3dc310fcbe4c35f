package router

import (
	"context"
	"reflect"
)

// validator returns what checks a decoded In by In's own Validate method, or nil.
func validator[In any]() func(ctx context.Context, in *In) error {
	type plain interface{ Validate() error }
	type withContext interface{ Validate(context.Context) error }
	var zero In
	switch any(&zero).(type) { // has In's methods too, unless that is a pointer
	case plain:
		return func(_ context.Context, in *In) error { return any(in).(plain).Validate() }
	case withContext:
		return func(ctx context.Context, in *In) error { return any(in).(withContext).Validate(ctx) }
	}
	switch any(zero).(type) {
	case plain:
		return func(_ context.Context, in *In) error { return orMissing(*in, any(*in).(plain).Validate) }
	case withContext:
		return func(ctx context.Context, in *In) error {
			return orMissing(*in, func() error { return any(*in).(withContext).Validate(ctx) })
		}
	}
	return nil
}

// orMissing keeps Validate methods from being called on a nil pointer.
func orMissing(in any, validate func() error) error {
	if reflect.ValueOf(in).IsNil() {
		return &Error{Code: BadPayload, Message: "data is missing"}
	}
	return validate()
}

// Decode makes an In of data and checks it, as is done for the functions of the
// connection that ctx belongs to: for packages like hub, whose messages have
// others' inside. It panics if ctx belongs to no routed connection.
func Decode[In any](ctx context.Context, data []byte) (In, error) {
	in, err := decode(ctx, sessionFrom(ctx), data, validator[In]())
	if err != nil {
		var zero In
		return zero, err
	}
	return *in, nil
}

// decode makes an In of a request's data and checks it.
func decode[In any](ctx context.Context, s *session, data []byte, check func(context.Context, *In) error) (*In, error) {
	in := new(In)
	if err := s.decodeData(data, in); err != nil {
		return nil, err
	}
	if check != nil {
		if err := check(ctx, in); err != nil {
			return nil, invalid(err)
		}
	}
	if validate := s.opts.Validate; validate != nil {
		if err := validate(ctx, in); err != nil {
			return nil, invalid(err)
		}
	}
	return in, nil
}

// decodeData leaves v alone if there is no data.
func (s *session) decodeData(data []byte, v any) error {
	if data == nil {
		return nil
	}
	if err := s.codec.Decode(data, v); err != nil {
		return badPayload(err)
	}
	return nil
}
