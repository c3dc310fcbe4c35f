package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/router"
)

// dial signs in and connects.
func dial(t *testing.T, srv *httptest.Server, name string) *ws.Conn {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Jar: jar}
	resp, err := client.PostForm(srv.URL+"/sign-in", url.Values{"name": {name}})
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Fatal(resp, err)
	}
	_ = resp.Body.Close()
	c, _, err := ws.Dial(t.Context(), "ws"+srv.URL[len("http"):]+"/ws", &ws.DialOptions{Jar: jar})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

func TestChat(t *testing.T) {
	srv := httptest.NewServer(newServer(newChat().routes(), nil))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	heard := make(chan Typing, 1)
	r := router.New()
	router.On(r, "typing", func(_ context.Context, in Typing) error {
		heard <- in
		return nil
	})
	typing := router.Emits[None](r, "typing")
	ada, admin := dial(t, srv, "ada"), dial(t, srv, "admin")
	for _, c := range []*ws.Conn{ada, admin} {
		go r.Serve(ctx, c)
	}
	if got, err := router.Call[Receipt](ctx, ada, "post", Post{Text: "hello"}); got.ID != 1 || err != nil {
		t.Error(got, err)
	}
	_, err := router.Call[Receipt](ctx, ada, "post", Post{Mood: "odd"})
	var e *router.Error
	if !errors.As(err, &e) || e.Code != router.Invalid || len(e.Details.([]any)) != 2 {
		t.Errorf("%#v", err)
	}
	for m, err := range router.Items[Message](ctx, admin, "messages", Since{}) {
		if err != nil || m.From != "ada" || m.Text != "hello" {
			t.Error(m, err)
		}
		break
	}
	if err := typing.Send(ctx, ada, None{}); err != nil {
		t.Error(err)
	}
	if got := <-heard; got.From != "ada" {
		t.Error(got)
	}
	if _, err := router.Call[None](ctx, ada, "admin.clear", nil); !errors.Is(err, &router.Error{Code: router.Forbidden}) {
		t.Error(err)
	}
	if _, err := router.Call[None](ctx, admin, "admin.clear", nil); err != nil {
		t.Error(err)
	}
	if _, resp, err := ws.Dial(ctx, "ws"+srv.URL[len("http"):]+"/ws", nil); err == nil || resp.StatusCode != http.StatusUnauthorized {
		t.Error(err)
	}
}

// TestServe ends the program as a signal does.
func TestServe(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group ws.Group
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, ln, newServer(newChat().routes(), &group), &group) }()
	header := http.Header{"Cookie": {"name=ada"}}
	c, _, err := ws.Dial(t.Context(), "ws://"+ln.Addr().String()+"/ws", &ws.DialOptions{Header: header})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if _, _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusGoingAway {
		t.Errorf("got %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
