// Package handshake holds the opening handshake of RFC 6455 section 4 as functions over header fields, for both ends:
// what a server checks and answers, what a client sends and checks, and which origins may connect. It does no I/O, and
// leaves the meaning of Sec-WebSocket-Extensions to its callers.
package handshake

import (
	"fmt"
	"net/http"
)

// Header names as net/http keys them.
const (
	hdrConnection = "Connection"
	hdrUpgrade    = "Upgrade"
	hdrKey        = "Sec-Websocket-Key"
	hdrAccept     = "Sec-Websocket-Accept"
	hdrVersion    = "Sec-Websocket-Version"
	hdrProtocol   = "Sec-Websocket-Protocol"
)

// Error is a refused request as the HTTP response that says so.
type Error struct {
	Status int         // 400, 403, 405, 426 or 505
	Header http.Header // fields that the status calls for: Allow, Upgrade, Sec-WebSocket-Version; may be nil
	Text   string      // one line: what is wrong and what to change; quotes at most a few words of the request
}

// Error returns the text without a prefix.
func (e *Error) Error() string { return e.Text }

// refuse makes an Error; fields are header names and values in turn.
func refuse(status int, text string, fields ...string) *Error {
	e := &Error{Status: status, Text: text}
	for i := 0; i+1 < len(fields); i += 2 {
		if e.Header == nil {
			e.Header = make(http.Header, len(fields)/2)
		}
		e.Header.Set(fields[i], fields[i+1])
	}
	return e
}

// quote shows a piece of the peer's input in an error, cut so that it can't flood a log.
func quote(s string) string {
	const most = 100
	if len(s) > most {
		return fmt.Sprintf("%q...", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
