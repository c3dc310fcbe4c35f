package schema_test

import (
	"context"
	"encoding/json"
	"iter"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/router"
)

// The generated client against a router, over a real connection; what is expected
// stands in client/behaviour.mjs.
func TestClientBehaviour(t *testing.T) {
	srv := httptest.NewServer(&ws.Handler{Events: behaviour()})
	defer srv.Close()
	t.Logf("%s", node(t, nil, "--experimental-websocket", "--no-warnings", "client/behaviour.mjs", srv.URL))
}

func behaviour() *router.Router {
	r := router.New(router.Options{Concurrency: 8})
	var open sync.WaitGroup
	router.Handle(r, "echo", func(_ context.Context, v json.RawMessage) (json.RawMessage, error) { return v, nil })
	router.Handle(r, "fail", func(context.Context, any) (any, error) {
		return nil, &router.Error{Code: router.Conflict, Message: "no", Details: 7, RetryAfter: 1500 * time.Millisecond}
	})
	router.On(r, "wait", func(ctx context.Context, _ any) error {
		open.Add(1)
		defer open.Done()
		<-ctx.Done()
		return ctx.Err()
	})
	router.Handle(r, "open", func(context.Context, any) (int, error) {
		open.Wait()
		return 0, nil
	})
	router.Stream(r, "count", func(_ context.Context, n int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			if n < 0 {
				yield(0, &router.Error{Code: router.Invalid})
			}
			for i := 0; i < n && yield(i, nil); i++ {
			}
		}
	})
	router.Stream(r, "ticks", func(ctx context.Context, _ any) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			open.Add(1)
			defer open.Done()
			for i := 0; ctx.Err() == nil && yield(i, nil); i++ {
				select {
				case <-ctx.Done():
				case <-time.After(time.Millisecond):
				}
			}
		}
	})
	typing := router.Emits[string](r, "typing")
	router.On(r, "typing", func(ctx context.Context, name string) error { return typing.Send(ctx, router.Conn(ctx), name) })
	router.Handle(r, "ask", func(ctx context.Context, typ string) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		answer, err := router.Call[string](ctx, router.Conn(ctx), typ, nil)
		if err != nil {
			return strings.TrimPrefix(err.Error(), "ws: "), nil
		}
		return answer, nil
	})
	router.On(r, "drop", func(ctx context.Context, _ any) error { return router.Conn(ctx).CloseNow() })
	router.On(r, "refuse", func(ctx context.Context, _ any) error {
		return router.Conn(ctx).Close(ctx, ws.StatusPolicyViolation, "")
	})
	return r
}
