package interop

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tidewire/ws"
)

// TestServers: our client with other implementations' servers.
func TestServers(t *testing.T) {
	for name, program := range map[string]func(t *testing.T) *process{
		"node":   func(t *testing.T) *process { return start(t, node(t), "peers/server.mjs") },
		"python": func(t *testing.T) *process { return start(t, python(t), "peers/server.py") },
	} {
		t.Run(name, func(t *testing.T) {
			p := program(t)
			url := "ws://127.0.0.1:" + p.says()
			ourClient{url: url, closed: func(t *testing.T) string { return p.says() }}.run(t)
		})
	}
}

// ourClient tries what the clients in peers/ do, with a server that has the
// paths of ourServer.
type ourClient struct {
	url    string
	tls    *tls.Config
	closed func(t *testing.T) string // what the server saw the client at /observe close with
}

func (o ourClient) run(t *testing.T) {
	t.Run("echo", o.echo)
	t.Run("many", o.many)
	t.Run("fragments", o.fragments)
	t.Run("compression", o.compression)
	t.Run("subprotocol", o.subprotocol)
	t.Run("ping", o.ping)
	t.Run("pinged", o.pinged)
	t.Run("closes", o.closes)
	t.Run("closedByServer", o.closedByServer)
	t.Run("tooBig", o.tooBig)
}

func (o ourClient) dial(t *testing.T, path string, protocols ...string) *ws.Conn {
	t.Helper()
	c, _, err := ws.Dial(t.Context(), o.url+path, &ws.DialOptions{
		TLSConfig:    o.tls,
		Subprotocols: protocols,
		Compression:  ws.CompressionTakeover,
		ReadLimit:    4 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

func write(t *testing.T, c *ws.Conn, kind ws.MessageType, p []byte) {
	t.Helper()
	if err := c.Write(t.Context(), kind, p); err != nil {
		t.Fatal(err)
	}
}

func wantMessage(t *testing.T, c *ws.Conn, kind ws.MessageType, want []byte) {
	t.Helper()
	gotKind, got, err := c.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if gotKind != kind || !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes of %v, want %d of %v", len(got), gotKind, len(want), kind)
	}
}

func wantClosed(t *testing.T, c *ws.Conn, code ws.StatusCode, reason string) {
	t.Helper()
	_, _, err := c.Read(t.Context())
	var closed *ws.CloseError
	if !errors.As(err, &closed) || closed.Code != code || closed.Reason != reason {
		t.Fatalf("got %v, want a close with %v %q", err, code, reason)
	}
}

func (o ourClient) echo(t *testing.T) {
	c := o.dial(t, "/echo")
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
		text := []byte(strings.Repeat("ä世🙂x", n/10+1)[:n/10*10])
		write(t, c, ws.Text, text)
		wantMessage(t, c, ws.Text, text)
		data := make([]byte, n)
		_, _ = rand.Read(data)
		write(t, c, ws.Binary, data)
		wantMessage(t, c, ws.Binary, data)
	}
	if err := c.Close(t.Context(), ws.StatusNormal, ""); err != nil {
		t.Error(err)
	}
}

func (o ourClient) many(t *testing.T) {
	const count = 1000
	c := o.dial(t, "/echo")
	sent := make(chan error, 1)
	go func() {
		for i := range count {
			if err := c.Write(t.Context(), ws.Text, fmt.Appendf(nil, "message %d", i)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := range count {
		wantMessage(t, c, ws.Text, fmt.Appendf(nil, "message %d", i))
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func (o ourClient) fragments(t *testing.T) {
	c := o.dial(t, "/echo")
	w, err := c.Writer(t.Context(), ws.Text)
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for i := range 50_000 { // more than a frame has room for
		part := fmt.Appendf(nil, "part %d, ", i)
		want = append(want, part...)
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wantMessage(t, c, ws.Text, want)
}

func (o ourClient) compression(t *testing.T) {
	if c := o.dial(t, "/echo"); !c.Compression().Enabled() {
		t.Error("was not agreed on")
	}
}

func (o ourClient) subprotocol(t *testing.T) {
	if got := o.dial(t, "/echo", "v0.echo", "v1.echo", "v2.echo").Subprotocol(); got != "v2.echo" {
		t.Errorf("it is %q", got)
	}
}

func (o ourClient) ping(t *testing.T) {
	c := o.dial(t, "/echo")
	c.CloseRead(t.Context())
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func (o ourClient) pinged(t *testing.T) {
	c := o.dial(t, "/ping")
	wantMessage(t, c, ws.Text, []byte("ponged"))
	wantClosed(t, c, ws.StatusNormal, "")
}

func (o ourClient) closes(t *testing.T) {
	if err := o.dial(t, "/observe").Close(t.Context(), 4001, "tschüß"); err != nil {
		t.Error(err)
	}
	if got := o.closed(t); got != "4001 tschüß" {
		t.Errorf("the server saw %s", got)
	}
}

func (o ourClient) closedByServer(t *testing.T) {
	c := o.dial(t, "/close?code=4002&reason=das%20war%E2%80%99s")
	write(t, c, ws.Text, []byte("close"))
	wantClosed(t, c, 4002, "das war’s")
}

func (o ourClient) tooBig(t *testing.T) {
	c := o.dial(t, "/small")
	write(t, c, ws.Text, bytes.Repeat([]byte("x"), 2000))
	_, _, err := c.Read(t.Context())
	if ws.CloseStatus(err) != ws.StatusTooBig {
		t.Errorf("got %v, want a close with 1009", err)
	}
}

func (o ourClient) runOtherOrigin(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, resp, err := ws.Dial(ctx, o.url+"/echo", &ws.DialOptions{
		TLSConfig: o.tls,
		Header:    http.Header{"Origin": {"https://evil.example"}},
	})
	if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("got %v, %v; want 403", resp, err)
	}
}
