package handshake

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// reserved are the fields that the handshake or HTTP's framing sets; a caller's own would contradict them.
var reserved = [...]string{"Connection", "Upgrade", "Host", "Content-Length", "Transfer-Encoding", "Trailer"}

const reservedPrefix = "Sec-WebSocket-"

// CheckHeader reports why the fields of h can't be added to a handshake: a name that is no token, a value that would
// break out of its line (CR, LF, NUL and other controls), or a field that is the handshake's own.
func CheckHeader(h http.Header) error {
	for name, values := range h {
		if !isToken(name) {
			return fmt.Errorf("header field name %s is no token (RFC 9110 5.1)", quote(name))
		}
		if isReserved(name) {
			return fmt.Errorf("header field %s is set by the handshake and can't be added", quote(name))
		}
		for _, v := range values {
			if !isFieldValue(v) {
				return fmt.Errorf("header field %s has a control character in its value", quote(name))
			}
		}
	}
	return nil
}

func isReserved(name string) bool {
	for _, r := range reserved {
		if equalFold(name, r) {
			return true
		}
	}
	return len(name) >= len(reservedPrefix) && equalFold(name[:len(reservedPrefix)], reservedPrefix)
}

// isFieldValue allows what RFC 9110 5.5 does: everything but controls, of which the tab is fine.
func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// appendHeader appends the checked fields of h in the order of their names.
func appendHeader(b []byte, h http.Header) ([]byte, error) {
	if len(h) == 0 {
		return b, nil
	}
	if err := CheckHeader(h); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			b = appendField(b, name, trim(v))
		}
	}
	return b, nil
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}
