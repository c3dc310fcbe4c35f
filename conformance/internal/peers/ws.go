package peers

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/tidewire/ws"
)

// maxFragments is more than section 9 has in a message.
const maxFragments = 100_000

func wsPeers() []Peer {
	return []Peer{
		{Name: "ws", Server: func(limit int64) http.Handler {
			return &ws.Handler{Serve: wsEcho, Options: wsOptions(limit)}
		}, Client: func(ctx context.Context, url string, limit int64) error {
			c, _, err := ws.Dial(ctx, url, &ws.DialOptions{
				ReadLimit: limit, MaxFragments: maxFragments, Compression: ws.CompressionTakeover,
			})
			if err != nil {
				return err
			}
			defer c.CloseNow()
			_ = wsEcho(ctx, c)
			return nil
		}},
		{Name: "ws, events", Server: func(limit int64) http.Handler {
			return &ws.Handler{Events: wsEvents{}, Options: wsOptions(limit)}
		}},
	}
}

func wsOptions(limit int64) ws.Options {
	return ws.Options{ReadLimit: limit, MaxFragments: maxFragments, Compression: ws.CompressionTakeover,
		Logger: slog.New(slog.DiscardHandler)}
}

func wsEcho(ctx context.Context, c *ws.Conn) error {
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		if err := c.Write(ctx, m.Type, m.Data); err != nil {
			return err
		}
	}
	return nil
}

type wsEvents struct{}

func (wsEvents) Message(ctx context.Context, c *ws.Conn, m ws.Message) error {
	return c.Write(ctx, m.Type, m.Data)
}
