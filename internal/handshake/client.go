package handshake

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// NewKey returns a fresh Sec-WebSocket-Key: 16 random bytes in base64.
func NewKey() string {
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails: it ends the program instead
	return base64.StdEncoding.EncodeToString(nonce[:])
}

// Request is what a client's handshake asks for.
type Request struct {
	Target     string      // the request target: path and query
	Host       string      // the Host field
	Key        string      // from NewKey
	Protocols  []string    // offered subprotocols, the preferred one first
	Extensions string      // the value of Sec-WebSocket-Extensions; "" offers none
	Header     http.Header // further fields
}

// AppendRequest appends the request that opens the handshake (RFC 6455 4.1). Its error is about a field of r that can't
// be sent.
func AppendRequest(b []byte, r Request) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	b = append(b, "GET "...)
	b = append(b, r.Target...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = appendField(b, "Host", r.Host)
	b = append(b, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"...)
	b = appendField(b, "Sec-WebSocket-Key", r.Key)
	b = appendAgreement(b, strings.Join(r.Protocols, ", "), r.Extensions)
	b, err := appendHeader(b, r.Header)
	if err != nil {
		return nil, err
	}
	return append(b, "\r\n"...), nil
}

func (r *Request) check() error {
	if !strings.HasPrefix(r.Target, "/") || !isVisible(r.Target) {
		return fmt.Errorf("the URL's path and query %s can't be sent: white space and controls must be percent-encoded", quote(r.Target))
	}
	if r.Host == "" || !isVisible(r.Host) || !isASCII(r.Host) {
		return fmt.Errorf("host %s can't be sent: names with other letters are written in punycode (xn--...)", quote(r.Host))
	}
	if err := CheckProtocols(r.Protocols); err != nil {
		return fmt.Errorf("the offer of subprotocols %w", err)
	}
	return nil
}

func isVisible(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f })
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c > 0x7f })
}

// CheckResponse checks the server's side of the handshake (RFC 6455 4.1) against the request that r describes, all but its
// extensions, and returns the subprotocol: one that was offered, or "" when the server chose none.
func CheckResponse(resp *http.Response, r Request) (protocol string, err error) {
	if err := checkSwitch(resp); err != nil {
		return "", err
	}
	if err := checkAccept(resp.Header[hdrAccept], r.Key); err != nil {
		return "", err
	}
	return checkProtocol(resp.Header[hdrProtocol], r.Protocols)
}

func checkSwitch(resp *http.Response) error {
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return errors.New("the server answered " + quote(resp.Status) + " to the handshake, not 101" + hint(resp))
	}
	if up := resp.Header[hdrUpgrade]; len(up) != 1 || !equalFold(trim(up[0]), "websocket") {
		return fmt.Errorf("the server's 101 has the Upgrade header %s, not \"websocket\"", quote(strings.Join(up, ", ")))
	}
	if conn := resp.Header[hdrConnection]; !contains(conn, "upgrade") {
		return fmt.Errorf("the server's 101 has the Connection header %s without \"upgrade\"", quote(strings.Join(conn, ", ")))
	}
	return nil
}

// hint says what the usual reason for a status is.
func hint(resp *http.Response) string {
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNotFound:
		return " (is the path a websocket endpoint?)"
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return " (it redirects to " + quote(resp.Header.Get("Location")) + "; DialOptions.MaxRedirects follows)"
	case http.StatusUpgradeRequired:
		if v := resp.Header[hdrVersion]; len(v) > 0 && !contains(v, "13") {
			return " (it speaks websocket version " + quote(strings.Join(v, ", ")) + ", this client 13)"
		}
	}
	return ""
}

func checkAccept(lines []string, key string) error {
	var want [28]byte // 20 bytes in base64
	if len(lines) != 1 || trim(lines[0]) != string(AppendAcceptKey(want[:0], key)) {
		return fmt.Errorf("the server's Sec-WebSocket-Accept %s does not answer the key that was sent: a cache, or no websocket server",
			quote(strings.Join(lines, ", ")))
	}
	return nil
}

func checkProtocol(lines, offered []string) (string, error) {
	if len(lines) == 0 {
		return "", nil
	}
	// One that was offered is a token: several values, in lines or with commas, can't be.
	if name := trim(lines[0]); len(lines) == 1 && slices.Contains(offered, name) {
		return name, nil
	}
	return "", fmt.Errorf("the server's Sec-WebSocket-Protocol %s is none of the offered %q", quote(strings.Join(lines, ", ")), offered)
}
