package router

import (
	"context"
	"fmt"
	"reflect"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/internal/pool"
	"github.com/tidewire/ws/router/schema"
)

// Event is a type of message that this side sends without being asked.
type Event[T any] struct{ *emitted }

// emitted is what there is to know of an Event.
type emitted struct {
	typ     []byte
	doc, at string
}

// Emits registers an event that this side sends, so that documents and generated
// clients know of it.
func Emits[T any](r *Router, typ string) *Event[T] {
	e := &emitted{typ: []byte(r.prefix + typ), at: caller()}
	out := reflect.TypeFor[T]()
	r.checkNew(string(e.typ), e.at, out)
	if e.typ[0] == '$' {
		panic(fmt.Sprintf("router: %q is registered at %s: types with a $ are reserved", e.typ, e.at))
	}
	if other := r.emitted[string(e.typ)]; other != nil {
		panic(fmt.Sprintf("router: event %q is registered at %s and again at %s", e.typ, other.at, e.at))
	}
	r.emitted[string(e.typ)] = e
	r.docs = append(r.docs, func() schema.Message {
		return schema.Message{Type: string(e.typ), Kind: schema.Emitted, Doc: e.doc, Out: out}
	})
	return &Event[T]{e}
}

// Type returns the event's type.
func (e *Event[T]) Type() string { return string(e.typ) }

// Doc sets what documents and generated clients say about the event.
func (e *Event[T]) Doc(text string) *Event[T] {
	e.doc = text
	return e
}

// Send sends the event to one connection. Its errors are ws.Conn.Write's, or the
// codec's, in which case nothing was sent.
func (e *Event[T]) Send(ctx context.Context, c *ws.Conn, v T) error {
	p, t, err := e.append(pool.Get(pool.Small), c.Codec(), v)
	if err == nil {
		err = c.Write(ctx, t, p)
	}
	pool.Put(p)
	return err
}

// Prepare encodes the event once for many connections, those that have the
// codec: see ws.Conn's Codec, WritePrepared and TryWrite.
func (e *Event[T]) Prepare(c codec.Codec, v T) (*ws.Prepared, error) {
	p, t, err := e.append(pool.Get(pool.Small), c, v)
	defer func() { pool.Put(p) }()
	if err != nil {
		return nil, err
	}
	return ws.NewPrepared(ws.Message{Type: t, Data: p})
}

func (e *Event[T]) append(b []byte, c codec.Codec, v T) ([]byte, ws.MessageType, error) {
	env := enveloper(c)
	if env == nil {
		return b, 0, errNoEnvelope(c)
	}
	b, err := env.AppendEnvelope(b, &codec.Envelope{Type: e.typ}, v)
	if err != nil {
		return b, 0, &encodeError{err}
	}
	if c.Binary() {
		return b, ws.Binary, nil
	}
	return b, ws.Text, nil
}
