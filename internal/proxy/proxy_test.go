package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/tidewire/ws/internal/proxy"
)

// TestMain sets the environment that http.ProxyFromEnvironment reads once in a process's life.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"HTTP_PROXY": "http://plain.example:3128", "HTTPS_PROXY": "socks5://secure.example", "NO_PROXY": "direct.example", "REQUEST_METHOD": "",
	} {
		os.Setenv(name, value)
		os.Unsetenv(strings.ToLower(name))
	}
	os.Exit(m.Run())
}

func TestFromEnvironment(t *testing.T) {
	tests := []struct{ url, want string }{
		{"ws://example.com/", "http://plain.example:3128"},
		{"http://example.com/", "http://plain.example:3128"},
		{"wss://example.com/", "socks5://secure.example"},
		{"https://example.com/", "socks5://secure.example"},
		{"ws://direct.example/", ""},
		{"ws://localhost/", ""},
		{"wss://127.0.0.1/", ""},
	}
	for _, tt := range tests {
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		got, err := proxy.FromEnvironment(u)
		if err != nil || (got == nil) != (tt.want == "") || got != nil && got.String() != tt.want {
			t.Errorf("%s: got %v, %v; want %q", tt.url, got, err, tt.want)
		}
		if u.String() != tt.url {
			t.Errorf("%s was changed to %s", tt.url, u)
		}
	}
}

// listen serves connections on loopback until the test ends, and waits for the handlers then.
func listen(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, handle)
	return l.Addr().String()
}

func serve(t *testing.T, l net.Listener, handle func(net.Conn)) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
}

func echo(c net.Conn) { io.Copy(c, c) }

// relay copies both ways between c and a new connection to addr, beginning with what br has read of c.
func relay(c net.Conn, br io.Reader, addr string) {
	to, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		io.Copy(to, br)
		to.(*net.TCPConn).CloseWrite()
	})
	io.Copy(c, to)
	c.Close()
	wg.Wait()
	to.Close()
}

// checkTunnel sends something through c and wants it back.
func checkTunnel(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, c, len("hello")); got != "hello" {
		t.Errorf("got %q back", got)
	}
}

func receive(t *testing.T, c net.Conn, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// dial goes through the proxy at rawURL to addr; the connection is closed with the test.
func dial(t *testing.T, ctx context.Context, d proxy.Dialer, rawURL, addr string) (net.Conn, error) {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.DialContext(ctx, u, addr)
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

// connectProxy is an honest HTTP proxy. It tells seen of each request.
func connectProxy(seen chan<- *http.Request) func(net.Conn) {
	return func(c net.Conn) {
		br := bufio.NewReader(c)
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		seen <- r
		io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
		relay(c, br, r.Host)
	}
}

func TestConnect(t *testing.T) {
	tests := []struct{ name, user, auth string }{
		{"bare", "", ""},
		{"user and password", "Aladdin:open%20sesame@", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, // RFC 7617 2
		{"user alone", "Aladdin@", "Basic QWxhZGRpbjo="},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			to := listen(t, echo)
			seen := make(chan *http.Request, 1)
			c, err := dial(t, t.Context(), proxy.Dialer{}, "http://"+tt.user+listen(t, connectProxy(seen)), to)
			if err != nil {
				t.Fatal(err)
			}
			r := <-seen
			if r.Method != "CONNECT" || r.RequestURI != to || r.Host != to || r.Header.Get("Proxy-Authorization") != tt.auth {
				t.Errorf("got %s %s for host %s with %v", r.Method, r.RequestURI, r.Host, r.Header)
			}
			checkTunnel(t, c)
		})
	}
}

func TestConnectOverTLS(t *testing.T) {
	to := listen(t, echo)
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	defer cert.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", cert.TLS)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, connectProxy(make(chan *http.Request, 2)))
	trusting := cert.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trusting.ServerName = "behind.example" // not the proxy's
	trusting.NextProtos = []string{"h2"}

	c, err := dial(t, t.Context(), proxy.Dialer{TLS: trusting}, "https://"+l.Addr().String(), to)
	if err != nil {
		t.Fatal(err)
	}
	checkTunnel(t, c)
	if trusting.ServerName != "behind.example" {
		t.Error("the caller's configuration was changed")
	}

	var unknown *tls.CertificateVerificationError
	if _, err := dial(t, t.Context(), proxy.Dialer{}, "https://"+l.Addr().String(), to); !errors.As(err, &unknown) {
		t.Errorf("an unknown certificate: %v", err)
	}
}

// scripted answers the first request with a text, and is an echo from then on.
func scripted(answer string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		io.WriteString(c, answer)
		echo(c)
	}
}

func TestConnectKeepsEarlyBytes(t *testing.T) {
	tests := []struct{ name, head string }{
		{"plain", "HTTP/1.1 200 OK\r\n\r\n"},
		{"another success", "HTTP/1.1 204 Fine\r\n\r\n"},
		{"interim responses", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"},
		{"a length that means nothing", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"},
		{"chunks that are none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n"},
	}
	early := strings.Repeat("0123456789", 300)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := dial(t, t.Context(), proxy.Dialer{}, "http://"+listen(t, scripted(tt.head+early)), "example.com:80")
			if err != nil {
				t.Fatal(err)
			}
			if got := receive(t, c, 7) + receive(t, c, len(early)-7); got != early {
				t.Errorf("got %q", got)
			}
			checkTunnel(t, c)
		})
	}
}

func TestConnectRefused(t *testing.T) {
	tests := []struct{ name, answer, err string }{
		{"407", "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", `CONNECT to example.com:80 with "407 Proxy Authentication Required"`},
		{"502", "HTTP/1.1 502 Bad Gateway\r\n\r\n", `"502 Bad Gateway"`},
		{"redirect", "HTTP/1.1 302 Found\r\nLocation: http://evil.example\r\n\r\n", `"302 Found"`},
		{"huge field", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 20_000), "more than 16384 bytes"},
		{"many fields", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 4000), "more than 16384 bytes"},
		{"endless line", strings.Repeat("x", 20_000), "more than 16384 bytes"},
		{"interim for ever", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 10), "too many interim responses"},
		{"switching", "HTTP/1.1 101 Switching Protocols\r\n\r\n", `"101 Switching Protocols"`},
		{"no HTTP", "SSH-2.0-OpenSSH\r\n\r\n", "malformed HTTP"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := listen(t, scripted(tt.answer))
			_, err := dial(t, t.Context(), proxy.Dialer{}, "http://me:secret@"+addr, "example.com:80")
			checkError(t, err, tt.err, addr)
		})
	}
}

// checkError wants an error that says what went wrong, at which proxy, and nothing of its password.
func checkError(t *testing.T, err error, want, addr string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("got %v, want %q", err, want)
	}
	if !strings.HasPrefix(err.Error(), "proxy "+addr+": ") || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestConnectCut(t *testing.T) {
	for _, part := range []string{"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nX: y\r\n"} {
		addr := listen(t, func(c net.Conn) {
			http.ReadRequest(bufio.NewReader(c))
			io.WriteString(c, part)
		})
		_, err := dial(t, t.Context(), proxy.Dialer{}, "http://"+addr, "example.com:80")
		checkError(t, err, "answer to CONNECT: connection closed instead of a response", addr)
	}
}

// TestContextBoundsTheDial ends the context while a proxy keeps silent at one of its turns.
func TestContextBoundsTheDial(t *testing.T) {
	tests := []struct {
		scheme string
		turns  string // what the proxy says before it falls silent
	}{
		{"http", ""},
		{"http", "HTTP/1.1 200 OK\r\nX: "},
		{"https", ""},
		{"socks5", ""},
		{"socks5", "\x05"},
		{"socks5", "\x05\x00"},
	}
	for _, tt := range tests {
		t.Run(tt.scheme, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			closed := make(chan error, 1)
			addr := listen(t, func(c net.Conn) {
				c.Read(make([]byte, 1))
				io.WriteString(c, tt.turns)
				cancel()
				_, err := io.Copy(io.Discard, c)
				closed <- err
			})
			_, err := dial(t, ctx, proxy.Dialer{}, tt.scheme+"://"+addr, "example.com:80")
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			<-closed // the connection was not leaked
		})
	}
}

func TestContextBoundsNothingAfterwards(t *testing.T) {
	for scheme, handle := range map[string]func(net.Conn){
		"http":   connectProxy(make(chan *http.Request, 1)),
		"socks5": (&socksProxy{}).handle,
	} {
		t.Run(scheme, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			c, err := dial(t, ctx, proxy.Dialer{}, scheme+"://"+listen(t, handle), listen(t, echo))
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			checkTunnel(t, c)
		})
	}
}

func TestDialerReachesTheProxy(t *testing.T) {
	errNo := errors.New("no")
	tests := []struct{ proxy, want string }{
		{"http://p.example", "p.example:80"},
		{"https://p.example", "p.example:443"},
		{"socks5://p.example", "p.example:1080"},
		{"socks5h://p.example", "p.example:1080"},
		{"http://p.example:3128", "p.example:3128"},
		{"http://[::1]:3128", "[::1]:3128"},
	}
	for _, tt := range tests {
		var got string
		d := proxy.Dialer{Dial: func(_ context.Context, network, addr string) (net.Conn, error) {
			got = network + " " + addr
			return nil, errNo
		}}
		if _, err := dial(t, t.Context(), d, tt.proxy, "example.com:80"); !errors.Is(err, errNo) || got != "tcp "+tt.want {
			t.Errorf("%s: got %v for %q", tt.proxy, err, got)
		}
	}
}

func TestRefusedBeforeDialling(t *testing.T) {
	d := proxy.Dialer{Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("dialled")
		return nil, io.EOF
	}}
	tests := []struct{ proxy, addr, err string }{
		{"ftp://p.example", "example.com:80", `scheme "ftp" is not supported`},
		{"socks4://p.example", "example.com:80", `scheme "socks4" is not supported`},
		{"http://p.example", "example.com", "missing port"},
		{"http://p.example", "example.com:http", "is no number"},
		{"http://p.example", "a\r\nEvil:80", "can't be asked for"},
		{"socks5://p.example", "bücher.example:80", "punycode"},
	}
	for _, tt := range tests {
		_, err := dial(t, t.Context(), d, tt.proxy, tt.addr)
		checkError(t, err, tt.err, "p.example")
	}
}

func TestProxyIsNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, err = dial(t, t.Context(), proxy.Dialer{}, "http://"+addr, "example.com:80")
	checkError(t, err, "connection refused", addr)
}
