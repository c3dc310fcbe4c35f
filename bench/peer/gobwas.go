//go:build linux

package peer

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/gobwas/ws"
)

var gobwas = Server{
	Name:  "gobwas",
	Role:  Peer,
	About: "gobwas/ws: frames through two 4 KB bufio buffers, flushed when no input is left, in a goroutine of the connection's own",
	Modes: map[Mode]Maker{
		Echo:      onHTTP(gobwasEcho),
		Text:      onHTTP(gobwasEcho),
		Stack:     onHTTP(gobwasEcho),
		Writers:   onHTTP(gobwasWriters),
		Broadcast: onHTTP(gobwasBroadcast),
		Prepared:  onHTTP(gobwasPrepared),
	},
}

// gobwasConn is what a user of the library writes around a connection.
type gobwasConn struct {
	net.Conn
	r  *bufio.Reader
	w  *bufio.Writer
	mu sync.Mutex // guards w where not only the reader writes
}

func (c *gobwasConn) write(op ws.OpCode, p []byte) error {
	if err := ws.WriteHeader(c.w, ws.Header{Fin: true, OpCode: op, Length: int64(len(p))}); err != nil {
		return err
	}
	_, err := c.w.Write(p)
	return err
}

func (c *gobwasConn) send(op ws.OpCode, p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.write(op, p); err != nil {
		return err
	}
	return c.w.Flush()
}

// read reads a frame into buf, grown if needed.
func (c *gobwasConn) read(side ws.State, buf []byte) (ws.OpCode, []byte, error) {
	h, err := ws.ReadHeader(c.r)
	if err != nil {
		return 0, nil, err
	}
	if err := ws.CheckHeader(h, side); err != nil {
		return 0, nil, err
	}
	if h.Length > 1<<20 {
		return 0, nil, io.ErrShortBuffer
	}
	buf = slices.Grow(buf[:0], int(h.Length))[:h.Length]
	if _, err := io.ReadFull(c.r, buf); err != nil {
		return 0, nil, err
	}
	if h.Masked {
		ws.Cipher(buf, h.Mask, 0)
	}
	return h.OpCode, buf, nil
}

func gobwasEcho(cfg Config) http.HandlerFunc {
	return gobwasHandler(func(c *gobwasConn) gobwasFunc {
		return func(op ws.OpCode, p []byte) bool {
			if !cfg.handle(op == ws.OpText, p) || c.write(op, p) != nil {
				return false
			}
			return c.r.Buffered() > 0 || c.w.Flush() == nil
		}
	})
}

func gobwasWriters(cfg Config) http.HandlerFunc {
	return gobwasHandler(func(c *gobwasConn) gobwasFunc {
		return func(op ws.OpCode, p []byte) bool {
			writeFromMany(func() error { return c.send(op, p) })
			return true
		}
	})
}

func gobwasBroadcast(cfg Config) http.HandlerFunc {
	var members room[*gobwasConn]
	return gobwasHandler(func(c *gobwasConn) gobwasFunc {
		members.join(c)
		return func(op ws.OpCode, p []byte) bool {
			for _, m := range burst(p, cfg.Burst) {
				members.each(func(c *gobwasConn) error { return c.send(op, m) })
			}
			return true
		}
	})
}

func gobwasPrepared(cfg Config) http.HandlerFunc {
	var members room[*gobwasConn]
	return gobwasHandler(func(c *gobwasConn) gobwasFunc {
		members.join(c)
		return func(op ws.OpCode, p []byte) bool {
			for _, m := range burst(p, cfg.Burst) {
				frame, err := ws.CompileFrame(ws.NewFrame(op, true, m))
				if err != nil {
					return false
				}
				members.each(func(c *gobwasConn) error {
					c.mu.Lock()
					defer c.mu.Unlock()
					_, err := c.Write(frame)
					return err
				})
			}
			return true
		}
	})
}

// gobwasFunc handles a message; false ends the connection.
type gobwasFunc func(op ws.OpCode, p []byte) bool

func gobwasHandler(open func(*gobwasConn) gobwasFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		c := &gobwasConn{Conn: conn, r: bufio.NewReader(conn), w: bufio.NewWriter(conn)}
		go c.serve(open(c))
	}
}

func (c *gobwasConn) serve(message gobwasFunc) {
	defer c.Close()
	var buf []byte
	for {
		op, p, err := c.read(ws.StateServerSide, buf)
		if err != nil {
			return
		}
		switch buf = p; op {
		case ws.OpText, ws.OpBinary:
			if !message(op, p) {
				return
			}
		case ws.OpClose:
			c.send(op, p)
			return
		case ws.OpPing:
			if c.send(ws.OpPong, p) != nil {
				return
			}
		}
	}
}

var gobwasClient = Client{
	Name:  "gobwas",
	Role:  Peer,
	About: "gobwas/ws: frames through two 4 KB bufio buffers",
	Dial: func(url string) (Session, error) {
		conn, r, _, err := ws.Dial(context.Background(), url)
		if err != nil {
			return nil, err
		}
		if r == nil {
			r = bufio.NewReader(conn)
		}
		return &gobwasSession{gobwasConn: gobwasConn{Conn: conn, r: r, w: bufio.NewWriter(conn)}}, nil
	},
}

type gobwasSession struct {
	gobwasConn
	in, out []byte
}

// say sends a client's frame: p, masked in a copy.
func (s *gobwasSession) say(op ws.OpCode, p []byte) error {
	s.out = append(s.out[:0], p...)
	h := ws.Header{Fin: true, OpCode: op, Masked: true, Mask: ws.NewMask(), Length: int64(len(p))}
	ws.Cipher(s.out, h.Mask, 0)
	if err := ws.WriteHeader(s.w, h); err != nil {
		return err
	}
	if _, err := s.w.Write(s.out); err != nil {
		return err
	}
	return s.w.Flush()
}

func (s *gobwasSession) Echo(p []byte, more func([]byte) bool) error {
	for {
		if err := s.say(ws.OpBinary, p); err != nil {
			return err
		}
		_, reply, err := s.read(ws.StateClientSide, s.in)
		if err != nil {
			return err
		}
		if s.in = reply; !more(reply) {
			return nil
		}
	}
}

func (s *gobwasSession) Close() error {
	defer s.Conn.Close()
	if err := s.say(ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, "")); err != nil {
		return err
	}
	op, _, err := s.read(ws.StateClientSide, s.in)
	if err == nil && op != ws.OpClose {
		err = errors.New("no close frame came back")
	}
	return err
}
