package router_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/router"
)

// Nothing is kept of connections that have ended, however they were used.
func TestNothingIsKept(t *testing.T) {
	for name, use := range map[string]func(t *testing.T, srv, cli *ws.Conn){
		"served": func(t *testing.T, srv, cli *ws.Conn) {
			go func() { _ = router.New().Serve(srv.Context(), srv) }()
			synctest.Wait()
		},
		"served for a while": func(t *testing.T, srv, cli *ws.Conn) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_ = router.New().Serve(ctx, srv)
		},
		"only called": func(t *testing.T, srv, cli *ws.Conn) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, _ = router.Call[int](ctx, srv, "x", nil)
		},
		"by Message alone": func(t *testing.T, srv, cli *ws.Conn) {
			_ = router.New().Message(srv.Context(), srv, ws.Message{Type: ws.Text, Data: []byte(`{}`)})
		},
		"called when over": func(t *testing.T, srv, cli *ws.Conn) {
			_ = srv.CloseNow()
			_, _ = router.Call[int](t.Context(), srv, "x", nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, cli := pair(t, nil)
				use(t, srv, cli)
				_ = srv.CloseNow()
				_ = cli.CloseNow()
				synctest.Wait()
				if router.Known(srv) {
					t.Error("the connection is kept")
				}
			})
		})
	}
}
