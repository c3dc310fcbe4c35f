package ws_test

import (
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidewire/ws"
)

// redirector answers requests for /from with a redirect and is an echo elsewhere. It tells seen of the latter. Every
// connection, whatever its scheme and host, is meant to end here, without TLS.
func redirector(t *testing.T, location string, seen chan<- *http.Request) ws.DialOptions {
	t.Helper()
	next := &ws.Handler{Serve: echo}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/from" {
			http.SetCookie(w, &http.Cookie{Name: "hop", Value: "1"})
			if location != "" {
				w.Header().Set("Location", location)
			}
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		seen <- r
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	dial := dialer("tcp", srv.Listener.Addr().String())
	return ws.DialOptions{NetDialContext: dial, NetDialTLSContext: dial}
}

// TestRedirectCredentials follows redirects to this host and that, and looks at what came along.
func TestRedirectCredentials(t *testing.T) {
	tests := []struct {
		name, from, location string
		host                 string // that the server sees
		kept                 bool
	}{
		{"path", "ws://me:pw@a.example/from", "/to", "virtual.example", true},
		{"same host", "ws://me:pw@a.example/from", "ws://a.example/to", "virtual.example", true},
		{"same host, http", "ws://me:pw@a.example/from", "http://A.example:80/to", "virtual.example", true},
		{"from ws to wss", "ws://me:pw@a.example/from", "https://a.example/to", "virtual.example", true},
		{"to another port of wss", "ws://me:pw@a.example/from", "wss://a.example:8443/to", "a.example:8443", false},
		{"from another port of ws", "ws://me:pw@a.example:8080/from", "wss://a.example/to", "a.example", false},
		{"other port", "ws://me:pw@a.example/from", "ws://a.example:8080/to", "a.example:8080", false},
		{"other host", "ws://me:pw@a.example/from", "ws://b.example/to", "b.example", false},
		{"subdomain", "ws://me:pw@a.example/from", "ws://x.a.example/to", "x.a.example", false},
		{"without scheme", "wss://me:pw@a.example/from", "//b.example/to", "b.example", false},
		{"the redirect's own user", "ws://me:pw@a.example/from", "ws://you:too@b.example/to", "b.example", false},
		{"fragment", "ws://me:pw@a.example/from", "/to#top", "virtual.example", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			seen := make(chan *http.Request, 1)
			o := redirector(t, tt.location, seen)
			o.MaxRedirects = 1
			o.Host = "virtual.example"
			o.Header = http.Header{"Cookie": {"session=x"}, "X-Trace": {"1"}}
			dialEcho(t, tt.from, &o)
			r := <-seen
			if r.URL.Path != "/to" || r.Host != tt.host || r.Header.Get("X-Trace") != "1" {
				t.Errorf("got %s of host %s with %v", r.URL, r.Host, r.Header)
			}
			user, _, _ := r.BasicAuth()
			if kept := user == "me" && r.Header.Get("Cookie") == "session=x"; kept != tt.kept {
				t.Errorf("got user %q and %v", user, r.Header)
			}
			if !tt.kept && (r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "") {
				t.Errorf("credentials went along: %v", r.Header)
			}
			if o.Header.Get("Cookie") != "session=x" {
				t.Error("the caller's header was changed")
			}
		})
	}
}

func TestRedirectNotFollowed(t *testing.T) {
	tests := []struct {
		name, from, location string
		max                  int
		err                  string
	}{
		{"by default", "ws://a.example/from", "/to", 0, "DialOptions.MaxRedirects"},
		{"for ever", "ws://a.example/from", "/from", 3, "DialOptions.MaxRedirects"},
		{"out of TLS", "wss://a.example/from", "ws://a.example/to", 3, "from TLS to plaintext"},
		{"out of TLS, http", "wss://a.example/from", "http://a.example/to", 3, "from TLS to plaintext"},
		{"to another scheme", "ws://a.example/from", "ftp://a.example/to", 3, `scheme "ftp"`},
		{"to no host", "ws://a.example/from", "ws:///to", 3, "no host"},
		{"to nowhere", "ws://a.example/from", "", 3, "no Location"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := redirector(t, tt.location, nil)
			o.MaxRedirects = tt.max
			c, resp, err := ws.Dial(t.Context(), tt.from, &o)
			if c != nil || resp == nil || resp.StatusCode != http.StatusTemporaryRedirect {
				t.Errorf("got %v", resp)
			}
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
			if tt.location == "" && !errors.Is(err, http.ErrNoLocation) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRedirectNotNeeded(t *testing.T) {
	seen := make(chan *http.Request, 1)
	o := redirector(t, "", seen)
	o.MaxRedirects = 3
	dialEcho(t, "ws://a.example/to", &o)
	if r := <-seen; r.URL.Path != "/to" || len(seen) != 0 {
		t.Errorf("got %s", r.URL)
	}
}

// TestRedirectCookies has a cookie set by the redirect come back with the request that follows it.
func TestRedirectCookies(t *testing.T) {
	seen := make(chan *http.Request, 1)
	o := redirector(t, "/to", seen)
	o.MaxRedirects = 1
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	o.Jar = jar
	dialEcho(t, "ws://a.example/from", &o)
	if r := <-seen; r.Header.Get("Cookie") != "hop=1" {
		t.Errorf("got %v", r.Header)
	}
}
