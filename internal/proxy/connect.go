package proxy

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// Bounds on a proxy's answer.
const (
	maxHead    = 16 << 10 // bytes of status line and header fields
	maxInterim = 5        // 1xx responses before the answer
)

// connect asks an HTTP proxy for a tunnel.
func connect(c net.Conn, user *url.Userinfo, to target) (net.Conn, error) {
	if _, err := c.Write(appendConnect(nil, user, to)); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: c, N: maxHead}
	br := bufio.NewReader(limited)
	resp, err := readAnswer(br)
	switch {
	case err != nil && limited.N == 0:
		return nil, fmt.Errorf("answered CONNECT with more than %d bytes of header", maxHead)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("closed the connection instead of answering CONNECT: %w", err)
	case err != nil:
		return nil, fmt.Errorf("answer to CONNECT: %w", err)
	case resp.StatusCode/100 != 2:
		return nil, fmt.Errorf("answered CONNECT to %s with %q", to.addr, resp.Status)
	}
	// A success has no body, whatever its fields say (RFC 9110 9.3.6): what was read behind it is the tunnel's.
	return withEarly(c, br), nil
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

// readAnswer reads the response, past interim ones.
func readAnswer(br *bufio.Reader) (*http.Response, error) {
	for range maxInterim + 1 {
		resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect})
		if err != nil || resp.StatusCode/100 != 1 {
			return resp, err
		}
	}
	return nil, errors.New("too many interim responses")
}

// withEarly returns c with the bytes in front that br has already taken from it.
func withEarly(c net.Conn, br *bufio.Reader) net.Conn {
	early, _ := br.Peek(br.Buffered())
	if len(early) == 0 {
		return c
	}
	return &earlyConn{Conn: c, early: early}
}

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
