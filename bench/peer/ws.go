//go:build linux

package peer

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/tidewire/ws"
)

// This library, several times over.
var (
	own = Server{
		Name:  "ws",
		Role:  Ours,
		About: "this library, Handler.Serve: Messages and Write; WritePrepared with all of a burst",
		Modes: map[Mode]Maker{
			Echo:      onHTTP(wsEcho),
			Text:      onHTTP(wsEcho),
			Stack:     onHTTP(wsEcho),
			Deflate:   onHTTP(wsEcho),
			Takeover:  onHTTP(wsEcho),
			Writers:   onHTTP(wsWriters),
			Broadcast: onHTTP(wsBroadcast),
			Prepared:  onHTTP(wsPrepared),
			Mixed:     onHTTP(wsPrepared),
		},
	}
	ownEvents = Server{
		Name:  "ws-events",
		Role:  Ours,
		About: "this library, Handler.Events: Message and Write",
		Modes: map[Mode]Maker{
			Echo:     onHTTP(wsEvents),
			Text:     onHTTP(wsEvents),
			Stack:    onHTTP(wsEvents),
			Deflate:  onHTTP(wsEvents),
			Takeover: onHTTP(wsEvents),
		},
	}
	ownTry = Server{
		Name:  "ws-trywrite",
		Role:  Ours,
		About: "this library, TryWrite with all of a burst",
		Modes: map[Mode]Maker{Prepared: onHTTP(wsTryWrite), Mixed: onHTTP(wsTryWrite)},
	}
	ownWaiter = Server{
		Name:  "ws-waiter",
		Role:  Ours,
		About: "this library, Handler.Events over connections that are no sockets: a goroutine waits for each",
		Modes: map[Mode]Maker{Echo: onHidden(wsEvents), Stack: onHidden(wsEvents)},
		Waits: true,
	}
)

// onHidden is onHTTP over connections that are no sockets.
func onHidden(handler func(Config) http.HandlerFunc) Maker {
	return func(cfg Config) func(net.Listener) error {
		serve := onHTTP(handler)(cfg)
		return func(ln net.Listener) error { return serve(hidden{ln}) }
	}
}

// wsMessage handles a message.
type wsMessage func(ctx context.Context, c *ws.Conn, m ws.Message) error

// Message makes wsMessage a ws.EventHandler.
func (f wsMessage) Message(ctx context.Context, c *ws.Conn, m ws.Message) error { return f(ctx, c, m) }

// wsServe serves connections that are shown to open first.
func wsServe(cfg Config, open func(*ws.Conn), message wsMessage) http.HandlerFunc {
	h := &ws.Handler{Options: wsOptions(cfg), Serve: func(ctx context.Context, c *ws.Conn) error {
		open(c)
		return message.each(ctx, c)
	}}
	return h.ServeHTTP
}

// each is no part of wsServe, since the compiler inlines Messages into a function, but not into a copy of one that it has
// inlined itself.
func (f wsMessage) each(ctx context.Context, c *ws.Conn) error {
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		if err := f(ctx, c, m); err != nil {
			return err
		}
	}
	return nil
}

// wsOptions compresses messages however short they are, as the peers do. The load generator reads when it expects something,
// and answers pings no sooner.
func wsOptions(cfg Config) ws.Options {
	o := ws.Options{CompressionThreshold: 1, PongTimeout: 10 * time.Minute, IdleTimeout: 10 * time.Minute}
	switch cfg.Mode {
	case Deflate:
		o.Compression = ws.CompressionNoTakeover
	case Takeover, Mixed:
		o.Compression = ws.CompressionTakeover
	}
	return o
}

func wsEcho(cfg Config) http.HandlerFunc {
	return wsServe(cfg, func(*ws.Conn) {}, wsReply(cfg))
}

func wsEvents(cfg Config) http.HandlerFunc {
	return (&ws.Handler{Options: wsOptions(cfg), Events: wsReply(cfg)}).ServeHTTP
}

func wsReply(cfg Config) wsMessage {
	cfg = cfg.checked()
	return func(ctx context.Context, c *ws.Conn, m ws.Message) error {
		if !cfg.handle(m.Type == ws.Text, m.Data) {
			return ws.Status(ws.StatusInvalidData, "")
		}
		return c.Write(ctx, m.Type, m.Data)
	}
}

func wsWriters(cfg Config) http.HandlerFunc {
	return wsServe(cfg, func(*ws.Conn) {}, func(ctx context.Context, c *ws.Conn, m ws.Message) error {
		writeFromMany(func() error { return c.Write(ctx, m.Type, m.Data) })
		return nil
	})
}

func wsBroadcast(cfg Config) http.HandlerFunc {
	var members room[*ws.Conn]
	return wsServe(cfg, members.join, func(ctx context.Context, _ *ws.Conn, m ws.Message) error {
		for _, p := range burst(m.Data, cfg.Burst) {
			members.each(func(c *ws.Conn) error { return c.Write(ctx, m.Type, p) })
		}
		return nil
	})
}

func wsPrepared(cfg Config) http.HandlerFunc {
	return wsPreparedBy(cfg, func(ctx context.Context, c *ws.Conn, all []*ws.Prepared) error {
		return c.WritePrepared(ctx, all...)
	})
}

func wsTryWrite(cfg Config) http.HandlerFunc {
	return wsPreparedBy(cfg, func(_ context.Context, c *ws.Conn, all []*ws.Prepared) error {
		_, err := c.TryWrite(all...)
		return err
	})
}

func wsPreparedBy(cfg Config, write func(context.Context, *ws.Conn, []*ws.Prepared) error) http.HandlerFunc {
	var members room[*ws.Conn]
	return wsServe(cfg, members.join, func(ctx context.Context, _ *ws.Conn, m ws.Message) error {
		var all []*ws.Prepared
		for _, p := range burst(m.Data, cfg.Burst) {
			prepared, err := ws.NewPrepared(ws.Message{Type: m.Type, Data: p})
			if err != nil {
				return err
			}
			all = append(all, prepared)
		}
		members.each(func(c *ws.Conn) error { return write(ctx, c, all) })
		return nil
	})
}

var ownClient = Client{
	Name:  "ws",
	Role:  Ours,
	About: "this library: AppendRead into a kept buffer, Write, contexts that never end",
	Dial: func(url string) (Session, error) {
		c, _, err := ws.Dial(context.Background(), url, nil)
		if err != nil {
			return nil, err
		}
		return &wsSession{Conn: c}, nil
	},
}

type wsSession struct {
	*ws.Conn
	buf []byte
}

func (s *wsSession) Echo(p []byte, more func([]byte) bool) error {
	ctx := context.Background()
	for {
		if err := s.Write(ctx, ws.Binary, p); err != nil {
			return err
		}
		_, reply, err := s.AppendRead(ctx, s.buf[:0])
		if err != nil {
			return err
		}
		if s.buf = reply; !more(reply) {
			return nil
		}
	}
}

func (s *wsSession) Close() error { return s.Conn.Close(context.Background(), ws.StatusNormal, "") }
