//go:build linux

package peer

import (
	"bytes"
	"net"
	"sync"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"
)

var fast = Server{
	Name:  "fasthttp",
	Role:  Peer,
	About: "fasthttp/websocket on fasthttp's server: NextReader into a kept buffer, WriteMessage, write buffer pool",
	Modes: map[Mode]Maker{
		Echo:      onFastHTTP(fastEcho),
		Text:      onFastHTTP(fastEcho),
		Stack:     onFastHTTP(fastEcho),
		Deflate:   onFastHTTP(fastEcho),
		Writers:   onFastHTTP(fastWriters),
		Broadcast: onFastHTTP(fastBroadcast),
		Prepared:  onFastHTTP(fastPrepared),
	},
}

// onFastHTTP makes a mode of a function that is called with each connection and returns what handles its messages.
func onFastHTTP(open func(Config) func(*websocket.Conn) gorillaFunc) Maker {
	return func(cfg Config) func(net.Listener) error {
		if cfg.Chi {
			return nil
		}
		opened := open(cfg)
		up := websocket.FastHTTPUpgrader{WriteBufferPool: &sync.Pool{}, EnableCompression: cfg.Mode == Deflate}
		server := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			up.Upgrade(ctx, func(c *websocket.Conn) { fastServe(c, opened(c)) })
		}}
		return server.Serve
	}
}

func fastServe(c *websocket.Conn, message gorillaFunc) {
	defer c.Close()
	for buf := new(bytes.Buffer); ; buf.Reset() {
		t, rd, err := c.NextReader()
		if err != nil {
			return
		}
		if _, err := buf.ReadFrom(rd); err != nil || !message(t, buf.Bytes()) {
			return
		}
	}
}

func fastEcho(cfg Config) func(*websocket.Conn) gorillaFunc {
	return func(c *websocket.Conn) gorillaFunc {
		return func(t int, p []byte) bool {
			return cfg.handle(t == websocket.TextMessage, p) && c.WriteMessage(t, p) == nil
		}
	}
}

func fastWriters(Config) func(*websocket.Conn) gorillaFunc {
	return func(c *websocket.Conn) gorillaFunc {
		var mu sync.Mutex // the library wants one writer at a time
		return func(t int, p []byte) bool {
			writeFromMany(func() error {
				mu.Lock()
				defer mu.Unlock()
				return c.WriteMessage(t, p)
			})
			return true
		}
	}
}

func fastBroadcast(cfg Config) func(*websocket.Conn) gorillaFunc {
	var members room[*websocket.Conn]
	return func(c *websocket.Conn) gorillaFunc {
		members.join(c)
		return func(t int, p []byte) bool {
			for _, m := range burst(p, cfg.Burst) {
				members.each(func(c *websocket.Conn) error { return c.WriteMessage(t, m) })
			}
			return true
		}
	}
}

func fastPrepared(cfg Config) func(*websocket.Conn) gorillaFunc {
	var members room[*websocket.Conn]
	return func(c *websocket.Conn) gorillaFunc {
		members.join(c)
		return func(t int, p []byte) bool {
			for _, m := range burst(p, cfg.Burst) {
				prepared, err := websocket.NewPreparedMessage(t, m)
				if err != nil {
					return false
				}
				members.each(func(c *websocket.Conn) error { return c.WritePreparedMessage(prepared) })
			}
			return true
		}
	}
}
