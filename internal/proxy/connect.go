package proxy

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/tidewire/ws/internal/bounded"
)

// maxHead is the longest answer of a proxy, in bytes of status line and header fields.
const maxHead = 16 << 10

// connect asks an HTTP proxy for a tunnel.
func connect(c net.Conn, user *url.Userinfo, to target) (net.Conn, error) {
	if _, err := c.Write(appendConnect(nil, user, to)); err != nil {
		return nil, err
	}
	resp, br, err := bounded.ReadResponse(c, &http.Request{Method: http.MethodConnect}, maxHead)
	if err != nil {
		return nil, fmt.Errorf("answer to CONNECT: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("answered CONNECT to %s with %q", to.addr, resp.Status)
	}
	// A success has no body, whatever its fields say (RFC 9110 9.3.6): what was read behind it is the tunnel's.
	if early := bounded.Buffered(br); len(early) > 0 {
		c = &earlyConn{Conn: c, early: early}
	}
	return c, nil
}

func appendConnect(b []byte, user *url.Userinfo, to target) []byte {
	b = append(b, "CONNECT "+to.addr+" HTTP/1.1\r\nHost: "+to.addr+"\r\n"...)
	if user != nil {
		password, _ := user.Password()
		b = append(b, "Proxy-Authorization: Basic "...)
		b = base64.StdEncoding.AppendEncode(b, []byte(user.Username()+":"+password))
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// earlyConn is a connection some of whose bytes have been read already.
type earlyConn struct {
	net.Conn
	early []byte // still to be read; then nil
}

func (c *earlyConn) Read(p []byte) (int, error) {
	if len(c.early) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.early)
	if c.early = c.early[n:]; len(c.early) == 0 {
		c.early = nil // lets the buffer go
	}
	return n, nil
}
