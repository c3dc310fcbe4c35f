package ws_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/tidewire/ws"
)

func ExampleHandler() {
	upper := &ws.Handler{Serve: func(ctx context.Context, c *ws.Conn) error {
		for m, err := range c.Messages(ctx) {
			if err != nil {
				return err
			}
			if err := c.Write(ctx, m.Type, []byte(strings.ToUpper(string(m.Data)))); err != nil {
				return err
			}
		}
		return nil
	}}
	srv := httptest.NewServer(upper)
	defer srv.Close()

	ctx := context.Background()
	c, _, err := ws.Dial(ctx, srv.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(ctx, ws.StatusNormal, "")
	if err := c.Write(ctx, ws.Text, []byte("hello")); err != nil {
		fmt.Println(err)
		return
	}
	_, p, err := c.Read(ctx)
	fmt.Println(string(p), err)
	// Output: HELLO <nil>
}

// An upgrade by hand: a stream of events to whoever connects.
func ExampleAccept() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return // it has been answered
		}
		ctx := c.CloseRead(c.Context())
		for _, event := range []string{"ready", "steady", "go"} {
			if c.Write(ctx, ws.Text, []byte(event)) != nil {
				return
			}
		}
		_ = c.Close(ctx, ws.StatusNormal, "that was all")
	}))
	defer srv.Close()

	ctx := context.Background()
	c, _, err := ws.Dial(ctx, srv.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for m, err := range c.Messages(ctx) {
		fmt.Println(string(m.Data), err)
	}
	// Output:
	// ready <nil>
	// steady <nil>
	// go <nil>
}

// A server that refuses says why.
func ExampleDial() {
	srv := httptest.NewServer(&ws.Handler{Serve: echo})
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, resp, err := ws.Dial(ctx, srv.URL, &ws.DialOptions{Header: http.Header{"Origin": {"https://elsewhere.example"}}})
	fmt.Println(err != nil, resp.StatusCode)
	// Output: true 403
}

func ExampleSend() {
	type Sum struct{ A, B int }
	adder := &ws.Handler{Serve: func(ctx context.Context, c *ws.Conn) error {
		in, err := ws.Receive[Sum](ctx, c)
		if err != nil {
			return err
		}
		return ws.Send(ctx, c, in.A+in.B)
	}}
	srv := httptest.NewServer(adder)
	defer srv.Close()

	ctx := context.Background()
	c, _, err := ws.Dial(ctx, srv.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(ctx, ws.StatusNormal, "")
	if err := ws.Send(ctx, c, Sum{2, 3}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ws.Receive[int](ctx, c))
	// Output: 5 <nil>
}

func ExampleStatus() {
	srv := httptest.NewServer(&ws.Handler{Serve: func(context.Context, *ws.Conn) error {
		return ws.Status(4404, "no such room")
	}})
	defer srv.Close()

	ctx := context.Background()
	c, _, err := ws.Dial(ctx, srv.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _, err = c.Read(ctx)
	var closed *ws.CloseError
	if errors.As(err, &closed) {
		fmt.Println(uint16(closed.Code), closed.Reason)
	}
	// Output: 4404 no such room
}

// Several handlers that are shut down together, beside the http.Server.
func ExampleGroup() {
	var live ws.Group
	mux := http.NewServeMux()
	mux.Handle("/echo", &ws.Handler{Serve: echo, Options: ws.Options{Group: &live}})
	mux.Handle("/chat", &ws.Handler{Serve: echo, Options: ws.Options{Group: &live}})
	srv := httptest.NewServer(mux)
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, _, err := ws.Dial(ctx, srv.URL+"/echo", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	told := make(chan ws.StatusCode)
	go func() {
		_, _, err := c.Read(ctx)
		told <- ws.CloseStatus(err)
	}()
	fmt.Println(live.Shutdown(ctx), srv.Config.Shutdown(ctx))
	fmt.Println(<-told)
	// Output:
	// <nil> <nil>
	// 1001 (going away)
}
