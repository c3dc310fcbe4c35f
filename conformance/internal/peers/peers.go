// Package peers holds echo servers and clients written with the libraries that the suite is run against, each as its
// own documentation recommends.
package peers

import (
	"context"
	"net/http"
)

// Peer is a library under test.
type Peer struct {
	Name string
	// Server returns an echo server's handler, which reads messages of up to limit bytes.
	Server func(limit int64) http.Handler
	// Client connects to url and echoes until the connection ends. Only a failed handshake is an error. nil: there is none.
	Client func(ctx context.Context, url string, limit int64) error
}

// All returns this module's own peers, then the others in the order of their age.
func All() []Peer {
	return append(wsPeers(), gorillaPeer(), gobwasPeer(), coderPeer(), gwsPeer())
}
