package router_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/router"
	"github.com/tidewire/ws/router/schema"
)

func nothing[T any](context.Context, T) error { return nil }

func TestRegistrationPanics(t *testing.T) {
	type hidden struct{ Deep []map[string]func() }
	for name, test := range map[string]struct {
		f    func(r *router.Router)
		want []string
	}{
		"duplicate": {func(r *router.Router) {
			router.On(r, "a.b", nothing[int])
			router.Handle(r.Group("a."), "b", func(context.Context, int) (int, error) { return 0, nil })
		}, []string{`"a.b"`, "register_test.go:29", "register_test.go:30"}},
		"duplicate event": {func(r *router.Router) {
			router.Emits[int](r, "a")
			router.Emits[int](r, "a")
		}, []string{`"a"`, "register_test.go:33", "register_test.go:34"}},
		"empty":      {func(r *router.Router) { router.On(r, "", nothing[int]) }, []string{"empty", "register_test.go"}},
		"canceling":  {func(r *router.Router) { router.On(r.Reserved(), "$cancel", nothing[int]) }, []string{"$cancel", "register_test.go"}},
		"not $":      {func(r *router.Router) { router.On(r.Reserved(), "x", nothing[int]) }, []string{"x", "register_test.go"}},
		"reserved":   {func(r *router.Router) { router.On(r, "$x", nothing[int]) }, []string{"$", "register_test.go"}},
		"unsendable": {func(r *router.Router) { router.On(r, "x", nothing[hidden]) }, []string{`"x"`, "hidden.Deep", "func", "register_test.go"}},
		"unsendable item": {func(r *router.Router) {
			router.Stream(r, "x", func(context.Context, int) iter.Seq2[chan int, error] { return nil })
		}, []string{"chan int"}},
		"late": {func(r *router.Router) {
			p := serve(t, r, nil)
			p.send(`{}`)
			_, _, _ = p.Read(p.Context())
			router.On(r, "x", nothing[int])
		}, []string{"after"}},
		"use": {func(r *router.Router) {
			router.On(r, "x", nothing[int])
			r.Use(nil)
		}, []string{"Use after"}},
		"concurrency": {func(r *router.Router) { router.On(r, "x", nothing[int]).Concurrency(0) }, []string{"Concurrency(0)"}},
		"options":     {func(r *router.Router) { router.New(router.Options{}, router.Options{}) }, []string{"one Options"}},
		"local":       {func(r *router.Router) { router.Local[int](context.Background()) }, []string{"Local"}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				got := fmt.Sprint(recover())
				for _, want := range append(test.want, "router: ") {
					if !strings.Contains(got, want) {
						t.Errorf("%q does not say %q", got, want)
					}
				}
			}()
			test.f(router.New())
		})
	}
}

// Both a type of this side and one of the other may have the same name.
func TestBothWays(t *testing.T) {
	r := router.New()
	router.On(r, "message", nothing[int])
	router.Emits[int](r, "message")
}

// Packages like hub add to the protocol, within the router's middleware.
func TestReserved(t *testing.T) {
	r := router.New(quiet())
	r.Use(func(next router.Handler) router.Handler {
		return func(ctx context.Context, q *router.Request) (any, error) {
			out, err := next(ctx, q)
			return fmt.Sprint(q.Type, " in ", q.Room, " at ", q.Pos, ": ", out), err
		}
	})
	router.Handle(r.Group("not.").Reserved(), "$echo", func(ctx context.Context, in json.RawMessage) (string, error) {
		p, err := router.Decode[post](ctx, in)
		return p.Text, err
	})
	r.Describe(schema.Message{Type: "echo", Kind: schema.Published, In: reflect.TypeFor[post]()})
	p := serve(t, r, nil)
	p.send(`{"id":1,"type":"$echo","data":{"text":"hi"},"room":"lobby","pos":[7,"e"]}`)
	p.want(`{"id":1,"data":"$echo in lobby at {7 e}: hi"}`)
	p.send(`{"id":2,"type":"$echo","data":{"text":"hi"}}`)
	p.want(`{"id":2,"data":"$echo in  at {0 }: hi"}`)
	p.send(`{"id":3,"type":"$echo","data":7}`)
	p.want(`{"id":3,"error":{"code":"bad_payload","message":"data does not fit: unexpected number"}}`)
	if all := r.API().Messages; len(all) != 1 || all[0].Type != "echo" {
		t.Errorf("described are %v", all)
	}
}

func TestMiddleware(t *testing.T) {
	var trace []string
	note := func(name string) func(router.Handler) router.Handler {
		return func(next router.Handler) router.Handler {
			return func(ctx context.Context, q *router.Request) (any, error) {
				trace = append(trace, name)
				out, err := next(ctx, q)
				trace = append(trace, "/"+name)
				return out, err
			}
		}
	}
	r := router.New(quiet())
	r.Use(note("all"))
	g := r.Group("admin.", note("group"))
	router.Handle(g, "kick", func(_ context.Context, in post) (string, error) {
		trace = append(trace, "kick "+in.Text)
		return "kicked", nil
	}).Use(note("route"), func(next router.Handler) router.Handler {
		return func(ctx context.Context, q *router.Request) (any, error) {
			if q.Type != "admin.kick" || !q.Reply || router.Conn(ctx) == nil {
				t.Errorf("%+v", q)
			}
			var in post
			if err := q.Decode(&in); err != nil || in.Text == "root" {
				return nil, &router.Error{Code: router.Forbidden}
			}
			out, err := next(ctx, q)
			return out.(string) + "!", err
		}
	})
	router.On(r, "other", nothing[int])
	p := serve(t, r, nil)
	p.send(`{"id":1,"type":"admin.kick","data":{"text":"bob"}}`)
	p.want(`{"id":1,"data":"kicked!"}`)
	p.send(`{"id":2,"type":"admin.kick","data":{"text":"root"}}`)
	p.want(`{"id":2,"error":{"code":"forbidden"}}`)
	p.send(`{"id":3,"type":"other","data":1}`)
	p.want(`{"id":3}`)
	p.send(`{"id":4,"type":"admin.kick","data":7}`)
	p.want(`{"id":4,"error":{"code":"forbidden"}}`)
	want := "[all group route kick bob /route /group /all all group route /route /group /all all /all all group route /route /group /all]"
	if got := fmt.Sprint(trace); got != want {
		t.Error(got)
	}
}

func TestStreamMiddleware(t *testing.T) {
	r := router.New(quiet())
	count := func(_ context.Context, n int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := 0; i < n && yield(i, nil); i++ {
			}
			yield(0, &router.Error{Code: "over"})
		}
	}
	router.Stream(r, "doubled", count).Use(func(next router.Handler) router.Handler {
		return func(ctx context.Context, q *router.Request) (any, error) {
			out, err := next(ctx, q)
			return iter.Seq2[any, error](func(yield func(any, error) bool) {
				for v, err := range out.(iter.Seq2[any, error]) {
					if n, ok := v.(int); !yield(2*n, err) || !ok {
						return
					}
				}
			}), err
		}
	})
	router.Stream(r, "broken", count).Use(func(router.Handler) router.Handler {
		return func(context.Context, *router.Request) (any, error) { return 1, nil }
	})
	router.Stream(r, "panics", func(context.Context, int) iter.Seq2[int, error] {
		return func(func(int, error) bool) { panic("no") }
	})
	p := serve(t, r, nil)
	p.send(`{"id":1,"type":"doubled","data":2}`)
	p.want(`{"id":1,"more":true,"data":0}`)
	p.want(`{"id":1,"more":true,"data":2}`)
	p.want(`{"id":1,"error":{"code":"over"}}`)
	for _, typ := range []string{"broken", "panics"} {
		p.send(`{"id":2,"type":"` + typ + `","data":2}`)
		p.want(`{"id":2,"error":{"code":"internal","message":"internal error"}}`)
	}
}

type checked struct{ A, B int }

func (c checked) Validate() error {
	var errs []error
	if c.A < 0 {
		errs = append(errs, router.Field("A", "is negative"))
	}
	if c.B < 0 {
		errs = append(errs, fmt.Errorf("also: %w", router.Field("B", "is negative")))
	}
	return errors.Join(errs...)
}

type checkedInContext struct{ A int }

func (c *checkedInContext) Validate(ctx context.Context) error {
	if router.Conn(ctx) == nil || c.A < 0 {
		return &router.Error{Code: router.Conflict}
	}
	return nil
}

func TestValidation(t *testing.T) {
	r := router.New(router.Options{Validate: func(ctx context.Context, v any) error {
		if p, ok := v.(*post); ok && p.Text == "" {
			return errors.New("text is empty")
		}
		return nil
	}})
	router.On(r, "plain", nothing[checked])
	router.On(r, "context", nothing[checkedInContext])
	router.On(r, "pointer", nothing[*checked])
	router.On(r, "pointer context", nothing[*checkedInContext])
	router.On(r, "post", nothing[post])
	p := serve(t, r, nil)
	for _, test := range []struct{ typ, data, want string }{
		{"plain", `{"A":1}`, ``},
		{"plain", `{"A":-1}`, `"error":{"code":"invalid","message":"A: is negative","details":[{"field":"A","message":"is negative"}]}`},
		{"plain", `{"A":-1,"B":-1}`, `"error":{"code":"invalid","message":"A: is negative\nalso: B: is negative","details":[{"field":"A","message":"is negative"},{"field":"B","message":"is negative"}]}`},
		{"context", `{"A":-1}`, `"error":{"code":"conflict"}`},
		{"context", `{"A":1}`, ``},
		{"pointer", `{"B":-1}`, `"error":{"code":"invalid","message":"also: B: is negative","details":[{"field":"B","message":"is negative"}]}`},
		{"pointer", `null`, `"error":{"code":"bad_payload","message":"data is missing"}`},
		{"pointer context", `{"A":-1}`, `"error":{"code":"conflict"}`},
		{"pointer context", `null`, `"error":{"code":"bad_payload","message":"data is missing"}`},
		{"post", `{}`, `"error":{"code":"invalid","message":"text is empty"}`},
		{"post", `{"text":"x"}`, ``},
	} {
		p.send(`{"id":1,"type":"` + test.typ + `","data":` + test.data + `}`)
		if test.want != "" {
			test.want = "," + test.want
		}
		p.want(`{"id":1` + test.want + `}`)
	}
}

// The examples of the specification (JSON-RPC 2.0, 7), with named parameters
// where it has positional ones of different types.
func TestJSONRPC(t *testing.T) {
	r := router.New(quiet())
	router.Handle(r, "subtract", func(_ context.Context, in []int) (int, error) { return in[0] - in[1], nil })
	router.Handle(r, "get_data", func(context.Context, struct{}) ([]any, error) { return []any{"hello", 5}, nil })
	router.On(r, "update", nothing[[]int])
	p := serve(t, r, codec.JSONRPC)
	for _, test := range []struct{ in, want string }{
		{`{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}`, `{"jsonrpc":"2.0","id":1,"result":19}`},
		{`{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}`, ``},
		{`{"jsonrpc": "2.0", "method": "foobar"}`, ``},
		{`{"jsonrpc": "2.0", "method": "foobar", "id": "1"}`, `{"jsonrpc":"2.0","id":"1","error":{"code":-32601,"message":"unknown type foobar","data":{"code":"unknown_type"}}}`},
		{`{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		{`{"jsonrpc": "2.0", "method": 1, "params": "bar"}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: method is not a string, or empty"}}`},
		{`[{"jsonrpc": "2.0", "method"`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		{`[]`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: a batch has 1 to 1000 requests"}}`},
		{`[1,2]`, `[{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: not an object"}},{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: not an object"}}]`},
		{`[{"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
			{"jsonrpc": "2.0", "method": "update", "params": [7]},
			{"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id":1}},
			{"jsonrpc": "2.0", "id": 99, "result": 1},
			{"foo": "boo"},
			{"jsonrpc": "2.0", "method": "get_data", "id": "9"}]`,
			`[{"jsonrpc":"2.0","id":"2","result":19},{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: jsonrpc is not \"2.0\""}},{"jsonrpc":"2.0","id":"9","result":["hello",5]}]`},
		{`[{"jsonrpc": "2.0", "method": "update", "params": [1]}, {"jsonrpc": "2.0", "method": "foobar", "params": [7]}]`, ``},
		{`{"jsonrpc": "2.0", "method": "update", "params": [1], "id": 5}`, `{"jsonrpc":"2.0","id":5,"result":null}`},
	} {
		p.send(test.in)
		if test.want != "" {
			p.want(test.want)
		}
	}
}

// A batch whose requests run at the same time is answered once.
func TestBatchConcurrency(t *testing.T) {
	r := router.New(router.Options{Concurrency: 4, Backlog: 1})
	router.Handle(r, "echo", func(_ context.Context, in []int) (int, error) { return in[0], nil })
	p := serve(t, r, codec.JSONRPC)
	var parts []string
	for i := range 20 {
		parts = append(parts, fmt.Sprintf(`{"jsonrpc":"2.0","method":"echo","id":%d,"params":[%d]}`, i, i))
	}
	p.send("[" + strings.Join(parts, ",") + "]")
	_, b, err := p.Read(p.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if want := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":%d}`, i, i); !strings.Contains(string(b), want) {
			t.Errorf("%s is not in %s", want, b)
		}
	}
}

type binaryCodec struct{ codec.Codec }

func (binaryCodec) Binary() bool { return true }

func TestCodecWithoutEnvelope(t *testing.T) {
	srv, _ := pair(t, struct{ codec.Codec }{binaryCodec{codec.JSON}})
	if err := router.New().Serve(srv.Context(), srv); err == nil || !strings.Contains(err.Error(), "json") {
		t.Error(err)
	}
	if _, err := router.Call[int](srv.Context(), srv, "x", nil); err == nil {
		t.Error("no error")
	}
	if err := router.Emits[int](router.New(), "x").Send(srv.Context(), srv, 1); err == nil {
		t.Error("no error")
	}
	if _, err := router.Emits[int](router.New(), "x").Prepare(srv.Codec(), 1); err == nil {
		t.Error("no error")
	}
}

// A text codec of the user's own gets JSON envelopes.
type shouting struct{ codec.Codec }

func (s shouting) Append(b []byte, v any) ([]byte, error) {
	if text, ok := v.(string); ok {
		v = strings.ToUpper(text)
	}
	return s.Codec.Append(b, v)
}

func TestForeignTextCodec(t *testing.T) {
	r := router.New()
	router.Handle(r, "echo", func(_ context.Context, in string) (string, error) { return in, nil })
	p := serve(t, r, struct{ codec.Codec }{shouting{codec.JSON}})
	p.send(`{"id":1,"type":"echo","data":"quiet"}`)
	p.want(`{"id":1,"data":"QUIET"}`)
}

func TestServedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := router.New()
		router.Handle(r, "echo", func(_ context.Context, in string) (string, error) { return in, nil })
		srv, cli := pair(t, nil)
		p := &peer{t: t, Conn: cli}
		ctx, cancel := context.WithCancel(context.Background())
		first := make(chan error)
		go func() { first <- r.Serve(ctx, srv) }()
		p.send(`{"id":1,"type":"echo","data":"a"}`)
		p.want(`{"id":1,"data":"a"}`)
		if err := r.Serve(context.Background(), srv); err == nil {
			t.Error("served twice at a time")
		}
		cancel()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		go func() { first <- r.Serve(context.Background(), srv) }()
		p.send(`{"id":2,"type":"echo","data":"b"}`)
		p.want(`{"id":2,"data":"b"}`)
		_ = p.Close(context.Background(), ws.StatusNormal, "")
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}
