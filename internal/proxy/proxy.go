// Package proxy dials through proxies: HTTP and HTTPS ones with CONNECT (RFC 9110 9.3.6), and SOCKS5 (RFC 1928, RFC 1929).
package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tidewire/ws/internal/bounded"
)

// Dialer says how a proxy itself is reached.
type Dialer struct {
	Dial func(ctx context.Context, network, addr string) (net.Conn, error) // nil: net.Dialer's
	TLS  *tls.Config                                                       // for an https proxy, under the proxy's own name; nil: the default
}

// FromEnvironment returns the proxy that the environment prescribes for a websocket's URL, nil for none: HTTP_PROXY for ws
// and HTTPS_PROXY for wss, unless NO_PROXY exempts the host, all read as by http.ProxyFromEnvironment.
func FromEnvironment(u *url.URL) (*url.URL, error) {
	return http.ProxyFromEnvironment(&http.Request{URL: HTTPURL(u)})
}

// HTTPURL returns u with the scheme of HTTP that stands for ws or wss.
func HTTPURL(u *url.URL) *url.URL {
	h := *u
	switch u.Scheme {
	case "ws":
		h.Scheme = "http"
	case "wss":
		h.Scheme = "https"
	}
	return &h
}

// DialContext connects to the host and port of addr through the proxy: an http, https, socks5 or socks5h URL whose userinfo
// is sent as the credential. Host names are passed on for the proxy to resolve, with socks5 and socks5h alike, as net/http
// does. ctx bounds everything until DialContext returns and nothing after it. No error shows the proxy's password.
func (d Dialer) DialContext(ctx context.Context, proxy *url.URL, addr string) (net.Conn, error) {
	c, err := d.dial(ctx, proxy, addr)
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %w", proxy.Host, err)
	}
	return c, nil
}

func (d Dialer) dial(ctx context.Context, proxy *url.URL, addr string) (net.Conn, error) {
	speak, port, err := protocol(proxy.Scheme)
	if err != nil {
		return nil, err
	}
	to, err := parseTarget(addr)
	if err != nil {
		return nil, err
	}
	c, err := d.reach(ctx, proxy, port)
	if err != nil {
		return nil, err
	}
	through := c
	err = bounded.Do(ctx, c, func() (err error) {
		if proxy.Scheme == "https" {
			if through, err = d.secure(ctx, c, proxy.Hostname()); err != nil {
				return err
			}
		}
		through, err = speak(through, proxy.User, to)
		return err
	})
	if err != nil {
		c.Close()
		return nil, err
	}
	return through, nil
}

// speaker asks the proxy at the other end of c for a tunnel and returns the connection that is one.
type speaker func(c net.Conn, user *url.Userinfo, to target) (net.Conn, error)

// protocol returns what a scheme's proxies speak, and on which port by default.
func protocol(scheme string) (speaker, string, error) {
	switch scheme {
	case "http":
		return connect, "80", nil
	case "https":
		return connect, "443", nil
	case "socks5", "socks5h":
		return socks5, "1080", nil
	}
	return nil, "", fmt.Errorf("scheme %q is not supported: it is one of http, https, socks5, socks5h", scheme)
}

func (d Dialer) reach(ctx context.Context, proxy *url.URL, defaultPort string) (net.Conn, error) {
	port := proxy.Port()
	if port == "" {
		port = defaultPort
	}
	dial := d.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return dial(ctx, "tcp", net.JoinHostPort(proxy.Hostname(), port))
}

func (d Dialer) secure(ctx context.Context, c net.Conn, host string) (net.Conn, error) {
	cfg := &tls.Config{}
	if d.TLS != nil {
		cfg = d.TLS.Clone()
	}
	cfg.ServerName = host // one in d.TLS is that of the server behind
	cfg.NextProtos = nil  // HTTP/1.1: CONNECT would look different in HTTP/2
	t := tls.Client(c, cfg)
	return t, t.HandshakeContext(ctx)
}

// target is where the tunnel is to lead.
type target struct {
	addr string // host:port, IPv6 in brackets
	host string
	port uint16
}

func parseTarget(addr string) (target, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return target{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return target{}, fmt.Errorf("port %q of the target is no number", port)
	}
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c >= 0x7f {
			return target{}, fmt.Errorf("target %q can't be asked for: names with other letters are written in punycode (xn--...)", host)
		}
	}
	return target{addr: addr, host: host, port: uint16(n)}, nil
}
