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

// decode makes an In of a request's data and checks it.
func decode[In any](ctx context.Context, q *Request, check func(context.Context, *In) error) (*In, error) {
	in := new(In)
	if err := q.Decode(in); err != nil {
		return nil, err
	}
	if check != nil {
		if err := check(ctx, in); err != nil {
			return nil, invalid(err)
		}
	}
	if validate := q.of.s.opts.Validate; validate != nil {
		if err := validate(ctx, in); err != nil {
			return nil, invalid(err)
		}
	}
	return in, nil
}
