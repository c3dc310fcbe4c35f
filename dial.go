package ws

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/internal/bounded"
	"github.com/tidewire/ws/internal/deflate"
	"github.com/tidewire/ws/internal/handshake"
)

// DialOptions are Dial's settings. The zero value is safe and useful. In every
// limit and duration 0 means the default and a negative value no limit.
type DialOptions struct {
	// Header is sent with the handshake: Origin, Authorization, Cookie and so on.
	// Fields that are the handshake's own are refused.
	Header http.Header

	// Host is the Host header where it is to differ from the URL's host.
	Host string

	// Subprotocols to offer, the preferred first.
	Subprotocols []string

	// Jar has the cookies to send and takes those that the server sets. nil: none.
	Jar http.CookieJar

	// MaxRedirects is how many redirects are followed; 0 or less: none. Authorization
	// and Cookie, the URL's user and Host go to no other host, port or scheme than
	// the first, except from ws to wss on the default ports; nothing is followed
	// from wss to ws. Other fields of Header go everywhere.
	MaxRedirects int

	// Proxy returns the proxy for a request whose URL has the scheme http for ws
	// and https for wss: an http, https, socks5 or socks5h URL, or nil for none.
	// http.ProxyURL makes such a function. A nil Proxy means the environment
	// (http.ProxyFromEnvironment), or none if NetDialContext or NetDialTLSContext
	// is set.
	Proxy func(*http.Request) (*url.URL, error)

	// NetDialContext makes network connections, to the proxy if there is one. It
	// can ignore the address and go to a Unix socket. nil: net.Dialer's.
	NetDialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// NetDialTLSContext makes connections for wss without a proxy, TLS included.
	// nil: NetDialContext and TLSConfig.
	NetDialTLSContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// TLSConfig is for wss and https proxies; nil: the default. It is not changed,
	// and its NextProtos are not used: a handshake is HTTP/1.1.
	TLSConfig *tls.Config

	// HandshakeTimeout is the longest time that Dial takes, beside its ctx; default 30 s.
	HandshakeTimeout time.Duration

	// Compression is how far permessage-deflate (RFC 7692) is offered; default
	// CompressionOff. For the danger in it see Options.
	Compression CompressionMode
	// CompressionThreshold is the shortest message that is compressed, in bytes; default 128.
	CompressionThreshold int
	// CompressionLevel is 1, the default, to 9.
	CompressionLevel int
	// CompressionWindowBits bounds the windows of both ends to 1<<bits bytes, 8
	// to 15, as far as the server agrees; default 15.
	CompressionWindowBits int

	ReadLimit    int64 // longest message in bytes, on the wire and unpacked; default 1 MiB
	MaxFragments int   // most frames a message; default 10,000
	ControlRate  int   // most control frames a second from the peer; default 100

	PingInterval   time.Duration // silence of the peer before it is pinged; default 30 s
	PongTimeout    time.Duration // how long such a ping may go unanswered; default 10 s
	IdleTimeout    time.Duration // longest silence of the peer; default 5 min
	MessageTimeout time.Duration // longest time from a message's first byte to its last; default 60 s
	WriteTimeout   time.Duration // longest time in which the peer takes nothing of what is being sent; default 30 s
	CloseTimeout   time.Duration // longest wait for the peer's close frame; default 5 s

	// WriteQueue is how many bytes may be accepted beyond what is being sent; default 64 KiB.
	WriteQueue int

	// NoDeferral sends every message at once; see Options.
	NoDeferral bool

	// Observer is told what happens to the connection; nil: nobody is.
	Observer *Observer

	// Codecs of Send, Receive and the router, by subprotocol; JSON for those not named.
	Codecs map[string]codec.Codec
}

const (
	defaultDialTimeout = 30 * time.Second
	maxResponseHead    = 64 << 10
	maxFailureBody     = 1 << 10
	failureBodyTime    = time.Second
	userAgent          = "tidewire-ws"
)

// Dial connects to a server: rawURL has the scheme ws or wss, or http or https
// for the same. A user and password in it are sent as basic authentication. o may
// be nil.
//
// ctx bounds Dial and nothing after it; the connection's context has its values.
//
// The response is the server's answer to the handshake, nil if there was none. It
// needs no closing. If the handshake fails, it has the first 1 KiB of its body.
func Dial(ctx context.Context, rawURL string, o *DialOptions) (*Conn, *http.Response, error) {
	var opts DialOptions
	if o != nil {
		opts = *o
	}
	d, err := newDialing(rawURL, &opts)
	if err != nil {
		return nil, nil, fmt.Errorf("ws: dial: %w", err)
	}
	d.parent = context.WithoutCancel(ctx)
	bound, cancel := opts.bound(ctx)
	defer cancel()
	c, resp, err := d.follow(bound)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = fmt.Errorf("%w (option HandshakeTimeout)", err)
		}
		return nil, resp, fmt.Errorf("ws: dial %s://%s: %w", d.url.Scheme, d.url.Host, err) // a path or query may be a secret
	}
	return c, resp, nil
}

func (o *DialOptions) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	switch {
	case o.HandshakeTimeout < 0:
		return ctx, func() {}
	case o.HandshakeTimeout == 0:
		return context.WithTimeout(ctx, defaultDialTimeout)
	}
	return context.WithTimeout(ctx, o.HandshakeTimeout)
}

// dialing is one Dial under way. Redirects change its fields.
type dialing struct {
	opts   *DialOptions
	url    *url.URL // as it was written, without user and fragment
	host   string   // the Host field, if it is not the URL's
	header http.Header
	parent context.Context // the connection's
}

func newDialing(rawURL string, opts *DialOptions) (*dialing, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		if e := (*url.Error)(nil); errors.As(err, &e) {
			err = e.Err // without the URL, in which there may be a password
		}
		return nil, fmt.Errorf("URL: %w", err)
	}
	if u.Fragment != "" {
		return nil, errors.New("URL: a fragment has no meaning for a websocket (RFC 6455 3)")
	}
	header := make(http.Header, len(opts.Header)+2)
	for name, values := range opts.Header {
		for _, v := range values {
			header.Add(name, v)
		}
	}
	if u.User != nil && header.Get("Authorization") == "" {
		header.Set("Authorization", basicAuth(u.User))
	}
	if _, given := opts.Header["User-Agent"]; !given { // with no value it is left out
		header.Set("User-Agent", userAgent)
	}
	d := &dialing{opts: opts, host: opts.Host, header: header}
	return d, d.setURL(u)
}

func basicAuth(user *url.Userinfo) string {
	password, _ := user.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password))
}

// setURL makes u the one to connect to.
func (d *dialing) setURL(u *url.URL) error {
	switch u.Scheme {
	case "ws", "wss", "http", "https":
	default:
		return fmt.Errorf("URL: scheme %q is none of ws, wss, http, https", u.Scheme)
	}
	if u.Hostname() == "" {
		return errors.New("URL: no host")
	}
	plain := *u
	plain.User, plain.Fragment, plain.RawFragment = nil, "", ""
	d.url = &plain
	return nil
}

// follow attempts the handshake, and again wherever it is redirected to.
func (d *dialing) follow(ctx context.Context) (*Conn, *http.Response, error) {
	for range d.opts.MaxRedirects {
		c, resp, err := d.attempt(ctx)
		if resp == nil || !isRedirect(resp) {
			return c, resp, err
		}
		if err := d.redirect(resp); err != nil {
			return nil, resp, err
		}
	}
	return d.attempt(ctx)
}

// attempt is one handshake.
func (d *dialing) attempt(ctx context.Context) (*Conn, *http.Response, error) {
	r := d.request()
	request, err := handshake.AppendRequest(nil, r)
	if err != nil {
		return nil, nil, err
	}
	nc, err := d.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	var resp *http.Response
	var early []byte
	err = bounded.Do(ctx, bare(nc), func() (err error) {
		resp, early, err = d.exchange(nc, request)
		return err
	})
	cfg := conn.Config{Early: early}
	if err == nil {
		err = d.settle(&cfg, resp, r)
	}
	if err != nil {
		_ = bare(nc).Close()
		return nil, resp, err
	}
	return d.upgrade(nc, cfg), resp, nil
}

// request is what the handshake asks for.
func (d *dialing) request() handshake.Request {
	r := handshake.Request{
		Target:     d.url.RequestURI(),
		Host:       d.host,
		Key:        handshake.NewKey(),
		Protocols:  d.opts.Subprotocols,
		Extensions: d.compression().Offer(),
		Header:     d.header,
	}
	if r.Host == "" {
		r.Host = hostHeader(d.url)
	}
	if d.opts.Jar != nil {
		if cookies := d.opts.Jar.Cookies(httpURL(d.url)); len(cookies) > 0 {
			with := http.Request{Header: d.header.Clone()}
			for _, c := range cookies {
				with.AddCookie(c)
			}
			r.Header = with.Header
		}
	}
	return r
}

// compression is what is offered.
func (d *dialing) compression() deflate.Policy {
	return d.opts.Compression.policy(d.opts.CompressionWindowBits)
}

// exchange sends the request and reads the response: in full up to 1 KiB of the
// body if it is a failure, and with what the server sent behind it if it is not.
func (d *dialing) exchange(nc net.Conn, request []byte) (resp *http.Response, early []byte, err error) {
	if _, err := nc.Write(request); err != nil {
		return nil, nil, fmt.Errorf("sending the handshake: %w", err)
	}
	resp, br, err := bounded.ReadResponse(nc, &http.Request{Method: http.MethodGet, URL: httpURL(d.url)}, maxResponseHead)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the server's response: %w", err)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, bounded.Buffered(br), nil
	}
	// A body that doesn't come must not hold up the news of the status.
	_ = nc.SetReadDeadline(time.Now().Add(failureBodyTime))
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxFailureBody))
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil, nil
}

// settle checks the response and takes from it what was agreed on.
func (d *dialing) settle(cfg *conn.Config, resp *http.Response, r handshake.Request) error {
	if cookies := resp.Cookies(); d.opts.Jar != nil && len(cookies) > 0 {
		d.opts.Jar.SetCookies(httpURL(d.url), cookies)
	}
	protocol, err := handshake.CheckResponse(resp, r)
	if err != nil {
		return err
	}
	params, ok, err := d.compression().Confirm(resp.Header["Sec-Websocket-Extensions"])
	if err != nil {
		return fmt.Errorf("the server's Sec-WebSocket-Extensions: %w", err)
	}
	if ok {
		cfg.Compression = conn.Compression(params)
	}
	cfg.Subprotocol = protocol
	return nil
}

// upgrade makes the connection with what was agreed on and the options.
func (d *dialing) upgrade(nc net.Conn, cfg conn.Config) *Conn {
	o := d.opts
	cfg.Client = true
	cfg.Parent = d.parent
	cfg.Codec = o.Codecs[cfg.Subprotocol]
	cfg.LocalAddr, cfg.RemoteAddr = nc.LocalAddr(), nc.RemoteAddr()
	cfg.CompressionThreshold, cfg.CompressionLevel = o.CompressionThreshold, o.CompressionLevel
	cfg.CompressionBits = o.CompressionWindowBits
	cfg.ReadLimit, cfg.MaxFragments, cfg.ControlRate = o.ReadLimit, o.MaxFragments, o.ControlRate
	cfg.PingInterval, cfg.PongTimeout, cfg.IdleTimeout = o.PingInterval, o.PongTimeout, o.IdleTimeout
	cfg.MessageTimeout, cfg.WriteTimeout, cfg.CloseTimeout = o.MessageTimeout, o.WriteTimeout, o.CloseTimeout
	cfg.WriteQueue, cfg.NoDeferral = o.WriteQueue, o.NoDeferral
	cfg.Observer = o.Observer
	c := conn.New(conn.NetTransport(nc), cfg)
	if o.Observer != nil && o.Observer.Opened != nil {
		o.Observer.Opened(c.Context(), c)
	}
	return c
}
