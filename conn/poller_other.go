//go:build !linux || wsnoepoll

package conn

import (
	"context"
	"net"
)

// poller is for Linux; elsewhere, and with the build tag wsnoepoll, every
// connection has a goroutine that waits.
type poller struct{}

func (*poller) run(*Conn, Events) bool { return false }

func ownSocket(*net.TCPConn) (Transport, bool) { return nil, false }

func (*Conn) readPolled(context.Context, []byte) (int, error) { panic("unreachable") }

// attachment is a connection's place in a poller.
type attachment struct{}

func (*attachment) wake() {}
