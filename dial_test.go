package ws_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/internal/handshake"
	"github.com/tidewire/ws/wstest"
)

// dialer is a function for DialOptions that goes to addr whatever it is asked for.
func dialer(network, addr string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

// dialEcho dials an echo, checks that it is one, and drops the connection.
func dialEcho(t *testing.T, url string, o *ws.DialOptions) *http.Response {
	t.Helper()
	c, resp, err := ws.Dial(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	checkEcho(t, c)
	return resp
}

func checkEcho(t *testing.T, c *ws.Conn) {
	t.Helper()
	defer c.CloseNow()
	ctx := t.Context()
	if err := c.Write(ctx, ws.Text, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if typ, p, err := c.Read(ctx); err != nil || typ != ws.Text || string(p) != "hello" {
		t.Fatalf("got %v %q, %v", typ, p, err)
	}
}

func TestDialSchemes(t *testing.T) {
	plain := httptest.NewServer(&ws.Handler{Serve: echo})
	defer plain.Close()
	secure := httptest.NewUnstartedServer(&ws.Handler{Serve: echo})
	secure.EnableHTTP2 = true // must not be what Dial agrees on
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	trusting := secure.Client().Transport.(*http.Transport).TLSClientConfig
	trusting.NextProtos = []string{"h2"}
	for scheme, srv := range map[string]*httptest.Server{"ws": plain, "http": plain, "wss": secure, "https": secure} {
		t.Run(scheme, func(t *testing.T) {
			resp := dialEcho(t, scheme+"://"+srv.Listener.Addr().String(), &ws.DialOptions{TLSConfig: trusting})
			if resp.StatusCode != 101 {
				t.Errorf("response %v", resp)
			}
		})
	}
	if len(trusting.NextProtos) != 1 || trusting.ServerName != "" {
		t.Error("the caller's TLSConfig was changed")
	}
	t.Run("unknown certificate", func(t *testing.T) {
		var unknown *tls.CertificateVerificationError
		if _, _, err := ws.Dial(t.Context(), secure.URL, nil); !errors.As(err, &unknown) {
			t.Errorf("got %v", err)
		}
	})
}

func TestDialUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: &ws.Handler{Serve: echo}}}
	srv.Start()
	defer srv.Close()
	dialEcho(t, "ws://app.example/", &ws.DialOptions{NetDialContext: dialer("unix", path)})
}

func TestDialNetDialTLS(t *testing.T) {
	srv := httptest.NewServer(&ws.Handler{Serve: echo})
	defer srv.Close()
	var got string
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		got = network + " " + addr
		return dialer("tcp", srv.Listener.Addr().String())(ctx, network, addr)
	}
	dialEcho(t, "wss://app.example/", &ws.DialOptions{NetDialTLSContext: dial})
	if got != "tcp app.example:443" {
		t.Errorf("dialled %s", got)
	}
}

// TestDialRequest compares what a server sees with what was asked for.
func TestDialRequest(t *testing.T) {
	tests := []struct {
		name, url string
		opts      ws.DialOptions
		target    string
		want      http.Header // with Host; only these are compared
	}{
		{name: "plainest", url: "ws://h.example", target: "/", want: http.Header{
			"Host": {"h.example"}, "Sec-Websocket-Version": {"13"}, "User-Agent": {"tidewire-ws"}, "Authorization": nil, "Cookie": nil,
			"Origin": nil, "Sec-Websocket-Protocol": nil, "Sec-Websocket-Extensions": nil,
		}},
		{name: "path and query", url: "ws://h.example:8080/a%20b?c=d&e", target: "/a%20b?c=d&e", want: http.Header{"Host": {"h.example:8080"}}},
		{name: "query alone", url: "ws://h.example?a", target: "/?a"},
		{name: "empty port", url: "ws://h.example:/", target: "/", want: http.Header{"Host": {"h.example"}}},
		{name: "IPv6", url: "ws://[::1]:8080/", target: "/", want: http.Header{"Host": {"[::1]:8080"}}},
		{name: "IPv6 with zone", url: "ws://[fe80::1%25lo]:8080/", target: "/", want: http.Header{"Host": {"[fe80::1]:8080"}}},
		{name: "credential", url: "ws://Aladdin:open%20sesame@h.example/", target: "/", // RFC 7617 2
			want: http.Header{"Host": {"h.example"}, "Authorization": {"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}}},
		{name: "credential in both", url: "ws://a:b@h.example/", target: "/", want: http.Header{"Authorization": {"Bearer x"}},
			opts: ws.DialOptions{Header: http.Header{"authorization": {"Bearer x"}}}},
		{name: "options", url: "ws://h.example/", target: "/",
			opts: ws.DialOptions{Host: "other.example", Subprotocols: []string{"b", "a"}, Header: http.Header{
				"Origin": {"https://o.example"}, "User-Agent": {"mine"}, "x-twice": {"1", "2"}}},
			want: http.Header{"Host": {"other.example"}, "Origin": {"https://o.example"}, "User-Agent": {"mine"},
				"X-Twice": {"1", "2"}, "Sec-Websocket-Protocol": {"b, a"}}},
		{name: "no User-Agent", url: "ws://h.example/", target: "/", opts: ws.DialOptions{Header: http.Header{"User-Agent": nil}},
			want: http.Header{"User-Agent": nil}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			seen := make(chan *http.Request, 1)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen <- r
				http.Error(w, "no", http.StatusTeapot)
			}))
			defer srv.Close()
			tt.opts.NetDialContext = dialer("tcp", srv.Listener.Addr().String())
			if _, _, err := ws.Dial(t.Context(), tt.url, &tt.opts); err == nil {
				t.Error("no error")
			}
			r := <-seen
			if _, err := handshake.CheckRequest(r); err != nil {
				t.Error(err)
			}
			if r.RequestURI != tt.target {
				t.Errorf("target %q, want %q", r.RequestURI, tt.target)
			}
			r.Header.Set("Host", r.Host)
			for name, want := range tt.want {
				if got := r.Header[name]; fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestDialRefusesBeforeConnecting(t *testing.T) {
	tests := []struct {
		url  string
		opts ws.DialOptions
		err  string
	}{
		{"", ws.DialOptions{}, `scheme "" is none of`},
		{"h.example/ws", ws.DialOptions{}, `scheme "" is none of`},
		{"ftp://h.example/", ws.DialOptions{}, `scheme "ftp" is none of ws, wss, http, https`},
		{"ws:///chat", ws.DialOptions{}, "no host"},
		{"ws:opaque", ws.DialOptions{}, "no host"},
		{"ws://:80/", ws.DialOptions{}, "no host"},
		{"ws://h.example/#top", ws.DialOptions{}, "fragment"},
		{"ws://me:secret@h.example:x/", ws.DialOptions{}, "invalid port"},
		{"ws://bücher.example/", ws.DialOptions{}, "punycode"},
		{"ws://h.example/?a b", ws.DialOptions{}, "percent-encoded"},
		{"ws://h.example/?secret", ws.DialOptions{Header: http.Header{"X": {"a\r\nb"}}}, "control character"},
		{"ws://h.example/", ws.DialOptions{Header: http.Header{"Sec-WebSocket-Protocol": {"a"}}}, "set by the handshake"},
		{"ws://h.example/", ws.DialOptions{Subprotocols: []string{"a b"}}, "no token"},
		{"ws://h.example/", ws.DialOptions{Host: "a\nb"}, "can't be sent"},
		{"ws://h.example/", ws.DialOptions{Proxy: func(*http.Request) (*url.URL, error) { return nil, io.ErrNoProgress }}, "choosing the proxy"},
	}
	for _, tt := range tests {
		tt.opts.NetDialContext = func(context.Context, string, string) (net.Conn, error) {
			t.Errorf("%s: dialled", tt.url)
			return nil, io.EOF
		}
		c, resp, err := ws.Dial(t.Context(), tt.url, &tt.opts)
		if err == nil || !strings.Contains(err.Error(), tt.err) || c != nil || resp != nil {
			t.Errorf("%s: got %v, %v; want %q", tt.url, resp, err, tt.err)
			continue
		}
		if !strings.HasPrefix(err.Error(), "ws: dial") || strings.Count(err.Error(), "ws: ") != 1 || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", tt.url, err)
		}
	}
}

// answer is a server that reads one handshake and writes a text, in which $ACCEPT stands for the key's answer, and closes when
// the client does.
func answer(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		r, err := http.ReadRequest(bufio.NewReader(nc))
		if err != nil {
			return
		}
		accept := handshake.AppendAcceptKey(nil, r.Header.Get("Sec-WebSocket-Key"))
		io.WriteString(nc, strings.ReplaceAll(text, "$ACCEPT", string(accept)))
		io.Copy(io.Discard, nc)
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return "ws://" + l.Addr().String()
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: $ACCEPT\r\n"

// TestDialKeepsEarlyBytes has messages come in one write with the response.
func TestDialKeepsEarlyBytes(t *testing.T) {
	long := strings.Repeat("x", 20_000) // does not fit into any buffer of the handshake's
	frames := "\x81\x05hello" + "\x81\x7e\x4e\x20" + long
	for name, head := range map[string]string{
		"final":   switching,
		"interim": "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + switching,
	} {
		t.Run(name, func(t *testing.T) {
			c, _, err := ws.Dial(t.Context(), answer(t, head+"\r\n"+frames), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			for _, want := range []string{"hello", long} {
				if _, p, err := c.Read(t.Context()); err != nil || string(p) != want {
					t.Errorf("got %d bytes, %v; want %d", len(p), err, len(want))
				}
			}
		})
	}
}

func TestDialBadResponse(t *testing.T) {
	tests := []struct {
		name, text string
		status     int // 0: no response
		err        string
	}{
		{"200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, `answered "200 OK" to the handshake`},
		{"403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403, `"403 Forbidden"`},
		{"redirect", "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", 302, "MaxRedirects"},
		{"no Upgrade", "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: $ACCEPT\r\n\r\n", 101, "Upgrade header"},
		{"wrong key", strings.Replace(switching, "$ACCEPT", "x", 1) + "\r\n", 101, "Sec-WebSocket-Accept"},
		{"subprotocol", switching + "Sec-WebSocket-Protocol: b\r\n\r\n", 101, "Sec-WebSocket-Protocol"},
		{"extension", switching + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 101, "Sec-WebSocket-Extensions"},
		{"header bomb", "HTTP/1.1 101 S\r\n" + strings.Repeat("X: y\r\n", 20_000), 0, "more than 65536 bytes"},
		{"no HTTP", "SSH-2.0\r\n\r\n", 0, "malformed HTTP"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, resp, err := ws.Dial(t.Context(), answer(t, tt.text)+"/?secret", &ws.DialOptions{Subprotocols: []string{"a"}})
			if c != nil || err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %q", err, tt.err)
			}
			if (resp == nil) != (tt.status == 0) || resp != nil && resp.StatusCode != tt.status {
				t.Errorf("got response %v, want %d", resp, tt.status)
			}
		})
	}
}

func TestDialServerCloses(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		nc.Close()
	}))
	defer srv.Close()
	if _, resp, err := ws.Dial(t.Context(), srv.URL, nil); !errors.Is(err, io.ErrUnexpectedEOF) || resp != nil {
		t.Errorf("got %v, %v", resp, err)
	}
}

func TestDialFailureBody(t *testing.T) {
	long := strings.Repeat("0123456789", 500)
	tests := []struct{ name, text, want string }{
		{"short", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nlogin", "login"},
		{"long", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 5000\r\n\r\n" + long, long[:1024]},
		{"chunked", "HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nlog\r\n2\r\nin\r\n0\r\n\r\n", "login"},
		{"none", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, resp, err := ws.Dial(t.Context(), answer(t, tt.text), nil)
			if err == nil || resp == nil {
				t.Fatalf("got %v, %v", resp, err)
			}
			if body, err := io.ReadAll(resp.Body); err != nil || string(body) != tt.want {
				t.Errorf("got %d bytes %q, %v", len(body), body, err)
			}
		})
	}
}

// TestDialBodyThatDoesNotCome must not wait for more than a second.
func TestDialBodyThatDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := wstest.Pipe()
		defer server.Close()
		go func() {
			http.ReadRequest(bufio.NewReader(server))
			io.WriteString(server, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100\r\n\r\nsorry")
		}()
		start := time.Now()
		_, resp, err := ws.Dial(t.Context(), "ws://h.example/", &ws.DialOptions{
			NetDialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil },
		})
		if err == nil || resp == nil || time.Since(start) > time.Second {
			t.Fatalf("after %v: %v, %v", time.Since(start), resp, err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "sorry" {
			t.Errorf("got %q, %v", body, err)
		}
	})
}

// TestDialTimeout has a server that says nothing, in plaintext and where TLS is expected.
func TestDialTimeout(t *testing.T) {
	tests := []struct {
		name  string
		limit time.Duration // the option
		ctx   time.Duration // 0: no deadline
		want  time.Duration
		hint  bool
	}{
		{"default", 0, 0, 30 * time.Second, true},
		{"option", time.Minute, 0, time.Minute, true},
		{"context", 0, 5 * time.Second, 5 * time.Second, false},
		{"no limit but the context", -1, time.Hour, time.Hour, false},
	}
	for _, scheme := range []string{"ws", "wss"} {
		for _, tt := range tests {
			t.Run(scheme+" "+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					client, server := wstest.Pipe()
					defer server.Close()
					ctx := t.Context()
					if tt.ctx > 0 {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, tt.ctx)
						defer cancel()
					}
					start := time.Now()
					_, _, err := ws.Dial(ctx, scheme+"://h.example/", &ws.DialOptions{HandshakeTimeout: tt.limit,
						NetDialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil }})
					if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != tt.want {
						t.Errorf("after %v: %v; want it after %v", time.Since(start), err, tt.want)
					}
					if hint := strings.Contains(err.Error(), "HandshakeTimeout"); hint != tt.hint {
						t.Errorf("got %v", err)
					}
					if _, err := io.Copy(io.Discard, server); err != nil {
						t.Errorf("the connection was not closed: %v", err)
					}
				})
			})
		}
	}
}

type valueKey struct{}

func TestDialContextHasNoHoldAfterwards(t *testing.T) {
	srv := httptest.NewServer(&ws.Handler{Serve: echo})
	defer srv.Close()
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), valueKey{}, "kept"))
	c, _, err := ws.Dial(ctx, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if c.Context().Err() != nil || c.Context().Value(valueKey{}) != "kept" {
		t.Errorf("connection's context: %v, value %v", c.Context().Err(), c.Context().Value(valueKey{}))
	}
	checkEcho(t, c)
}

func TestDialSubprotocol(t *testing.T) {
	srv := httptest.NewServer(&ws.Handler{Serve: echo, Options: ws.Options{Subprotocols: []string{"v2", "v1"}}})
	defer srv.Close()
	c, resp, err := ws.Dial(t.Context(), srv.URL, &ws.DialOptions{Subprotocols: []string{"v1", "v2"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Subprotocol() != "v2" || resp.Header.Get("Sec-WebSocket-Protocol") != "v2" {
		t.Errorf("got %q, %v", c.Subprotocol(), resp.Header)
	}
	checkEcho(t, c)
}

// TestDialCompression looks for what both ends want in the agreement, and at a message's length on the wire.
func TestDialCompression(t *testing.T) {
	const off, alone, takeover = ws.CompressionOff, ws.CompressionNoTakeover, ws.CompressionTakeover
	tests := []struct {
		client, server ws.CompressionMode
		bits           int
		want           string // Sec-WebSocket-Extensions of the response
	}{
		{off, takeover, 0, ""},
		{takeover, off, 0, ""},
		// Without a setting each end asks the other to keep to a window of 8 KiB.
		{takeover, takeover, 0, "permessage-deflate; server_max_window_bits=13; client_max_window_bits=13"},
		{alone, takeover, 0, "permessage-deflate; server_no_context_takeover; client_no_context_takeover; " +
			"server_max_window_bits=13; client_max_window_bits=13"},
		{takeover, takeover, 10, "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d to %d with %d bits", tt.client, tt.server, tt.bits), func(t *testing.T) {
			srv := httptest.NewServer(&ws.Handler{Serve: echo, Options: ws.Options{Compression: tt.server}})
			defer srv.Close()
			var read atomic.Int64
			c, resp, err := ws.Dial(t.Context(), srv.URL, &ws.DialOptions{Compression: tt.client, CompressionWindowBits: tt.bits,
				NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					nc, err := new(net.Dialer).DialContext(ctx, network, addr)
					return countingConn{nc, &read}, err
				}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != tt.want {
				t.Errorf("agreed on %q, want %q", got, tt.want)
			}
			before, text := read.Load(), strings.Repeat("hello ", 1000)
			if err := c.Write(t.Context(), ws.Text, []byte(text)); err != nil {
				t.Fatal(err)
			}
			if _, p, err := c.Read(t.Context()); err != nil || string(p) != text {
				t.Fatalf("got %d bytes, %v", len(p), err)
			}
			if n := int(read.Load() - before); (n < len(text)/2) != (tt.want != "") {
				t.Errorf("%d bytes on the wire", n)
			}
		})
	}
}

type countingConn struct {
	net.Conn
	read *atomic.Int64
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func TestDialJar(t *testing.T) {
	srv := httptest.NewServer(&ws.Handler{Serve: echo, Options: ws.Options{Header: http.Header{"Set-Cookie": {"fresh=1"}}},
		Configure: func(r *http.Request, _ *ws.Options) error {
			if got := r.Header.Get("Cookie"); got != "mine=0; session=x" {
				return ws.Refuse(http.StatusUnauthorized, "got "+got)
			}
			return nil
		}})
	defer srv.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	jar.SetCookies(u, []*http.Cookie{{Name: "session", Value: "x"}})
	dialEcho(t, "ws://"+u.Host, &ws.DialOptions{Jar: jar, Header: http.Header{"Cookie": {"mine=0"}}})
	if got := jar.Cookies(u); len(got) != 2 || got[1].String() != "fresh=1" {
		t.Errorf("jar has %v", got)
	}
}
