package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/middleware"
)

// proxy is a program between clients and a server.
type proxy struct {
	plain, secure string // its addresses, without and with TLS
	command       []string
}

func (p *proxy) start(t *testing.T) *process {
	t.Helper()
	running := start(t, p.command[0], p.command[1:]...)
	waitListening(running, p.plain)
	waitListening(running, p.secure)
	return running
}

func writeConfig(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// idle is when the proxies give up on a connection that says nothing.
const idle = time.Second

// backend is a server behind a proxy. It tells each client what it knows of it, and echoes.
type backend struct {
	*ws.Handler
	addr string
}

func newBackend(t *testing.T, ping time.Duration) *backend {
	t.Helper()
	client := middleware.ClientIP("X-Forwarded-For", netip.MustParsePrefix("127.0.0.1/32"))
	b := &backend{Handler: &ws.Handler{Options: ws.Options{PingInterval: ping}, Serve: func(ctx context.Context, c *ws.Conn) error {
		r := ws.Request(ctx)
		about := fmt.Sprint(client(r), " by ", r.Header.Get("X-Forwarded-Proto"))
		if err := c.Write(ctx, ws.Text, []byte(about)); err != nil {
			return err
		}
		return echo(ctx, c)
	}}}
	srv := httptest.NewServer(b)
	t.Cleanup(srv.Close)
	b.addr = srv.Listener.Addr().String()
	return b
}

// dialFrom dials from an address of its own, and checks what the server knows.
func dialFrom(t *testing.T, cert certificate, url, origin, want string) *ws.Conn {
	t.Helper()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 5)}}
	c, _, err := ws.Dial(t.Context(), url, &ws.DialOptions{NetDialContext: from.DialContext, TLSConfig: cert.client, PingInterval: -1,
		Header: http.Header{"Origin": {origin}, "X-Forwarded-For": {"203.0.113.9"}}}) // made up
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	wantMessage(t, c, ws.Text, []byte(want))
	return c
}

type proxyMaker func(t *testing.T, cert certificate, backend, idle string) *proxy

// TestProxies: what a proxy in front of a service makes of its connections.
func TestProxies(t *testing.T) {
	cert := newCertificate(t)
	for name, newProxy := range map[string]proxyMaker{"nginx": newNginx, "haproxy": newHAProxy} {
		t.Run(name, func(t *testing.T) {
			for what, test := range map[string]func(*testing.T, certificate, proxyMaker){
				"forwards": testForwards, "idle": testIdle, "killed": testKilled,
			} {
				t.Run(what, func(t *testing.T) {
					t.Parallel()
					test(t, cert, newProxy)
				})
			}
		})
	}
}

// testForwards checks that client, scheme and origin are right, also where the proxy ends the TLS.
func testForwards(t *testing.T, cert certificate, newProxy proxyMaker) {
	p := newProxy(t, cert, newBackend(t, 0).addr, idle.String())
	p.start(t)
	for url, origin := range map[string]string{"ws://" + p.plain: "http://" + p.plain, "wss://" + p.secure: "https://" + p.secure} {
		scheme, _, _ := strings.Cut(origin, ":")
		dialFrom(t, cert, url, origin, "127.0.0.5 by "+scheme)
		_, resp, err := ws.Dial(t.Context(), url, &ws.DialOptions{TLSConfig: cert.client, Header: http.Header{"Origin": {"https://evil.example"}}})
		if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: got %v, %v; want 403", url, resp, err)
		}
	}
}

// testIdle says nothing for longer than the proxy has patience, with keepalive and without.
func testIdle(t *testing.T, cert certificate, newProxy proxyMaker) {
	for _, ping := range []time.Duration{idle / 4, -1} {
		p := newProxy(t, cert, newBackend(t, ping).addr, idle.String())
		p.start(t)
		c := dialFrom(t, cert, "wss://"+p.secure, "https://"+p.secure, "127.0.0.5 by https")
		ctx, cancel := context.WithTimeout(t.Context(), 3*idle)
		_, _, err := c.Read(ctx)
		cancel()
		if held := errors.Is(err, context.DeadlineExceeded); held != (ping > 0) {
			t.Errorf("pinged every %v: %v", ping, err)
		}
		if ping > 0 {
			write(t, c, ws.Text, []byte("still there"))
			wantMessage(t, c, ws.Text, []byte("still there"))
		}
	}
}

// testKilled kills the proxy under a client that stays connected, and starts it again.
func testKilled(t *testing.T, cert certificate, newProxy proxyMaker) {
	server := newBackend(t, idle/4)
	p := newProxy(t, cert, server.addr, idle.String())
	running := p.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r := ws.Redialer{URL: "ws://" + p.plain, MinBackoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond}
	connected := 0
	for c, err := range r.Conns(ctx) {
		var retry *ws.Retry
		switch {
		case errors.As(err, &retry):
			if retry.Attempt == 1 && ws.CloseStatus(err) != ws.StatusAbnormal {
				t.Errorf("lost by %v", err)
			}
			if retry.Attempt == 2 { // nobody is there
				waitGone(t, server)
				running = p.start(t)
			}
			continue
		case err != nil:
			t.Fatal(err)
		}
		wantMessage(t, c, ws.Text, []byte("127.0.0.1 by http"))
		if connected++; connected == 2 {
			break
		}
		running.kill()
		_, _, _ = c.Read(ctx)
	}
	if connected != 2 {
		t.Errorf("connected %d times", connected)
	}
}

// waitGone waits until the server knows that its clients have gone.
func waitGone(t *testing.T, server *backend) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); server.Stats().Live > 0; {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the server still has connections")
		}
	}
}
