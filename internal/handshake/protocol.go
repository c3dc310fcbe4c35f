package handshake

import (
	"fmt"
	"net/http"
	"slices"
)

// maxProtocols is far above what any client offers, and low enough that going through the list for each of its elements
// costs nothing to speak of.
const maxProtocols = 64

// Protocols returns the subprotocols that the request's header offers, in the client's order, nil without any.
func Protocols(h http.Header) ([]string, error) {
	var offered []string
	for elem := range elements(h[hdrProtocol]) {
		offered = append(offered, elem)
		if len(offered) > maxProtocols {
			break
		}
	}
	if err := CheckProtocols(offered); err != nil {
		return nil, refuse(http.StatusBadRequest, "Sec-WebSocket-Protocol "+err.Error())
	}
	return offered, nil
}

// CheckProtocols reports why names can't be subprotocols: one that is no token (RFC 6455 4.1), listed twice, or too many.
// The error reads on behind the name of the list.
func CheckProtocols(names []string) error {
	if len(names) > maxProtocols {
		return fmt.Errorf("lists more than %d subprotocols", maxProtocols)
	}
	for i, name := range names {
		if !isToken(name) {
			return fmt.Errorf("has %s, which is no token (RFC 9110 5.6.2)", quote(name))
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("lists %s twice", quote(name))
		}
	}
	return nil
}

// ChooseProtocol returns the first of the server's subprotocols that the client offered, "" when they share none. The
// names are compared as they are, case included (RFC 6455 11.5).
func ChooseProtocol(server, offered []string) string {
	for _, name := range server {
		if slices.Contains(offered, name) {
			return name
		}
	}
	return ""
}
