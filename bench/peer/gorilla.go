//go:build linux

package peer

import (
	"bytes"
	"io"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

var gorilla = Server{
	Name:  "gorilla",
	Role:  Peer,
	About: "gorilla/websocket: NextReader into a kept buffer, WriteMessage, write buffer pool",
	Modes: map[Mode]Maker{
		Echo:      onGorilla(gorillaEcho),
		Text:      onGorilla(gorillaEcho),
		Stack:     onGorilla(gorillaEcho),
		Deflate:   onGorilla(gorillaEcho),
		Writers:   onGorilla(gorillaWriters),
		Broadcast: onGorilla(gorillaBroadcast),
		Prepared:  onGorilla(gorillaPreparedMessage),
		Room:      onGorilla(gorillaPreparedMessage),
		Mixed:     onGorilla(gorillaPreparedMessage),
	},
}

// onGorilla makes a mode of a function that is called with each connection and returns what handles its messages.
func onGorilla(open func(Config) func(*websocket.Conn) gorillaFunc) Maker {
	return onHTTP(func(cfg Config) http.HandlerFunc {
		up := websocket.Upgrader{WriteBufferPool: &sync.Pool{}, EnableCompression: cfg.Mode == Deflate || cfg.Mode == Mixed}
		opened := open(cfg)
		return func(w http.ResponseWriter, r *http.Request) {
			c, err := up.Upgrade(w, r, nil)
			if err != nil {
				return
			}
			gorillaServe(c, opened(c))
		}
	})
}

// gorillaLike is what the connections of gorilla/websocket and of its fork for fasthttp have in common.
type gorillaLike interface {
	comparable
	NextReader() (int, io.Reader, error)
	WriteMessage(t int, p []byte) error
	Close() error
}

// gorillaFunc handles a message; false ends the connection.
type gorillaFunc func(t int, p []byte) bool

func gorillaServe[C gorillaLike](c C, message gorillaFunc) {
	defer c.Close()
	for buf := new(bytes.Buffer); ; buf.Reset() {
		t, r, err := c.NextReader()
		if err != nil {
			return
		}
		if _, err := buf.ReadFrom(r); err != nil || !message(t, buf.Bytes()) {
			return
		}
	}
}

func gorillaEcho[C gorillaLike](cfg Config) func(C) gorillaFunc {
	return func(c C) gorillaFunc {
		return func(t int, p []byte) bool {
			return cfg.handle(t == websocket.TextMessage, p) && c.WriteMessage(t, p) == nil
		}
	}
}

func gorillaWriters[C gorillaLike](Config) func(C) gorillaFunc {
	return func(c C) gorillaFunc {
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

func gorillaBroadcast[C gorillaLike](cfg Config) func(C) gorillaFunc {
	var members room[C]
	return func(c C) gorillaFunc {
		members.join(c)
		return func(t int, p []byte) bool {
			for _, m := range burst(p, cfg.Burst) {
				members.each(func(c C) error { return c.WriteMessage(t, m) })
			}
			return true
		}
	}
}

func gorillaPreparedMessage(cfg Config) func(*websocket.Conn) gorillaFunc {
	return gorillaPrepared(cfg, websocket.NewPreparedMessage, (*websocket.Conn).WritePreparedMessage)
}

func gorillaPrepared[C gorillaLike, P any](cfg Config, prepare func(int, []byte) (P, error), write func(C, P) error) func(C) gorillaFunc {
	var members room[C]
	return func(c C) gorillaFunc {
		members.join(c)
		return func(t int, p []byte) bool {
			for _, m := range burst(p, cfg.Burst) {
				prepared, err := prepare(t, m)
				if err != nil {
					return false
				}
				members.each(func(c C) error { return write(c, prepared) })
			}
			return true
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
