package router

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"

	"github.com/tidewire/ws/router/schema"
)

// Handler is a route's function as middleware sees it. reply is what will be
// sent: nothing for an event, and for a stream an iter.Seq2[any, error].
type Handler func(ctx context.Context, q *Request) (reply any, err error)

// Route is a registered type. Its methods are part of registering it.
type Route struct {
	reg     *registry
	typ     string
	kind    schema.Kind
	doc     string
	at      string // where it was registered
	in, out reflect.Type
	lane    int

	base       Handler
	outer, own []func(Handler) Handler // the router's middleware, and the route's
	run        Handler                 // base in own in outer
}

// Doc sets what documents and generated clients say about the route.
func (t *Route) Doc(text string) *Route {
	t.doc = text
	return t
}

// Use adds middleware for this route alone, inside that of its Router.
func (t *Route) Use(mws ...func(Handler) Handler) *Route {
	t.own = append(t.own, mws...)
	t.compose()
	return t
}

// Concurrency lets n of the route's functions run at a time on a connection,
// beside those of other routes; they still start in order among themselves.
// Streams run beside everything as it is.
func (t *Route) Concurrency(n int) *Route {
	if n < 1 {
		panic(fmt.Sprintf("router: %s: Concurrency(%d)", t.typ, n))
	}
	t.lane = len(t.reg.lanes)
	t.reg.lanes = append(t.reg.lanes, n)
	return t
}

func (t *Route) compose() {
	t.run = wrap(t.outer, wrap(t.own, t.base))
}

func wrap(mws []func(Handler) Handler, h Handler) Handler {
	for i := len(mws) - 1; i >= 0; i-- {
		h = mws[i](h)
	}
	return h
}

// On registers the function for an event: a message that is not answered. If the
// peer asks for an answer nevertheless, it is one without data, or the error;
// else an error is only logged.
func On[In any](r *Router, typ string, f func(ctx context.Context, in In) error) *Route {
	check := validator[In]()
	return r.add(typ, schema.Event, reflect.TypeFor[In](), nil, func(ctx context.Context, q *Request) (any, error) {
		in, err := decode(ctx, q.of.s, q.Data, check)
		if err == nil {
			err = f(ctx, *in)
		}
		return nil, err
	})
}

// Handle registers the function for a request: it is answered with what f
// returns. See Error for errors.
func Handle[In, Out any](r *Router, typ string, f func(ctx context.Context, in In) (Out, error)) *Route {
	check := validator[In]()
	return r.add(typ, schema.Request, reflect.TypeFor[In](), reflect.TypeFor[Out](), func(ctx context.Context, q *Request) (any, error) {
		in, err := decode(ctx, q.of.s, q.Data, check)
		if err != nil {
			return nil, err
		}
		out, err := f(ctx, *in)
		if err != nil {
			return nil, err
		}
		return out, nil
	})
}

// Stream registers the function for a request with many replies: each value of
// the sequence is sent, and then its end. An error is the last that is sent. The
// loop over the sequence ends early when the peer cancels the request.
func Stream[In, Out any](r *Router, typ string, f func(ctx context.Context, in In) iter.Seq2[Out, error]) *Route {
	check := validator[In]()
	return r.add(typ, schema.Stream, reflect.TypeFor[In](), reflect.TypeFor[Out](), func(ctx context.Context, q *Request) (any, error) {
		in, err := decode(ctx, q.of.s, q.Data, check)
		if err != nil {
			return nil, err
		}
		return items(f(ctx, *in)), nil
	})
}

func items[T any](seq iter.Seq2[T, error]) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for v, err := range seq {
			if !yield(v, err) {
				return
			}
		}
	}
}

func (r *Router) add(typ string, kind schema.Kind, in, out reflect.Type, base Handler) *Route {
	t := &Route{reg: r.registry, typ: r.prefix + typ, kind: kind, at: caller(), in: in, out: out, base: base, outer: r.mws}
	r.checkNew(t.typ, t.at, in, out)
	if t.typ == cancelType || strings.HasPrefix(t.typ, "$") != r.dollar {
		panic(fmt.Sprintf("router: %q is registered at %s: types with a $ are reserved", typ, t.at))
	}
	if other := r.routes[t.typ]; other != nil {
		panic(fmt.Sprintf("router: %q is registered at %s and again at %s", t.typ, other.at, t.at))
	}
	t.compose()
	r.used = true
	r.routes[t.typ] = t
	if r.dollar {
		t.lane = r.ordered
		return t
	}
	r.docs = append(r.docs, func() schema.Message {
		return schema.Message{Type: t.typ, Kind: t.kind, Doc: t.doc, In: t.in, Out: t.out}
	})
	return t
}

// checkNew panics if typ can't be registered at the place at.
func (reg *registry) checkNew(typ, at string, types ...reflect.Type) {
	switch {
	case reg.serving.Load():
		panic(fmt.Sprintf("router: %q is registered at %s, after connections have been served", typ, at))
	case typ == "":
		panic("router: empty type registered at " + at)
	}
	for _, t := range types {
		if t == nil {
			continue
		}
		if err := schema.Check(t); err != nil {
			panic(fmt.Sprintf("router: %q is registered at %s with %s, which can't be encoded: %v", typ, at, t, err))
		}
	}
}

// caller is the place outside this package that a registration was asked for.
func caller() string {
	var pcs [8]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, packagePath+".") || !more {
			return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		}
	}
}

var packagePath = reflect.TypeFor[Router]().PkgPath()
