package router

import "github.com/tidewire/ws"

// Known reports whether the package has something about a connection.
func Known(c *ws.Conn) bool {
	_, ok := sessions.Load(c)
	return ok
}
