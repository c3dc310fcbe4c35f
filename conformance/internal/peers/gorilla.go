package peers

import (
	"context"
	"net/http"

	"github.com/gorilla/websocket"
)

func gorillaPeer() Peer {
	up := websocket.Upgrader{EnableCompression: true, CheckOrigin: func(*http.Request) bool { return true }}
	dialer := websocket.Dialer{EnableCompression: true}
	return Peer{
		Name: "gorilla/websocket",
		Server: func(limit int64) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := up.Upgrade(w, r, nil)
				if err != nil {
					return // Upgrade has answered
				}
				gorillaEcho(c, limit)
			})
		},
		Client: func(ctx context.Context, url string, limit int64) error {
			c, _, err := dialer.DialContext(ctx, url, nil)
			if err != nil {
				return err
			}
			gorillaEcho(c, limit)
			return nil
		},
	}
}

func gorillaEcho(c *websocket.Conn, limit int64) {
	defer c.Close()
	c.SetReadLimit(limit)
	for {
		t, data, err := c.ReadMessage()
		if err != nil {
			return
		}
		if err := c.WriteMessage(t, data); err != nil {
			return
		}
	}
}
