package ws

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidewire/ws/internal/proxy"
)

// connect makes the stream on which the handshake is spoken.
func (d *dialing) connect(ctx context.Context) (net.Conn, error) {
	addr := net.JoinHostPort(d.url.Hostname(), port(d.url))
	via, err := d.proxy(ctx)
	if err != nil {
		return nil, fmt.Errorf("choosing the proxy: %w", err)
	}
	if via == nil && isSecure(d.url) && d.opts.NetDialTLSContext != nil {
		return dialled(d.opts.NetDialTLSContext(ctx, "tcp", addr))
	}
	dial := new(net.Dialer).DialContext
	if hook := d.opts.NetDialContext; hook != nil {
		dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			return dialled(hook(ctx, network, addr))
		}
	}
	var nc net.Conn
	if via != nil {
		nc, err = proxy.Dialer{Dial: dial, TLS: d.opts.TLSConfig}.DialContext(ctx, via, addr)
	} else {
		nc, err = dial(ctx, "tcp", addr)
	}
	if err != nil || !isSecure(d.url) {
		return nc, err
	}
	return d.secure(ctx, nc)
}

// dialled makes an error of nothing at all, which a function of the caller's has returned.
func dialled(nc net.Conn, err error) (net.Conn, error) {
	if nc == nil && err == nil {
		err = errors.New("the dial function has returned neither a connection nor an error")
	}
	return nc, err
}

// proxy returns the proxy to go through, nil for none.
func (d *dialing) proxy(ctx context.Context) (*url.URL, error) {
	switch {
	case d.opts.Proxy != nil:
		r := &http.Request{Method: http.MethodGet, URL: httpURL(d.url), Host: d.url.Host, Header: d.header.Clone()}
		return d.opts.Proxy(r.WithContext(ctx))
	case d.opts.NetDialContext != nil, d.opts.NetDialTLSContext != nil:
		return nil, nil
	}
	return proxy.FromEnvironment(d.url)
}

// secure speaks TLS over nc.
func (d *dialing) secure(ctx context.Context, nc net.Conn) (net.Conn, error) {
	cfg := &tls.Config{}
	if d.opts.TLSConfig != nil {
		cfg = d.opts.TLSConfig.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName = d.url.Hostname()
	}
	cfg.NextProtos = []string{"http/1.1"} // one shared with an http.Transport would ask for HTTP/2
	t := tls.Client(nc, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = bare(nc).Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return t, nil
}

// bare returns the connection under TLS. Closing that one doesn't wait for a peer
// to take TLS's goodbye.
func bare(nc net.Conn) net.Conn {
	for {
		t, ok := nc.(*tls.Conn)
		if !ok {
			return nc
		}
		nc = t.NetConn()
	}
}

// httpURL returns u with the scheme that http.CookieJar and others know.
func httpURL(u *url.URL) *url.URL { return proxy.HTTPURL(u) }

func isSecure(u *url.URL) bool { return u.Scheme == "wss" || u.Scheme == "https" }

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if isSecure(u) {
		return "443"
	}
	return "80"
}

// hostHeader is the URL's host and port without what means nothing to the server:
// an IPv6 zone (RFC 6874 4) and a colon with no port behind.
func hostHeader(u *url.URL) string {
	host := strings.TrimSuffix(u.Host, ":")
	if zone := strings.IndexByte(host, '%'); zone >= 0 && host[0] == '[' {
		if end := strings.IndexByte(host, ']'); end > zone {
			host = host[:zone] + host[end:]
		}
	}
	return host
}
