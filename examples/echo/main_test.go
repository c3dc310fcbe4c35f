package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidewire/ws"
)

// start serves with f until the test is over, and returns the address.
func start(t *testing.T, f func(context.Context, net.Listener) error) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- f(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return "ws://" + ln.Addr().String()
}

func TestTalk(t *testing.T) {
	url := start(t, serve)
	var out bytes.Buffer
	const lines = "one\n\ndrei\n四\n"
	if err := talk(t.Context(), url, strings.NewReader(lines), &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != lines {
		t.Errorf("got %q, want %q", out.String(), lines)
	}
}

// Messages may be longer than by default.
func TestLongMessage(t *testing.T) {
	url := start(t, serve)
	c, _, err := ws.Dial(t.Context(), url, &ws.DialOptions{ReadLimit: readLimit, MaxFragments: maxFragments})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	go c.Write(t.Context(), ws.Binary, sent)
	kind, got, err := c.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if kind != ws.Binary || !bytes.Equal(got, sent) {
		t.Errorf("2 MiB came back as %d bytes of %v", len(got), kind)
	}
}

// TestShutdown: whoever is connected is told that the server goes away.
func TestShutdown(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, ln) }()
	c, _, err := ws.Dial(t.Context(), "ws://"+ln.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	stop()
	if _, _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusGoingAway {
		t.Errorf("got %v, want a close with 1001", err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestAutobahn: the client asks for the count, echoes in each case and asks for
// the reports, as the fuzzing server expects it.
func TestAutobahn(t *testing.T) {
	const cases = 3
	var echoed, updated atomic.Int32
	fuzz := http.NewServeMux()
	fuzz.Handle("/getCaseCount", &ws.Handler{Serve: func(ctx context.Context, c *ws.Conn) error {
		return ws.Send(ctx, c, cases)
	}})
	fuzz.Handle("/runCase", &ws.Handler{Serve: func(ctx context.Context, c *ws.Conn) error {
		q := ws.Request(ctx).URL.Query()
		if want := fmt.Sprint(echoed.Load() + 1); q.Get("case") != want || q.Get("agent") != agent {
			t.Errorf("query is %v, want case %s of agent %s", q, want, agent)
		}
		if err := ws.Send(ctx, c, "case"); err != nil {
			return err
		}
		if got, err := ws.Receive[string](ctx, c); err != nil || got != "case" {
			t.Errorf("echo is %q, %v", got, err)
		}
		echoed.Add(1)
		return nil
	}})
	fuzz.Handle("/updateReports", &ws.Handler{Serve: func(ctx context.Context, c *ws.Conn) error {
		updated.Add(1)
		return nil
	}})
	url := start(t, func(ctx context.Context, ln net.Listener) error {
		srv := &http.Server{Handler: fuzz}
		context.AfterFunc(ctx, func() { srv.Close() })
		if err := srv.Serve(ln); err != http.ErrServerClosed {
			return err
		}
		return nil
	})
	var out bytes.Buffer
	if err := beTested(t.Context(), url, &out); err != nil {
		t.Fatal(err)
	}
	if echoed.Load() != cases || updated.Load() != 1 {
		t.Errorf("%d cases echoed, %d updates; want %d and 1", echoed.Load(), updated.Load(), cases)
	}
}

// A loop over Messages allocates nothing, in programs that import package ws and not conn, too: what its body shares with
// the rest of its function stays on the stack.
func TestLoopAllocs(t *testing.T) {
	c, _, err := ws.Dial(t.Context(), start(t, serve), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.CloseNow()
	messages := 0
	n := testing.AllocsPerRun(100, func() {
		for range c.Messages(context.Background()) {
			messages++
		}
	})
	if n != 0 || messages != 0 {
		t.Errorf("%v allocations, %d messages from nobody", n, messages)
	}
}
