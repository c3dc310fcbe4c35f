package router_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/router"
)

// connect has two routers serve the two ends, and returns the client's.
func connect(t testing.TB, cd codec.Codec, server, client *router.Router) (srv, cli *ws.Conn) {
	srv, cli = pair(t, cd)
	done := make(chan error, 2)
	go func() { done <- server.Serve(srv.Context(), srv) }()
	go func() { done <- client.Serve(cli.Context(), cli) }()
	t.Cleanup(func() {
		_ = cli.CloseNow()
		<-done
		<-done
	})
	return srv, cli
}

func TestCall(t *testing.T) {
	for _, cd := range []codec.Codec{codec.JSON, codec.JSONRPC} {
		t.Run(cd.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testCall(t, cd) })
		})
	}
}

func testCall(t *testing.T, cd codec.Codec) {
	server := waiter(quiet())
	router.Handle(server, "post", func(_ context.Context, in post) (receipt, error) {
		if in.Text == "" {
			return receipt{}, &router.Error{Code: router.Conflict, Message: "no", Details: []int{1}, RetryAfter: time.Second}
		}
		return receipt{len(in.Text)}, nil
	})
	_, c := connect(t, cd, server, router.New())
	ctx := t.Context()
	got, err := router.Call[receipt](ctx, c, "post", post{"hello"})
	if err != nil || got.N != 5 {
		t.Error(got, err)
	}
	_, err = router.Call[receipt](ctx, c, "post", post{})
	var e *router.Error
	if !errors.As(err, &e) || e.Code != router.Conflict || e.Message != "no" || fmt.Sprint(e.Details) != "[1]" || e.RetryAfter != time.Second {
		t.Errorf("%#v", err)
	}
	if _, err := router.Call[receipt](ctx, c, "nope", nil); !errors.Is(err, &router.Error{Code: router.UnknownType}) {
		t.Error(err)
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := router.Call[receipt](short, c, "wait", nil); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, &router.Error{Code: router.Timeout}) {
		t.Error(err)
	}
	if _, err := router.Call[receipt](ctx, c, "post", make(chan int)); err == nil {
		t.Error("a chan was sent")
	}
	n := 0
	for v, err := range router.Items[int](ctx, c, "ticks", interval{time.Second}) {
		if err != nil || v != n {
			t.Fatal(v, err)
		}
		if n++; n == 3 {
			break
		}
	}
	short, cancel = context.WithTimeout(ctx, 3500*time.Millisecond)
	defer cancel()
	n = 0
	for _, last := range router.Items[int](short, c, "ticks", interval{time.Second}) {
		if n++; last != nil {
			err = last
		}
	}
	if n != 4 || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, &router.Error{Code: router.Timeout}) {
		t.Error(n, err)
	}
	if got, err := router.Call[receipt](ctx, c, "post", post{"still there"}); err != nil || got.N != 11 {
		t.Error(got, err)
	}
}

func TestCallEndsWithConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := connect(t, nil, waiter(quiet()), router.New())
		time.AfterFunc(time.Second, func() { _ = c.CloseNow() })
		if _, err := router.Call[struct{}](t.Context(), c, "wait", nil); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if _, err := router.Call[struct{}](t.Context(), c, "wait", nil); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

// A canceled call ends the function on the other side.
func TestCallCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 1)
		r := router.New()
		router.On(r, "wait", func(ctx context.Context, _ struct{}) error {
			<-ctx.Done()
			causes <- ctx.Err()
			return nil
		})
		_, c := connect(t, nil, r, router.New())
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := router.Call[struct{}](ctx, c, "wait", nil); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := <-causes; err != context.Canceled {
			t.Error(err)
		}
	})
}

// The function of a request asks the side that waits for its reply.
func TestCallWithinFunction(t *testing.T) {
	for _, concurrency := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			server := router.New(router.Options{Concurrency: concurrency})
			router.Handle(server, "post", func(ctx context.Context, in post) (string, error) {
				return router.Call[string](ctx, router.Conn(ctx), "name", nil)
			})
			client := router.New()
			router.Handle(client, "name", func(context.Context, struct{}) (string, error) { return "ada", nil })
			_, c := connect(t, nil, server, client)
			start := time.Now()
			for range 100 {
				if name, err := router.Call[string](t.Context(), c, "post", post{}); name != "ada" || err != nil {
					t.Fatal(name, err)
				}
			}
			if d := time.Since(start); d != 0 {
				t.Errorf("it took %v until somebody read the reply", d)
			}
		})
	}
}

// Many calls at a time in both directions.
func TestCallsCross(t *testing.T) {
	echo := func() *router.Router {
		r := router.New(router.Options{Concurrency: 4})
		router.Handle(r, "echo", func(_ context.Context, n int) (int, error) { return n, nil })
		return r
	}
	srv, cli := connect(t, nil, echo(), echo())
	done := make(chan error)
	for i := range 32 {
		c := [2]*ws.Conn{srv, cli}[i%2]
		go func() {
			for n := range 50 {
				got, err := router.Call[int](t.Context(), c, "echo", 100*i+n)
				if err == nil && got != 100*i+n {
					err = fmt.Errorf("got %d", got)
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 32 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A loop that calls between the items of a stream does not deadlock, and one
// that falls too far behind is told so.
func TestItemsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := router.New(router.Options{Logger: quiet().Logger})
		router.Stream(server, "many", func(_ context.Context, n int) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				for i := 0; i < n && yield(i, nil); i++ {
				}
			}
		})
		router.Handle(server, "echo", func(_ context.Context, n int) (int, error) { return n, nil })
		_, c := connect(t, nil, server, router.New())
		sum := 0
		for v, err := range router.Items[int](t.Context(), c, "many", 1000) {
			if err != nil {
				t.Fatal(err)
			}
			n, err := router.Call[int](t.Context(), c, "echo", v)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		if sum != 999*1000/2 {
			t.Error(sum)
		}
		var last error
		n := 0
		for _, err := range router.Items[int](t.Context(), c, "many", 10_000) {
			synctest.Wait()
			n, last = n+1, err
		}
		if !errors.Is(last, &router.Error{Code: router.Unavailable}) || n < 1024 {
			t.Error(n, last)
		}
	})
}

func TestEmits(t *testing.T) {
	for _, cd := range []codec.Codec{codec.JSON, codec.JSONRPC} {
		server, client := router.New(), router.New()
		posted := router.Emits[post](server.Group("chat."), "posted")
		got := make(chan post, 2)
		router.On(client, "chat.posted", func(_ context.Context, in post) error {
			got <- in
			return nil
		})
		srv, _ := connect(t, cd, server, client)
		if err := posted.Send(t.Context(), srv, post{"one"}); err != nil {
			t.Error(err)
		}
		p, err := posted.Prepare(srv.Codec(), post{"two"})
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.WritePrepared(t.Context(), p); err != nil {
			t.Error(err)
		}
		if a, b := <-got, <-got; a.Text != "one" || b.Text != "two" {
			t.Error(a, b)
		}
	}
}
