//go:build !linux || wsnoepoll

package conn

// poller is for Linux; elsewhere, and with the build tag wsnoepoll, every
// connection has a goroutine that waits.
type poller struct{}

func (*poller) run(*Conn, Events) bool { return false }

// attachment is a connection's place in a poller.
type attachment struct{}

func (*attachment) wake() {}
