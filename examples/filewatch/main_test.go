package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/tidewire/ws"
)

const secret = "secret"

// start watches file until the test is over and returns the host and port.
func start(t *testing.T, file string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- run(ctx, ln, secret, file) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return ln.Addr().String()
}

func TestWatch(t *testing.T) {
	w := newWatched(t)
	w.append("one\n")
	host := start(t, w.path)
	visitors := make([]*ws.Conn, 2)
	for i := range visitors {
		c, _, err := ws.Dial(t.Context(), "ws://"+host+"/"+secret+"/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		visitors[i] = c
	}
	wantText := func(want string) {
		t.Helper()
		for _, c := range visitors {
			kind, got, err := c.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if kind != ws.Text || string(got) != want {
				t.Fatalf("got %v %q, want %q", kind, got, want)
			}
		}
	}
	wantText("one\n")
	w.append("two\n")
	wantText("two\n")
	if err := visitors[0].Close(t.Context(), ws.StatusNormal, ""); err != nil {
		t.Error(err)
	}
}

func TestVisitorsOnlyRead(t *testing.T) {
	host := start(t, newWatched(t).path)
	c, _, err := ws.Dial(t.Context(), "ws://"+host+"/"+secret+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(t.Context(), ws.Text, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusPolicyViolation {
		t.Errorf("got %v, want a close with 1008", err)
	}
}

func TestPages(t *testing.T) {
	host := start(t, newWatched(t).path)
	for path, want := range map[string]string{
		"/" + secret + "/":    "<!doctype html>",
		"/page/filewatch.js":  "WebSocket",
		"/page/filewatch.css": "color-scheme",
		"/":                   "404",
		"/guess/":             "404",
		"/guess/ws":           "404",
	} {
		resp, err := http.Get("http://" + host + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(body), want) {
			t.Errorf("%s has no %q: %.100s", path, want, body)
		}
	}
}
