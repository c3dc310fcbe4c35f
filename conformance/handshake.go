package conformance

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// dialed is an opened connection, seen from the client.
type dialed struct {
	conn   net.Conn
	early  []byte // what the server sent behind its response
	server string // its Server header
	codec  *deflateCodec
}

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// dial opens a WebSocket connection to a ws or wss URL, offering compression if offers is not nil. A function
// through, if there is one, makes the stream. Certificates are not verified: the suite judges protocols, not identities.
func dial(ctx context.Context, rawURL string, offers *deflateTest, through dialFunc) (*dialed, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	conn, err := connect(ctx, u, through)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	d, err := upgrade(conn, u, offers)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return d, conn.SetDeadline(time.Time{})
}

func connect(ctx context.Context, u *url.URL, through dialFunc) (net.Conn, error) {
	ports := map[string]string{"ws": "80", "wss": "443"}
	port, known := ports[u.Scheme]
	if !known {
		return nil, fmt.Errorf("%q is neither a ws nor a wss URL", u)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	addr := net.JoinHostPort(u.Hostname(), port)
	if through != nil {
		return through(ctx, "tcp", addr)
	}
	if u.Scheme == "wss" {
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}}
		return d.DialContext(ctx, "tcp", addr)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// upgrade performs the client's side of RFC 6455 section 4.1.
func upgrade(conn net.Conn, u *url.URL, offers *deflateTest) (*dialed, error) {
	nonce := make([]byte, 16)
	rand.Read(nonce) // never fails
	key := base64.StdEncoding.EncodeToString(nonce)
	req := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{
		"Upgrade":               {"websocket"},
		"Connection":            {"Upgrade"},
		"Sec-WebSocket-Key":     {key},
		"Sec-WebSocket-Version": {"13"},
		"User-Agent":            {"tidewire-ws-conformance"},
	}}
	if offers != nil {
		req.Header["Sec-WebSocket-Extensions"] = []string{offers.offerHeader()}
	}
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, req)
	if err != nil {
		return nil, err
	}
	if err := checkResponse(resp, key); err != nil {
		return nil, err
	}
	d := &dialed{conn: conn, server: resp.Header.Get("Server")}
	if d.codec, err = clientCodec(resp.Header.Values("Sec-WebSocket-Extensions"), offers); err != nil {
		return nil, err
	}
	d.early, err = io.ReadAll(io.LimitReader(br, int64(br.Buffered())))
	return d, err
}

func checkResponse(resp *http.Response, key string) error {
	h := resp.Header
	switch {
	case resp.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("the server answered %s", resp.Status)
	case !hasToken(h, "Upgrade", "websocket"):
		return fmt.Errorf("the response has Upgrade: %q", h.Get("Upgrade"))
	case !hasToken(h, "Connection", "Upgrade"):
		return fmt.Errorf("the response has Connection: %q", h.Get("Connection"))
	case h.Get("Sec-WebSocket-Accept") != acceptKey(key):
		return fmt.Errorf("the response has Sec-WebSocket-Accept: %q instead of %q", h.Get("Sec-WebSocket-Accept"), acceptKey(key))
	case h.Get("Sec-WebSocket-Protocol") != "":
		return errors.New("the response names a subprotocol that was not offered")
	}
	return nil
}

// acceptKey answers a Sec-WebSocket-Key (RFC 6455 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// hasToken reports whether the comma-separated list in the header has the token, in any case.
func hasToken(h http.Header, name, token string) bool {
	return slices.ContainsFunc(strings.Split(strings.Join(h.Values(name), ","), ","), func(s string) bool {
		return strings.EqualFold(strings.TrimSpace(s), token)
	})
}

// checkRequest checks a client's side of the handshake (RFC 6455 4.2.1).
func checkRequest(r *http.Request) error {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	switch {
	case r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1):
		return fmt.Errorf("%s %s is no opening handshake", r.Method, r.Proto)
	case r.Host == "":
		return errors.New("the request has no Host")
	case !hasToken(r.Header, "Upgrade", "websocket"):
		return fmt.Errorf("the request has Upgrade: %q", r.Header.Get("Upgrade"))
	case !hasToken(r.Header, "Connection", "Upgrade"):
		return fmt.Errorf("the request has Connection: %q", r.Header.Get("Connection"))
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return fmt.Errorf("the request has Sec-WebSocket-Version: %q", r.Header.Get("Sec-WebSocket-Version"))
	case err != nil || len(key) != 16:
		return errors.New("the request's Sec-WebSocket-Key is not 16 bytes in base64")
	}
	return nil
}

// writeResponse accepts a client's handshake. extensions is a header's value, or empty.
func writeResponse(w io.Writer, r *http.Request, extensions string) error {
	var b strings.Builder
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nServer: tidewire-ws-conformance\r\n")
	fmt.Fprintf(&b, "Sec-WebSocket-Accept: %s\r\n", acceptKey(r.Header.Get("Sec-WebSocket-Key")))
	if extensions != "" {
		fmt.Fprintf(&b, "Sec-WebSocket-Extensions: %s\r\n", extensions)
	}
	b.WriteString("\r\n")
	_, err := io.WriteString(w, b.String())
	return err
}
