package ws_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/tidewire/ws"
)

// connectProxy is an HTTP proxy that goes to the address in to, whatever it is asked for. It tells asked of that.
func connectProxy(t *testing.T, to string, asked chan<- string) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host
		there, err := net.Dial("tcp", to)
		if err != nil {
			t.Error(err)
			return
		}
		defer there.Close()
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer here.Close()
		io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		var wg sync.WaitGroup
		wg.Go(func() {
			io.Copy(there, here)
			there.(*net.TCPConn).CloseWrite()
		})
		io.Copy(here, there)
		here.Close()
		wg.Wait()
	}))
	t.Cleanup(srv.Close)
	return srv
}

func TestDialThroughProxy(t *testing.T) {
	plain := httptest.NewServer(&ws.Handler{Serve: echo})
	defer plain.Close()
	secure := httptest.NewTLSServer(&ws.Handler{Serve: echo})
	defer secure.Close()
	trusting := secure.Client().Transport.(*http.Transport).TLSClientConfig
	tests := []struct{ url, to, sees, asked string }{
		{"ws://example.com/", plain.Listener.Addr().String(), "http://example.com/", "CONNECT example.com:80"},
		{"wss://example.com:8443/", secure.Listener.Addr().String(), "https://example.com:8443/", "CONNECT example.com:8443"},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			asked := make(chan string, 1)
			u, err := url.Parse(connectProxy(t, tt.to, asked).URL)
			if err != nil {
				t.Fatal(err)
			}
			dialEcho(t, tt.url, &ws.DialOptions{TLSConfig: trusting, Proxy: func(r *http.Request) (*url.URL, error) {
				if r.URL.String() != tt.sees || r.Method != "GET" {
					t.Errorf("Proxy sees %s %s", r.Method, r.URL)
				}
				return u, nil
			}})
			if got := <-asked; got != tt.asked {
				t.Errorf("the proxy was asked for %q", got)
			}
		})
	}
}

func TestDialProxyRefuses(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	defer proxy.Close()
	u, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, resp, err := ws.Dial(t.Context(), "ws://example.com/", &ws.DialOptions{Proxy: http.ProxyURL(u)})
	want := `ws: dial ws://example.com: proxy ` + u.Host + `: answered CONNECT to example.com:80 with "407 Proxy Authentication Required"`
	if resp != nil || err == nil || err.Error() != want {
		t.Errorf("got %v, %v; want %s", resp, err, want)
	}
}

const proxyOfChild = "WS_TEST_PROXY"

// TestDialProxyFromEnvironment runs TestDialInChild in a process of its own: net/http reads the environment once.
func TestDialProxyFromEnvironment(t *testing.T) {
	srv := httptest.NewServer(&ws.Handler{Serve: echo})
	defer srv.Close()
	asked := make(chan string, 1)
	proxy := connectProxy(t, srv.Listener.Addr().String(), asked)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDialInChild$", "-test.count=1")
	child.Env = append(os.Environ(), proxyOfChild+"=1", "HTTP_PROXY="+proxy.URL, "http_proxy=", "NO_PROXY=", "no_proxy=", "REQUEST_METHOD=")
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := <-asked; got != "CONNECT example.com:80" {
		t.Errorf("the proxy was asked for %q", got)
	}
}

func TestDialInChild(t *testing.T) {
	if os.Getenv(proxyOfChild) == "" {
		t.Skip("run by TestDialProxyFromEnvironment")
	}
	dialEcho(t, "ws://example.com/", nil)

	errNo := errors.New("no")
	dial := func(_ context.Context, _, addr string) (net.Conn, error) {
		if addr != "example.com:80" {
			t.Errorf("a NetDialContext was sent to the environment's proxy: %s", addr)
		}
		return nil, errNo
	}
	if _, _, err := ws.Dial(t.Context(), "ws://example.com/", &ws.DialOptions{NetDialContext: dial}); !errors.Is(err, errNo) {
		t.Errorf("got %v", err)
	}
}
