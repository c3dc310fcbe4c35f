package router_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/router"
)

// A router behind ws.Handler, message-driven and blocking, and one that dials.
func TestHandler(t *testing.T) {
	for _, mode := range []string{"events", "serve", "jsonrpc"} {
		t.Run(mode, func(t *testing.T) {
			closed := make(chan string, 1)
			r := router.New(router.Options{
				Open: func(ctx context.Context, c *ws.Conn) (context.Context, error) {
					*router.Local[string](ctx) = ws.Request(ctx).URL.Path
					return context.Background(), nil
				},
				Closed: func(ctx context.Context, c *ws.Conn, _ error) { closed <- *router.Local[string](ctx) },
			})
			router.Handle(r, "path", func(ctx context.Context, _ struct{}) (string, error) {
				name, err := router.Call[string](ctx, router.Conn(ctx), "name", nil)
				return name + "@" + *router.Local[string](ctx), err
			})
			router.On(r, "wait", func(ctx context.Context, _ struct{}) error {
				<-ctx.Done()
				return ctx.Err()
			})
			h := &ws.Handler{Events: r, Options: ws.Options{Codecs: map[string]codec.Codec{"rpc": codec.JSONRPC}, Subprotocols: []string{"rpc"}}}
			var o ws.DialOptions
			switch mode {
			case "serve":
				h.Events, h.Serve = nil, r.Serve
			case "jsonrpc":
				o = ws.DialOptions{Subprotocols: []string{"rpc"}, Codecs: h.Options.Codecs}
			}
			mux := http.NewServeMux()
			mux.Handle("/chat", h)
			srv := httptest.NewServer(mux)
			defer srv.Close()
			c, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http")+"/chat", &o)
			if err != nil {
				t.Fatal(err)
			}
			client := router.New()
			router.Handle(client, "name", func(context.Context, struct{}) (string, error) { return "ada", nil })
			served := make(chan error)
			go func() { served <- client.Serve(t.Context(), c) }()
			for range 10 {
				if got, err := router.Call[string](t.Context(), c, "path", nil); got != "ada@/chat" || err != nil {
					t.Error(got, err)
				}
			}
			short, cancel := context.WithCancel(t.Context())
			time.AfterFunc(5*time.Millisecond, cancel)
			if _, err := router.Call[any](short, c, "wait", nil); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if got, err := router.Call[string](t.Context(), c, "path", nil); got != "ada@/chat" || err != nil { // "wait" is over
				t.Error(got, err)
			}
			if err := c.Close(t.Context(), ws.StatusNormal, ""); err != nil {
				t.Error(err)
			}
			if err := <-served; err != nil {
				t.Error(err)
			}
			if path := <-closed; path != "/chat" {
				t.Error(path)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	o := quiet()
	o.Open = func(context.Context, *ws.Conn) (context.Context, error) { return nil, ws.Status(4000, "no") }
	srv := httptest.NewServer(&ws.Handler{Events: router.New(o)})
	defer srv.Close()
	c, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if _, _, err := c.Read(t.Context()); ws.CloseStatus(err) != 4000 {
		t.Error(err)
	}
}
