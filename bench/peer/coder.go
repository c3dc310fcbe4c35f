//go:build linux

package peer

import (
	"bytes"
	"context"
	"net/http"

	"github.com/coder/websocket"
)

var coder = Server{
	Name:  "coder",
	Role:  Peer,
	About: "coder/websocket: Reader into a kept buffer, Write, contexts that never end",
	Modes: map[Mode]Maker{
		Echo:      onHTTP(coderEcho),
		Text:      onHTTP(coderEcho),
		Stack:     onHTTP(coderEcho),
		Deflate:   onHTTP(coderEcho),
		Takeover:  onHTTP(coderEcho),
		Writers:   onHTTP(coderWriters),
		Broadcast: onHTTP(coderBroadcast),
	},
}

func coderEcho(cfg Config) http.HandlerFunc {
	return coderHandler(cfg, func(c *websocket.Conn) coderFunc {
		return func(ctx context.Context, t websocket.MessageType, p []byte) bool {
			return cfg.handle(t == websocket.MessageText, p) && c.Write(ctx, t, p) == nil
		}
	})
}

func coderWriters(cfg Config) http.HandlerFunc {
	return coderHandler(cfg, func(c *websocket.Conn) coderFunc {
		return func(ctx context.Context, t websocket.MessageType, p []byte) bool {
			writeFromMany(func() error { return c.Write(ctx, t, p) })
			return true
		}
	})
}

func coderBroadcast(cfg Config) http.HandlerFunc {
	var members room[*websocket.Conn]
	return coderHandler(cfg, func(c *websocket.Conn) coderFunc {
		members.join(c)
		return func(ctx context.Context, t websocket.MessageType, p []byte) bool {
			for _, m := range burst(p, cfg.Burst) {
				members.each(func(c *websocket.Conn) error { return c.Write(ctx, t, m) })
			}
			return true
		}
	})
}

// coderFunc handles a message; false ends the connection.
type coderFunc func(ctx context.Context, t websocket.MessageType, p []byte) bool

func coderHandler(cfg Config, open func(*websocket.Conn) coderFunc) http.HandlerFunc {
	o := &websocket.AcceptOptions{CompressionThreshold: 1}
	switch cfg.Mode {
	case Deflate:
		o.CompressionMode = websocket.CompressionNoContextTakeover
	case Takeover:
		o.CompressionMode = websocket.CompressionContextTakeover
	}
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, o)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 20)
		ctx := context.Background() // not r.Context(), says its README
		message := open(c)
		for buf := new(bytes.Buffer); ; buf.Reset() {
			t, rd, err := c.Reader(ctx)
			if err != nil {
				return
			}
			if _, err := buf.ReadFrom(rd); err != nil || !message(ctx, t, buf.Bytes()) {
				return
			}
		}
	}
}

var coderClient = Client{
	Name:  "coder",
	Role:  Peer,
	About: "coder/websocket: Reader into a kept buffer, Write, contexts that never end",
	Dial: func(url string) (Session, error) {
		c, _, err := websocket.Dial(context.Background(), url, nil)
		if err != nil {
			return nil, err
		}
		c.SetReadLimit(1 << 20)
		return &coderSession{Conn: c}, nil
	},
}

type coderSession struct {
	*websocket.Conn
	buf bytes.Buffer
}

func (s *coderSession) Echo(p []byte, more func([]byte) bool) error {
	ctx := context.Background()
	for {
		if err := s.Write(ctx, websocket.MessageBinary, p); err != nil {
			return err
		}
		_, r, err := s.Reader(ctx)
		if err != nil {
			return err
		}
		s.buf.Reset()
		if _, err := s.buf.ReadFrom(r); err != nil {
			return err
		}
		if !more(s.buf.Bytes()) {
			return nil
		}
	}
}

func (s *coderSession) Close() error { return s.Conn.Close(websocket.StatusNormalClosure, "") }
