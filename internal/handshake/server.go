package handshake

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
)

const (
	keyLen = 24                                     // 16 bytes in base64
	guid   = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455 1.3
)

// IsUpgrade reports whether a request asks for a websocket by its Connection and Upgrade fields, whatever else may be
// wrong with it. Every request that CheckRequest accepts is one.
func IsUpgrade(r *http.Request) bool {
	return contains(r.Header[hdrUpgrade], "websocket") && contains(r.Header[hdrConnection], "upgrade")
}

// CheckRequest checks the client's side of the handshake (RFC 6455 4.2.1), all but its lists and its origin, and returns
// the Sec-WebSocket-Key. The error is an *Error.
func CheckRequest(r *http.Request) (key string, err error) {
	switch {
	case r.ProtoMajor > 1:
		return "", refuse(http.StatusHTTPVersionNotSupported,
			"the handshake is an HTTP/1.1 Upgrade, but the request came over "+r.Proto+": a proxy in front must speak HTTP/1.1 to this server")
	case r.Method != http.MethodGet:
		return "", refuse(http.StatusMethodNotAllowed, "a websocket is opened with GET, not "+quote(r.Method), "Allow", http.MethodGet)
	case !r.ProtoAtLeast(1, 1):
		return "", upgradeRequired("the handshake needs HTTP/1.1, but the request came over " + r.Proto +
			": a proxy in front must speak HTTP/1.1 to this server (nginx: proxy_http_version 1.1)")
	case !IsUpgrade(r):
		return "", notUpgrade(r)
	case r.Host == "":
		return "", refuse(http.StatusBadRequest, "the handshake has no Host header (RFC 6455 4.2.1)")
	case r.ContentLength != 0:
		// What would be its body must not be read as frames.
		return "", refuse(http.StatusBadRequest, "the handshake must not have a body: remove Content-Length and Transfer-Encoding")
	}
	if err := checkVersion(r.Header[hdrVersion]); err != nil {
		return "", err
	}
	return checkKey(r.Header[hdrKey])
}

// notUpgrade tells a visitor who took the wrong road from a handshake that lost its hop-by-hop fields on the way.
func notUpgrade(r *http.Request) error {
	lost := "Connection header has no \"upgrade\""
	if !contains(r.Header[hdrUpgrade], "websocket") {
		lost = "Upgrade header has no \"websocket\""
	}
	if len(r.Header[hdrKey]) == 0 && len(r.Header[hdrUpgrade]) == 0 {
		return upgradeRequired("this is a websocket endpoint: connect with a websocket client (ws:// or wss://)")
	}
	return upgradeRequired("the " + lost + ": a proxy in front must forward the Upgrade and Connection headers")
}

func checkVersion(lines []string) error {
	switch {
	case len(lines) == 1 && trim(lines[0]) == "13":
		return nil
	case len(lines) == 0:
		return upgradeRequired("the Sec-WebSocket-Version header is missing: this server speaks version 13 (RFC 6455)")
	case len(lines) > 1:
		return refuse(http.StatusBadRequest, "the Sec-WebSocket-Version header came more than once")
	}
	return upgradeRequired("Sec-WebSocket-Version " + quote(lines[0]) + " is not supported: this server speaks version 13 (RFC 6455)")
}

// checkKey wants exactly one key of 16 bytes in base64.
func checkKey(lines []string) (string, error) {
	if len(lines) != 1 {
		return "", refuse(http.StatusBadRequest, fmt.Sprintf("the Sec-WebSocket-Key header came %d times: the handshake needs exactly one", len(lines)))
	}
	key := trim(lines[0])
	var raw [keyLen]byte
	if len(key) == keyLen {
		if n, err := base64.StdEncoding.Decode(raw[:], []byte(key)); err == nil && n == 16 {
			return key, nil
		}
	}
	return "", refuse(http.StatusBadRequest, "Sec-WebSocket-Key "+quote(key)+" is not 16 bytes in base64")
}

// upgradeRequired is a 426: with the protocol to upgrade to (RFC 9110 15.5.22) and the version of it (RFC 6455 4.4).
func upgradeRequired(text string) *Error {
	return refuse(http.StatusUpgradeRequired, text, hdrUpgrade, "websocket", hdrConnection, hdrUpgrade, hdrVersion, "13")
}

// AppendAcceptKey appends the Sec-WebSocket-Accept that answers a key of CheckRequest or NewKey (RFC 6455 4.2.2).
func AppendAcceptKey(b []byte, key string) []byte {
	var text [keyLen + len(guid)]byte
	n := copy(text[:keyLen], key)
	n += copy(text[n:], guid)
	sum := sha1.Sum(text[:n])
	return base64.StdEncoding.AppendEncode(b, sum[:])
}

// Response is what a server's 101 says.
type Response struct {
	Key        string      // the request's
	Protocol   string      // the chosen subprotocol; "" for none
	Extensions string      // the value of Sec-WebSocket-Extensions; "" for none
	Header     http.Header // further fields
}

// AppendResponse appends the 101 that completes the handshake (RFC 6455 4.2.2). Its error is about r.Header, see
// CheckHeader: build the response before the connection is hijacked, so that there is still a 500 to answer with.
func AppendResponse(b []byte, r Response) ([]byte, error) {
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b = AppendAcceptKey(b, r.Key)
	b = append(b, "\r\n"...)
	b = appendAgreement(b, r.Protocol, r.Extensions)
	b, err := appendHeader(b, r.Header)
	if err != nil {
		return nil, err
	}
	return append(b, "\r\n"...), nil
}

// appendAgreement appends the two fields that both ends send: subprotocols and extensions, left out when empty.
func appendAgreement(b []byte, protocols, extensions string) []byte {
	if protocols != "" {
		b = appendField(b, "Sec-WebSocket-Protocol", protocols)
	}
	if extensions != "" {
		b = appendField(b, "Sec-WebSocket-Extensions", extensions)
	}
	return b
}
