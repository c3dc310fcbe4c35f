//go:build linux

package peer

import (
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
		Echo:      onFastHTTP(gorillaEcho),
		Text:      onFastHTTP(gorillaEcho),
		Stack:     onFastHTTP(gorillaEcho),
		Deflate:   onFastHTTP(gorillaEcho),
		Writers:   onFastHTTP(gorillaWriters),
		Broadcast: onFastHTTP(gorillaBroadcast),
		Prepared: onFastHTTP(func(cfg Config) func(*websocket.Conn) gorillaFunc {
			return gorillaPrepared(cfg, websocket.NewPreparedMessage, (*websocket.Conn).WritePreparedMessage)
		}),
	},
}

// onFastHTTP is onGorilla for the fork.
func onFastHTTP(open func(Config) func(*websocket.Conn) gorillaFunc) Maker {
	return func(cfg Config) func(net.Listener) error {
		if cfg.Chi {
			return nil
		}
		up := websocket.FastHTTPUpgrader{WriteBufferPool: &sync.Pool{}, EnableCompression: cfg.Mode == Deflate}
		opened := open(cfg)
		server := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			// A refusal has been answered when Upgrade returns it.
			_ = up.Upgrade(ctx, func(c *websocket.Conn) { gorillaServe(c, opened(c)) })
		}}
		return server.Serve
	}
}
