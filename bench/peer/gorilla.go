//go:build linux

package peer

import (
	"bytes"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

var gorilla = Server{
	Name:  "gorilla",
	Role:  Peer,
	About: "gorilla/websocket: NextReader into a kept buffer, WriteMessage, write buffer pool",
	Modes: map[Mode]Maker{
		Echo:      onHTTP(gorillaEcho),
		Text:      onHTTP(gorillaEcho),
		Stack:     onHTTP(gorillaEcho),
		Deflate:   onHTTP(gorillaEcho),
		Writers:   onHTTP(gorillaWriters),
		Broadcast: onHTTP(gorillaBroadcast),
		Prepared:  onHTTP(gorillaPrepared),
	},
}

func gorillaEcho(cfg Config) http.HandlerFunc {
	return gorillaHandler(cfg, func(c *websocket.Conn) gorillaFunc {
		return func(t int, p []byte) bool {
			return cfg.handle(t == websocket.TextMessage, p) && c.WriteMessage(t, p) == nil
		}
	})
}

func gorillaWriters(cfg Config) http.HandlerFunc {
	return gorillaHandler(cfg, func(c *websocket.Conn) gorillaFunc {
		var mu sync.Mutex // the library wants one writer at a time
		return func(t int, p []byte) bool {
			writeFromMany(func() error {
				mu.Lock()
				defer mu.Unlock()
				return c.WriteMessage(t, p)
			})
			return true
		}
	})
}

func gorillaBroadcast(cfg Config) http.HandlerFunc {
	var members room[*websocket.Conn]
	return gorillaHandler(cfg, func(c *websocket.Conn) gorillaFunc {
		members.join(c)
		return func(t int, p []byte) bool {
			for _, m := range burst(p, cfg.Burst) {
				members.each(func(c *websocket.Conn) error { return c.WriteMessage(t, m) })
			}
			return true
		}
	})
}

func gorillaPrepared(cfg Config) http.HandlerFunc {
	var members room[*websocket.Conn]
	return gorillaHandler(cfg, func(c *websocket.Conn) gorillaFunc {
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
	})
}

// gorillaFunc handles a message; false ends the connection.
type gorillaFunc func(t int, p []byte) bool

func gorillaHandler(cfg Config, open func(*websocket.Conn) gorillaFunc) http.HandlerFunc {
	up := websocket.Upgrader{WriteBufferPool: &sync.Pool{}, EnableCompression: cfg.Mode == Deflate}
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		message := open(c)
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
}

var gorillaClient = Client{
	Name:  "gorilla",
	Role:  Peer,
	About: "gorilla/websocket: NextReader into a kept buffer, WriteMessage, write buffer pool",
	Dial: func(url string) (Session, error) {
		c, _, err := gorillaDialer.Dial(url, nil)
		if err != nil {
			return nil, err
		}
		return &gorillaSession{Conn: c}, nil
	},
}

var gorillaDialer = websocket.Dialer{WriteBufferPool: &sync.Pool{}}

type gorillaSession struct {
	*websocket.Conn
	buf bytes.Buffer
}

func (s *gorillaSession) Echo(p []byte, more func([]byte) bool) error {
	for {
		if err := s.WriteMessage(websocket.BinaryMessage, p); err != nil {
			return err
		}
		_, r, err := s.NextReader()
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

func (s *gorillaSession) Close() error {
	defer s.Conn.Close()
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := s.WriteMessage(websocket.CloseMessage, bye); err != nil {
		return err
	}
	if _, _, err := s.NextReader(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		return err
	}
	return nil
}
