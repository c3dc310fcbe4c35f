package peers

import (
	"context"
	"net/http"

	"github.com/coder/websocket"
)

func coderPeer() Peer {
	return Peer{
		Name: "coder/websocket",
		Server: func(limit int64) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionContextTakeover})
				if err == nil {
					coderEcho(r.Context(), c, limit)
				}
			})
		},
		Client: func(ctx context.Context, url string, limit int64) error {
			c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
			if err == nil {
				coderEcho(ctx, c, limit)
			}
			return err
		},
	}
}

func coderEcho(ctx context.Context, c *websocket.Conn, limit int64) {
	defer c.CloseNow()
	c.SetReadLimit(limit)
	for {
		t, data, err := c.Read(ctx)
		if err != nil {
			return
		}
		if err := c.Write(ctx, t, data); err != nil {
			return
		}
	}
}
