package ws_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	chi "github.com/go-chi/chi/v5/middleware"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/middleware"
	"github.com/tidewire/ws/wstest"
)

// accepting upgrades by hand, echoes, and says how Accept went.
func accepting(o *ws.AcceptOptions, errs chan<- error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, o)
		errs <- err
		if err == nil {
			_ = echo(c.Context(), c)
			_ = c.Close(context.Background(), ws.StatusNormal, "")
		}
	})
}

// ways runs a test over each way to upgrade. The error is Accept's, and always
// one for a Handler, which has nobody to return it to.
func ways(t *testing.T, o ws.Options, test func(t *testing.T, h http.Handler, acceptError func() error)) {
	none := func() error { return nil }
	t.Run("serve", func(t *testing.T) { test(t, &ws.Handler{Serve: echo, Options: o}, none) })
	t.Run("events", func(t *testing.T) { test(t, &ws.Handler{Events: echoMessage, Options: o}, none) })
	t.Run("accept", func(t *testing.T) {
		errs := make(chan error, 10)
		test(t, accepting(&o, errs), func() error { return <-errs })
	})
}

// TestRefusals: what's wrong, and what to do about it, is in the response.
func TestRefusals(t *testing.T) {
	with := func(field string) string { return goodLines + "|" + field }
	without := func(field string) string {
		i := strings.Index(goodLines, "|"+field)
		rest := goodLines[i+1:]
		if end := strings.IndexByte(rest, '|'); end >= 0 {
			return goodLines[:i] + rest[end:]
		}
		return goodLines[:i]
	}
	instead := func(line, by string) string { return strings.Replace(goodLines, line, by, 1) }
	upgradeHeader := []string{"Upgrade: websocket", "Connection: Upgrade", "Sec-Websocket-Version: 13"} // RFC 9110 15.5.22, RFC 6455 4.4
	tests := []struct {
		name, lines string
		opts        ws.Options
		status      int
		header      []string
		text        string
	}{
		{name: "a visitor", lines: "GET / HTTP/1.1|Host: site.example", status: 426, header: upgradeHeader, text: "this is a websocket endpoint"},
		{name: "HTTP/1.0", lines: instead("HTTP/1.1", "HTTP/1.0"), status: 426, header: []string{"Upgrade: websocket", "Sec-Websocket-Version: 13"}, text: "proxy_http_version 1.1"},
		{name: "no Connection", lines: without("Connection"), status: 426, header: upgradeHeader, text: "a proxy in front must forward"},
		{name: "no Upgrade", lines: without("Upgrade"), status: 426, header: upgradeHeader, text: "a proxy in front must forward"},
		{name: "no version", lines: without("Sec-WebSocket-Version"), status: 426, header: upgradeHeader, text: "speaks version 13"},
		{name: "version 8", lines: instead("Version: 13", "Version: 8"), status: 426, header: upgradeHeader, text: `"8" is not supported`},
		{name: "two versions", lines: with("Sec-WebSocket-Version: 13"), status: 400, text: "more than once"},
		{name: "no key", lines: without("Sec-WebSocket-Key"), status: 400, text: "came 0 times"},
		{name: "two keys", lines: with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), status: 400, text: "came 2 times"},
		{name: "bad key", lines: instead("dGhlIHNhbXBsZSBub25jZQ==", "secret"), status: 400, text: "16 bytes in base64"},
		{name: "POST", lines: instead("GET", "POST"), status: 405, header: []string{"Allow: GET"}, text: `not "POST"`},
		{name: "a body", lines: with("Content-Length: 5"), status: 400, text: "must not have a body"},
		{name: "a chunked body", lines: with("Transfer-Encoding: chunked"), status: 400, text: "must not have a body"},
		{name: "empty Host", lines: instead("Host: site.example", "Host:"), status: 400, text: "no Host header"},
		{name: "foreign origin", lines: with("Origin: https://evil.example"), status: 403,
			text: `origin "https://evil.example" may not connect to host "site.example": allow it in Options.Origins, or, behind a proxy, forward the Host header`},
		{name: "origin null", lines: with("Origin: null"), status: 403, text: `"null" is never allowed`},
		{name: "two origins", lines: with("Origin: http://site.example|Origin: http://site.example"), status: 403, text: "several Origin headers"},
		{name: "subprotocol", lines: with("Origin: http://site.example|Sec-WebSocket-Protocol: a, b"), opts: ws.Options{Subprotocols: []string{"c"}},
			status: 400, text: `none of the offered subprotocols "a, b", and browsers fail a connection that chooses none: offer one of ["c"] or none`},
		{name: "bad subprotocol", lines: with("Sec-WebSocket-Protocol: a b"), status: 400, text: "no token"},
		{name: "subprotocol twice", lines: with("Sec-WebSocket-Protocol: a|Sec-WebSocket-Protocol: a"), status: 400, text: "twice"},
		{name: "bad extensions", lines: with("Sec-WebSocket-Extensions: a b c"), status: 400, text: "Sec-WebSocket-Extensions"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var book logbook
			tt.opts.Logger = book.logger()
			ways(t, tt.opts, func(t *testing.T, h http.Handler, acceptError func() error) {
				s := inMemory(t, h)
				resp, body, _ := s.ask(tt.lines, "0\r\n\r\n") // a whole body of no chunks, too
				if resp.StatusCode != tt.status || !strings.Contains(body, tt.text) || strings.Count(body, "\n") != 1 {
					t.Errorf("got %d %q, want %d and %q", resp.StatusCode, body, tt.status, tt.text)
				}
				want := append(tt.header, "Content-Type: text/plain; charset=utf-8", "X-Content-Type-Options: nosniff")
				for _, field := range want {
					if name, value, _ := strings.Cut(field, ": "); resp.Header.Get(name) != value {
						t.Errorf("%s: %q, want %q", name, resp.Header[name], value)
					}
				}
				if resp.Header.Get("Sec-Websocket-Accept") != "" {
					t.Error("refused and accepted")
				}
				if err := acceptError(); err != nil && err.Error() != fmt.Sprintf("ws: accept: refused with %d: %s", tt.status, strings.TrimSpace(body)) {
					t.Errorf("Accept's error: %v", err)
				}
				s.log.expect(t)
			})
			book.expect(t) // a client's fault is nothing for the server's log
		})
	}
}

// TestRefusedOverHTTP2 asks as a browser does that has an HTTP/2 connection.
func TestRefusedOverHTTP2(t *testing.T) {
	srv := httptest.NewUnstartedServer(&ws.Handler{Serve: echo})
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusHTTPVersionNotSupported || err != nil || !strings.Contains(string(body), "HTTP/2.0: a proxy in front must speak HTTP/1.1") {
		t.Errorf("got %s %q, %v", resp.Status, body, err)
	}
}

// TestResponse looks at all of a 101, with the example of RFC 6455 1.3.
func TestResponse(t *testing.T) {
	o := ws.Options{Subprotocols: []string{"b", "a"}, Header: http.Header{"Set-Cookie": {"x=1", "y=2"}}}
	ways(t, o, func(t *testing.T, h http.Handler, _ func() error) {
		resp, _, _ := inMemory(t, h).ask(goodLines+"|Sec-WebSocket-Protocol: a|Sec-WebSocket-Protocol: c, b", "")
		want := http.Header{
			"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
			"Sec-Websocket-Protocol": {"b"}, "Set-Cookie": {"x=1", "y=2"},
		}
		if resp.StatusCode != 101 || fmt.Sprint(resp.Header) != fmt.Sprint(want) {
			t.Errorf("got %s %v, want %v", resp.Status, resp.Header, want)
		}
	})
}

// TestBadHeader: a Header that would break out of its line, or contradict the
// handshake, is found before the connection is taken over.
func TestBadHeader(t *testing.T) {
	for field, problem := range map[string]string{
		"X-Name: a\r\nX-Injected: b":  "control character",
		"X-Name: a\x00":               "control character",
		"X Name: a":                   "no token",
		"X-Name\r\nX-Injected: a":     "no token",
		"Sec-WebSocket-Protocol: x":   "set by the handshake",
		"sec-websocket-extensions: x": "set by the handshake",
		"Transfer-Encoding: chunked":  "set by the handshake",
		"Content-Length: 1":           "set by the handshake",
		"Connection: keep-alive":      "set by the handshake",
	} {
		t.Run(field, func(t *testing.T) {
			var book logbook
			name, value, _ := strings.Cut(field, ": ")
			o := ws.Options{Header: http.Header{name: {value}}, Logger: book.logger()}
			errs := make(chan error, 1)
			s := inMemory(t, accepting(&o, errs))
			resp, body, _ := s.ask(goodLines, "")
			if resp.StatusCode != 500 || body != "the server can't upgrade this connection\n" || resp.Header.Get("X-Injected") != "" {
				t.Errorf("got %s %q %v", resp.Status, body, resp.Header)
			}
			if err := <-errs; !strings.Contains(err.Error(), problem) {
				t.Errorf("got %v, want %q", err, problem)
			}
			book.expect(t, "level=ERROR", problem)
		})
	}
}

// hiding is a wrapper as careless middleware has it.
type hiding struct{ http.ResponseWriter }

// showing is how it should be.
type showing struct{ http.ResponseWriter }

func (s showing) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// brokenHijacker can be asked, and fails.
type brokenHijacker struct{ http.ResponseWriter }

func (brokenHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, io.ErrClosedPipe
}

func TestHijackHidden(t *testing.T) {
	wrap := func(f func(http.ResponseWriter) http.ResponseWriter) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(f(w), r) })
		}
	}
	const advice = "give it a method Unwrap() http.ResponseWriter, or mount the handler outside"
	for name, tt := range map[string]struct {
		middleware func(http.Handler) http.Handler
		words      []string
	}{
		"wrapper":         {wrap(func(w http.ResponseWriter) http.ResponseWriter { return hiding{w} }), []string{"ws_test.hiding, which", advice}},
		"wrapper, inside": {wrap(func(w http.ResponseWriter) http.ResponseWriter { return showing{hiding{w}} }), []string{"ws_test.hiding, which", advice}},
		"TimeoutHandler": {func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") },
			[]string{"*http.timeoutWriter, which", advice}},
		"broken": {wrap(func(w http.ResponseWriter) http.ResponseWriter { return showing{brokenHijacker{w}} }),
			[]string{"taking over the connection: " + io.ErrClosedPipe.Error()}},
	} {
		t.Run(name, func(t *testing.T) {
			var book logbook
			errs := make(chan error, 1)
			s := inMemory(t, tt.middleware(accepting(&ws.Options{Logger: book.logger()}, errs)))
			resp, body, _ := s.ask(goodLines, "")
			if resp.StatusCode != 500 || body != "the server can't upgrade this connection\n" {
				t.Errorf("got %s %q", resp.Status, body)
			}
			err := <-errs
			for _, w := range tt.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got %q, want %q", err, w)
				}
			}
			book.expect(t, append(tt.words, "level=ERROR")...)
		})
	}
}

func TestHijackThroughWrappers(t *testing.T) {
	for name, m := range map[string]func(http.Handler) http.Handler{
		"unwrap": func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(showing{w}, r) })
		},
		"chi logger":      chi.RequestLogger(&chi.DefaultLogFormatter{Logger: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}),
		"chi compress":    chi.Compress(5),
		"chi recoverer":   chi.Recoverer,
		"MaxBytesHandler": func(next http.Handler) http.Handler { return http.MaxBytesHandler(next, 10) },
	} {
		t.Run(name, func(t *testing.T) {
			ways(t, ws.Options{}, func(t *testing.T, h http.Handler, _ func() error) {
				roundTrip(t, inMemory(t, m(h)).dial(), strings.Repeat("x", 5000))
			})
		})
	}
}

func TestOrigin(t *testing.T) {
	const self = "site.example"
	tests := []struct {
		host, origin string
		tls          bool
		opts         ws.Options
		ok           bool
	}{
		{host: self, origin: "", ok: true},
		{host: self, origin: "http://site.example", ok: true},
		{host: self, origin: "HTTP://Site.Example", ok: true},
		{host: self, origin: "https://site.example", ok: true}, // a proxy ended the TLS
		{host: "site.example:443", origin: "https://site.example", ok: true},
		{host: "site.example:443", origin: "http://site.example"},
		{host: "site.example:8080", origin: "http://site.example:8080", ok: true},
		{host: "site.example:8080", origin: "http://site.example"},
		{host: self, origin: "http://site.example.evil.example"},
		{host: self, origin: "http://evil.example/site.example"},
		{host: self, origin: "http://evil@site.example"},
		{host: self, origin: "file://"},
		{host: self, origin: "https://site.example", tls: true, ok: true},
		{host: self, origin: "http://site.example", tls: true},
		{host: self, origin: "https://app.example", opts: ws.Options{Origins: []string{"https://other.example", "https://app.example"}}, ok: true},
		{host: self, origin: "http://app.example", opts: ws.Options{Origins: []string{"https://app.example"}}},
		{host: self, origin: "https://a.app.example", opts: ws.Options{Origins: []string{"https://*.app.example"}}, ok: true},
		{host: self, origin: "https://a.b.app.example", opts: ws.Options{Origins: []string{"https://*.app.example"}}},
		{host: self, origin: "https://evil.example", opts: ws.Options{InsecureSkipOrigin: true}, ok: true},
		{host: self, origin: "null", opts: ws.Options{InsecureSkipOrigin: true}, ok: true},
	}
	for _, tt := range tests {
		ways(t, tt.opts, func(t *testing.T, h http.Handler, _ func() error) {
			s := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.tls {
					r.TLS = new(tls.ConnectionState)
				}
				h.ServeHTTP(w, r)
			}))
			s.options.Host = tt.host
			fields := []string{"Origin", tt.origin}
			if tt.origin == "" {
				fields = nil
			}
			_, resp, err := s.try(fields...)
			if tt.ok != (err == nil) || resp == nil || !tt.ok && resp.StatusCode != http.StatusForbidden {
				t.Errorf("%+v: got %v, %v", tt, resp, err)
			}
		})
	}
}

// TestBehindProxy has a browser at a proxy that ends TLS, one that forwards the
// Host header and one that doesn't.
func TestBehindProxy(t *testing.T) {
	ways(t, ws.Options{}, func(t *testing.T, h http.Handler, _ func() error) {
		backend := overTCP(t, h)
		target, err := url.Parse(backend.url)
		if err != nil {
			t.Fatal(err)
		}
		for _, forward := range []bool{true, false} {
			proxy := overTLS(t, &httputil.ReverseProxy{Rewrite: func(pr *httputil.ProxyRequest) {
				pr.Out.URL.Scheme, pr.Out.URL.Host = "http", target.Host
				if !forward {
					pr.Out.Host = "backend.internal"
				}
			}})
			front := "https://" + strings.TrimSuffix(strings.TrimPrefix(proxy.url, "https://"), "/ws")
			c, resp, err := proxy.try("Origin", front)
			if forward {
				if err != nil {
					t.Fatal(err)
				}
				roundTrip(t, c, "hello")
				continue
			}
			if resp == nil || resp.StatusCode != http.StatusForbidden {
				t.Fatalf("got %v, %v", resp, err)
			}
			body, _ := io.ReadAll(resp.Body)
			for _, want := range []string{front, "backend.internal", "forward the Host header"} {
				if !strings.Contains(string(body), want) {
					t.Errorf("got %q without %q", body, want)
				}
			}
		}
	})
}

func TestSubprotocolChoice(t *testing.T) {
	tests := []struct {
		server, client []string
		origin         string
		want           string
	}{
		{nil, nil, "", ""},
		{nil, []string{"a"}, "", ""}, // no browser: it may go on without
		{[]string{"a"}, []string{"b"}, "", ""},
		{[]string{"a"}, []string{"A"}, "", ""}, // names have case (RFC 6455 11.5)
		{[]string{"a", "b"}, []string{"b", "a"}, "", "a"},
		{[]string{"a", "b"}, []string{"c", "b"}, "http://site.example", "b"},
		{[]string{"a"}, nil, "http://site.example", ""},
	}
	for _, tt := range tests {
		got := make(chan string, 1)
		h := &ws.Handler{Options: ws.Options{Subprotocols: tt.server}, Serve: func(_ context.Context, c *ws.Conn) error {
			got <- c.Subprotocol()
			return nil
		}}
		s := inMemory(t, h)
		s.options.Subprotocols = tt.client
		var fields []string
		if tt.origin != "" {
			fields = []string{"Origin", tt.origin}
		}
		c, resp, err := s.try(fields...)
		if err != nil {
			t.Errorf("%+v: %v", tt, err)
			continue
		}
		if server := <-got; server != tt.want || c.Subprotocol() != tt.want || len(resp.Header["Sec-Websocket-Protocol"]) != min(len(tt.want), 1) {
			t.Errorf("%+v: got %q and %q, %v", tt, server, c.Subprotocol(), resp.Header)
		}
	}
}

// TestCompressionOffers has clients that offer more, and worse, than one thing
// (RFC 7692 5, 7.1), and an echo with what was agreed on.
func TestCompressionOffers(t *testing.T) {
	const off, alone, takeover = ws.CompressionOff, ws.CompressionNoTakeover, ws.CompressionTakeover
	const deflate = "permessage-deflate"
	tests := []struct {
		mode   ws.CompressionMode
		bits   int
		offers []string // header lines
		want   string
	}{
		{off, 0, []string{deflate}, ""},
		{takeover, 0, nil, ""},
		{takeover, 0, []string{deflate}, deflate},
		{takeover, 0, []string{"x-webkit-deflate-frame, " + deflate}, deflate},
		{takeover, 0, []string{"x-other; a=b", deflate}, deflate},
		{takeover, 0, []string{"permessage-bzip2"}, ""},
		{alone, 0, []string{deflate}, deflate + "; server_no_context_takeover; client_no_context_takeover"},
		{takeover, 0, []string{deflate + "; server_no_context_takeover"}, deflate + "; server_no_context_takeover"},
		{takeover, 0, []string{deflate + "; client_max_window_bits"}, deflate + "; client_max_window_bits=13"},
		{takeover, 0, []string{deflate + "; client_max_window_bits=10"}, deflate + "; client_max_window_bits=10"},
		{takeover, 9, []string{deflate + "; client_max_window_bits; server_max_window_bits=12"},
			deflate + "; server_max_window_bits=9; client_max_window_bits=9"},
		{takeover, 15, []string{deflate + "; client_max_window_bits; server_max_window_bits=8"}, deflate + "; server_max_window_bits=8"},
		// The first offer is invalid, the second is taken.
		{takeover, 0, []string{deflate + "; server_max_window_bits=7, " + deflate}, deflate},
		{takeover, 0, []string{deflate + "; server_max_window_bits=16", deflate + "; server_max_window_bits=10, " + deflate},
			deflate + "; server_max_window_bits=10"},
		{takeover, 0, []string{deflate + "; unknown, " + deflate + "; server_no_context_takeover; server_no_context_takeover"}, ""},
		{takeover, 0, []string{deflate + `; server_max_window_bits="10"`}, deflate + "; server_max_window_bits=10"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.mode, tt.bits, tt.offers), func(t *testing.T) {
			ways(t, ws.Options{Compression: tt.mode, CompressionWindowBits: tt.bits}, func(t *testing.T, h http.Handler, _ func() error) {
				lines := goodLines
				for _, offer := range tt.offers {
					lines += "|Sec-WebSocket-Extensions: " + offer
				}
				// "Hello" as in RFC 7692 7.2.3.1 if it may be compressed, and a short one, which isn't worth it.
				frames, want := "\x81\x82\x00\x00\x00\x00hi", "\x81\x02hi"
				if tt.want != "" {
					frames = "\xc1\x87\x00\x00\x00\x00\xf2\x48\xcd\xc9\xc9\x07\x00" + frames
					want = "\x81\x05Hello" + want
				}
				resp, _, rw := inMemory(t, h).ask(lines, frames)
				if got := strings.Join(resp.Header["Sec-Websocket-Extensions"], "|"); resp.StatusCode != 101 || got != tt.want {
					t.Errorf("got %s, %q; want %q", resp.Status, got, tt.want)
				}
				got := make([]byte, len(want))
				if _, err := io.ReadFull(rw, got); err != nil || string(got) != want {
					t.Errorf("got %q, %v; want %q", got, err, want)
				}
			})
		})
	}
}

// TestPipelined sends messages right behind the request, in one write with it:
// as many as come with it, more than net/http's buffer holds, and a part of one.
func TestPipelined(t *testing.T) {
	hello := "\x81\x85\x00\x00\x00\x00hello"
	long := "\x81\xfe\x27\x10\x00\x00\x00\x00" + strings.Repeat("x", 10_000)
	for name, tt := range map[string]struct {
		early, late string
		want        string
	}{
		"messages":   {hello + hello + hello, "", strings.Repeat("\x81\x05hello", 3)},
		"long":       {hello + long + hello, "", "\x81\x05hello\x81\x7e\x27\x10" + strings.Repeat("x", 10_000) + "\x81\x05hello"},
		"half":       {hello + hello[:7], hello[7:], "\x81\x05hello\x81\x05hello"},
		"first byte": {hello[:1], hello[1:], "\x81\x05hello"},
		"and close":  {hello + "\x88\x82\x00\x00\x00\x00\x03\xe8", "", "\x81\x05hello\x88\x02\x03\xe8"},
		"only close": {"\x88\x80\x00\x00\x00\x00", "", "\x88\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			networks(t, func(t *testing.T, start func(*testing.T, http.Handler) *site) {
				ways(t, ws.Options{}, func(t *testing.T, h http.Handler, _ func() error) {
					resp, _, rw := start(t, h).ask(goodLines, tt.early)
					if resp.StatusCode != 101 {
						t.Fatal(resp.Status)
					}
					go io.WriteString(rw, tt.late)
					got := make([]byte, len(tt.want))
					if n, err := io.ReadFull(rw, got); err != nil || string(got) != tt.want {
						t.Errorf("got %d bytes %.100q, %v; want %d bytes", n, got[:n], err, len(tt.want))
					}
				})
			})
		})
	}
}

// TestServerDeadlines: what bounds a request must not bound a connection.
func TestServerDeadlines(t *testing.T) {
	forms(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
		synctest.Test(t, func(t *testing.T) {
			s := listenInMemory(t, new(wstest.Listener), &http.Server{Handler: handler(echoMessage), ReadHeaderTimeout: time.Second,
				ReadTimeout: time.Second, WriteTimeout: time.Second, IdleTimeout: time.Second})
			c := s.dial()
			for range 3 {
				time.Sleep(20 * time.Second)
				roundTrip(t, c, "hello")
			}
		})
	})
}

// TestRequestContextEnds: neither a middleware's timeout nor ServeHTTP's return
// may end the connection.
func TestRequestContextEnds(t *testing.T) {
	onItsOwn := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := ws.Accept(w, r, nil); err == nil {
			go func() {
				defer c.CloseNow()
				_ = echo(c.Context(), c)
			}()
		}
	})
	for name, h := range map[string]http.Handler{
		"serve": &ws.Handler{Serve: echo}, "events": &ws.Handler{Events: echoMessage}, "accept": onItsOwn,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var request context.Context
				c := inMemory(t, chi.Timeout(time.Second)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					request = r.Context()
					h.ServeHTTP(w, r)
				}))).dial()
				time.Sleep(20 * time.Second)
				roundTrip(t, c, "hello")
				if request.Err() == nil {
					t.Error("the request's context goes on")
				}
			})
		})
	}
}

type contextValue struct{}

// TestAcceptContext: the connection's has the request's values.
func TestAcceptContext(t *testing.T) {
	got := make(chan any, 1)
	c := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r.WithContext(context.WithValue(r.Context(), contextValue{}, "kept")), nil)
		if err != nil {
			t.Error(err)
			return
		}
		got <- c.Context().Value(contextValue{})
		c.CloseNow()
	})).dial()
	if v := <-got; v != "kept" {
		t.Errorf("got %v", v)
	}
	expectClose(t, c, ws.StatusAbnormal, "")
}

// TestAcceptTwice: one request makes one connection.
func TestAcceptTwice(t *testing.T) {
	var book logbook
	errs := make(chan error, 2)
	s := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 2 {
			c, err := ws.Accept(w, r, &ws.Options{Logger: book.logger()})
			if errs <- err; err == nil {
				defer c.CloseNow()
			}
		}
	}))
	s.dial()
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	if err := <-errs; !errors.Is(err, http.ErrHijacked) {
		t.Errorf("got %v", err)
	}
	book.expect(t, http.ErrHijacked.Error())
}

// TestAcceptAnothersContext: a request that was given a context whose connection
// is open would end with that.
func TestAcceptAnothersContext(t *testing.T) {
	first := make(chan context.Context, 1)
	errs := make(chan error, 2)
	s := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case ctx := <-first:
			_, err := ws.Accept(w, r.WithContext(ctx), nil)
			errs <- err
		default:
			middleware.Authenticate(func(*http.Request) (any, time.Time, error) { return "me", time.Time{}, nil })(
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					c, err := ws.Accept(w, r, nil)
					if first <- r.Context(); err == nil {
						defer c.CloseNow()
						_ = echo(c.Context(), c)
					}
				})).ServeHTTP(w, r)
		}
	}))
	c := s.dial()
	roundTrip(t, c, "hello")
	expectClose(t, s.dial(), ws.StatusAbnormal, "")
	if err := <-errs; err == nil || !strings.Contains(err.Error(), "has been upgraded already") {
		t.Errorf("got %v", err)
	}
	roundTrip(t, c, "still there")
}

// TestHandshakeTimeout has a client that doesn't take the response.
func TestHandshakeTimeout(t *testing.T) {
	for _, tt := range []struct{ option, want time.Duration }{{0, 10 * time.Second}, {time.Second, time.Second}, {-1, 0}} {
		t.Run(tt.option.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				errs := make(chan error, 1)
				s := listenInMemory(t, &wstest.Listener{Buffer: 1}, &http.Server{
					Handler: accepting(&ws.Options{HandshakeTimeout: tt.option}, errs)})
				nc := s.raw()
				start := time.Now()
				if _, err := io.WriteString(nc, strings.ReplaceAll(goodLines, "|", "\r\n")+"\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				if tt.want == 0 {
					time.Sleep(time.Hour)
					resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
					if err != nil || resp.StatusCode != 101 || <-errs != nil {
						t.Errorf("got %v, %v", resp, err)
					}
					return
				}
				err := <-errs
				if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(err.Error(), "ws: accept: sending the response: ") || time.Since(start) != tt.want {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			})
		})
	}
}

func TestIsUpgrade(t *testing.T) {
	for want, header := range map[bool]http.Header{
		true:  {"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"WebSocket"}},
		false: {"Connection": {"keep-alive"}, "Upgrade": {"websocket"}},
	} {
		if got := ws.IsUpgrade(&http.Request{Header: header}); got != want {
			t.Errorf("%v: %v", header, got)
		}
	}
}

// who authenticates everybody for a minute.
var who = middleware.Authenticate(func(r *http.Request) (any, time.Time, error) {
	return r.Header.Get("Who"), time.Now().Add(time.Minute), nil
})

func TestPrincipal(t *testing.T) {
	bubbles(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
		s := inMemory(t, who(handler(func(ctx context.Context, c *ws.Conn, m ws.Message) error {
			return ws.Send(ctx, c, ws.Principal(ctx))
		})))
		for _, name := range []string{"ann", "bob"} {
			c := s.dial("Who", name)
			if err := c.Write(t.Context(), ws.Text, nil); err != nil {
				t.Fatal(err)
			}
			expectText(t, c, `"`+name+`"`)
		}
	})
	if p := ws.Principal(t.Context()); p != nil {
		t.Errorf("principal of no connection: %v", p)
	}
}

// TestRenew: a connection ends with its credential, unless that is renewed.
func TestRenew(t *testing.T) {
	bubbles(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
		contexts := make(chan context.Context, 2)
		s := inMemory(t, who(handler(func(ctx context.Context, c *ws.Conn, m ws.Message) error {
			contexts <- ctx
			return ws.Renew(ctx, time.Now().Add(time.Hour))
		})))
		start := time.Now()
		idle, renewed := s.dial(), s.dial()
		time.Sleep(30 * time.Second)
		if err := renewed.Write(t.Context(), ws.Text, nil); err != nil {
			t.Fatal(err)
		}
		expectClose(t, idle, 3000, "credential expired")
		if d := time.Since(start); d != time.Minute {
			t.Errorf("expired after %v", d)
		}
		expectClose(t, renewed, 3000, "credential expired")
		if d := time.Since(start); d != time.Hour+30*time.Second {
			t.Errorf("renewed, expired after %v", d)
		}
		ctx := <-contexts
		if cause := context.Cause(ctx); cause != conn.ErrExpired {
			t.Errorf("cause %v", cause)
		}
		if err := ws.Renew(ctx, time.Now().Add(time.Hour)); !errors.Is(err, conn.ErrExpired) {
			t.Errorf("renewed too late: %v", err)
		}
		if err := ws.Renew(t.Context(), time.Now()); err == nil || errors.Is(err, conn.ErrExpired) {
			t.Errorf("renewed without a connection: %v", err)
		}
	})
}
