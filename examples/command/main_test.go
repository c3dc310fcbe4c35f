package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/tidewire/ws"
)

const secret = "secret"

// TestMain is also the program that the tests run, so that they need no other
// and run on every system.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "upper" {
		upper()
		return
	}
	os.Exit(m.Run())
}

// upper prints what it reads in upper case, exits with 3 after "exit\n", and
// with 0 at the end of its input.
func upper() {
	b := make([]byte, 1024)
	for {
		n, err := os.Stdin.Read(b)
		if err != nil {
			return
		}
		if string(b[:n]) == "exit\n" {
			os.Exit(3)
		}
		os.Stdout.WriteString(strings.ToUpper(string(b[:n])))
	}
}

func upperProgram() program { return program{os.Args[0], "upper"} }

// start serves p until the test is over and returns the host and port.
func start(t *testing.T, p program) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- run(ctx, ln, secret, p) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return ln.Addr().String()
}

func dial(t *testing.T, host string) *ws.Conn {
	t.Helper()
	c, _, err := ws.Dial(t.Context(), "ws://"+host+"/"+secret+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

func write(t *testing.T, c *ws.Conn, line string) {
	t.Helper()
	if err := c.Write(t.Context(), ws.Binary, []byte(line)); err != nil {
		t.Fatal(err)
	}
}

// wantOutput reads until want has come.
func wantOutput(t *testing.T, c *ws.Conn, want string) {
	t.Helper()
	got := ""
	for len(got) < len(want) {
		_, p, err := c.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got += string(p)
	}
	if got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func wantEnd(t *testing.T, c *ws.Conn, code ws.StatusCode, reason string) {
	t.Helper()
	_, p, err := c.Read(t.Context())
	var closed *ws.CloseError
	if !errors.As(err, &closed) || closed.Code != code || !strings.Contains(closed.Reason, reason) {
		t.Errorf("got %q, %v; want a close with %v %q", p, err, code, reason)
	}
}

func TestRunsAndEnds(t *testing.T) {
	c := dial(t, start(t, upperProgram()))
	write(t, c, "hello\n")
	wantOutput(t, c, "HELLO\n")
	write(t, c, "exit\n")
	wantEnd(t, c, ws.StatusNormal, "exit status 3")
}

func TestEachVisitHasItsOwn(t *testing.T) {
	host := start(t, upperProgram())
	a, b := dial(t, host), dial(t, host)
	write(t, a, "a\n")
	write(t, b, "b\n")
	wantOutput(t, a, "A\n")
	wantOutput(t, b, "B\n")
}

// The server's shutdown, in start's cleanup, ends a program that would go on for ever.
func TestShutdownEndsProgram(t *testing.T) {
	c := dial(t, start(t, upperProgram()))
	write(t, c, "up\n")
	wantOutput(t, c, "UP\n")
}

func TestNoSuchProgram(t *testing.T) {
	c := dial(t, start(t, program{"/no/such/program"}))
	wantEnd(t, c, ws.StatusNormal, "no such file")
}

func TestTextIsRefused(t *testing.T) {
	c := dial(t, start(t, upperProgram()))
	if err := c.Write(t.Context(), ws.Text, []byte("x")); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, c, ws.StatusUnsupportedData, "")
}

func TestPages(t *testing.T) {
	host := start(t, upperProgram())
	for path, want := range map[string]string{
		"/" + secret + "/":  "<!doctype html>",
		"/page/command.js":  "WebSocket",
		"/page/command.css": "color-scheme",
		"/":                 "404",
		"/guess/":           "404",
		"/guess/ws":         "404",
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
