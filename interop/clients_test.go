package interop

import (
	"slices"
	"strings"
	"testing"
)

// What the clients in peers/ try.
var (
	everyClient = []string{"echo", "many", "compression", "subprotocol", "pinged", "closes", "closed", "tooBig", "otherOrigin"}
	byNode      = append(slices.Clone(everyClient), "fragments", "ping", "invalidText")
	byPython    = append(slices.Clone(everyClient), "fragments", "ping")
)

// endpoint is where our server is reached.
type endpoint struct {
	*ourServer
	url    string // ws or wss
	origin string // that of its own pages
}

// TestClients: other implementations' clients, with our server, by each way to it.
func TestClients(t *testing.T) {
	cert := newCertificate(t)
	ways := map[string]func(t *testing.T) endpoint{
		"plain": func(t *testing.T) endpoint {
			s := startServer(t, nil)
			return endpoint{s, "ws://" + s.addr, "http://" + s.addr}
		},
		"tls": func(t *testing.T) endpoint {
			s := startServer(t, cert.server)
			return endpoint{s, "wss://" + s.addr, "https://" + s.addr}
		},
		"nginx": func(t *testing.T) endpoint {
			s := startServer(t, nil)
			plain, _ := startNginx(t, cert, s.addr)
			return endpoint{s, "ws://" + plain, "http://" + plain}
		},
		"nginx-tls": func(t *testing.T) endpoint {
			s := startServer(t, nil)
			_, secure := startNginx(t, cert, s.addr)
			return endpoint{s, "wss://" + secure, "https://" + secure}
		},
	}
	for name, reach := range ways {
		t.Run(name, func(t *testing.T) {
			t.Setenv("NODE_EXTRA_CA_CERTS", cert.certFile)
			t.Setenv("SSL_CERT_FILE", cert.certFile)
			t.Run("node", func(t *testing.T) {
				e := reach(t)
				runClient(t, e, byNode, node(t), "peers/client.mjs", e.url, e.origin)
			})
			t.Run("python", func(t *testing.T) {
				e := reach(t)
				runClient(t, e, byPython, python(t), "peers/client.py", e.url, e.origin)
			})
			t.Run("chromium", func(t *testing.T) {
				browser := chromium(t)
				e := reach(t)
				runClient(t, e, everyClient, node(t), "peers/client-browser.mjs", e.url, e.origin, browser)
			})
			t.Run("ours", func(t *testing.T) {
				e := reach(t)
				ourClient{url: e.url, tls: cert.client, closed: e.nextClosed}.run(t)
				ourClient{url: e.url, tls: cert.client, closed: e.nextClosed}.runOtherOrigin(t)
			})
		})
	}
}

// runClient runs a client of peers/ and wants it to try these things with success.
func runClient(t *testing.T, e endpoint, want []string, program string, args ...string) {
	t.Helper()
	p := start(t, program, args...)
	left := slices.Clone(want)
	for {
		line, ok := p.line()
		if !ok {
			break
		}
		name, good := strings.CutPrefix(line, "ok ")
		if i := slices.Index(left, name); good && i >= 0 {
			left = slices.Delete(left, i, i+1)
		} else {
			t.Error(line)
		}
	}
	p.succeeds()
	if len(left) > 0 {
		t.Errorf("not done: %v", left)
	}
	if got := e.nextClosed(t); got != "4001 tschüß" {
		t.Errorf("the server saw the client close with %s", got)
	}
}

// nextClosed returns what the next client at /observe closed with.
func (s *ourServer) nextClosed(t *testing.T) string {
	t.Helper()
	select {
	case c := <-s.closed:
		return c
	case <-t.Context().Done():
		t.Fatal("nobody has closed")
		return ""
	}
}
