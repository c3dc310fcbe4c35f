//go:build !linux || wsnoepoll

package conn

import "net"

// poller is for Linux; elsewhere, and with the build tag wsnoepoll, every
// connection has a goroutine that waits.
type poller struct{}

func (*poller) run(*Conn, Events) bool { return false }

func ownSocket(*net.TCPConn) (Transport, bool) { return nil, false }

// attachment is a connection's place in a poller.
type attachment struct{}

func (*attachment) wake() {}
