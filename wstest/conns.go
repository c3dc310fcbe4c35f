package wstest

import (
	"net"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
)

// Conns makes the two ends of a connection over a Pipe, with the given settings.
// They overwrite a message's Data when its step of Messages is over, so that code
// which keeps it fails in its tests.
func Conns(server, client conn.Config) (*ws.Conn, *ws.Conn) {
	a, b := Pipe()
	client.Client = true
	return newConn(a, server), newConn(b, client)
}

func newConn(nc net.Conn, cfg conn.Config) *ws.Conn {
	cfg.Poison = true
	cfg.LocalAddr, cfg.RemoteAddr = nc.LocalAddr(), nc.RemoteAddr()
	return conn.New(conn.NetTransport(nc), cfg)
}
