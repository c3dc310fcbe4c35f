//go:build linux

package peer

import (
	"net/http"
	"sync/atomic"

	gwslib "github.com/lxzan/gws"
)

var gws = Server{
	Name:  "gws",
	Role:  Peer,
	About: "lxzan/gws: ReadLoop in a goroutine of its own, as its README has it; UTF-8 check on for text",
	Modes: map[Mode]Maker{
		Echo:      onHTTP(gwsEcho),
		Text:      onHTTP(gwsEcho),
		Stack:     onHTTP(gwsEcho),
		Deflate:   onHTTP(gwsEcho),
		Takeover:  onHTTP(gwsEcho),
		Writers:   onHTTP(gwsWriters),
		Broadcast: onHTTP(gwsBroadcast),
		Prepared:  onHTTP(gwsPrepared),
		Room:      onHTTP(gwsPrepared),
		Mixed:     onHTTP(gwsPrepared),
	},
}

// gwsEvents is an event handler made of functions.
type gwsEvents struct {
	gwslib.BuiltinEventHandler
	open    func(*gwslib.Conn)
	message func(*gwslib.Conn, gwslib.Opcode, []byte)
}

func (e *gwsEvents) OnOpen(c *gwslib.Conn) {
	if e.open != nil {
		e.open(c)
	}
}

func (e *gwsEvents) OnMessage(c *gwslib.Conn, m *gwslib.Message) {
	defer m.Close()
	e.message(c, m.Opcode, m.Bytes())
}

func gwsEcho(cfg Config) http.HandlerFunc {
	work := cfg.checked()
	return gwsHandler(cfg, &gwsEvents{message: func(c *gwslib.Conn, op gwslib.Opcode, p []byte) {
		if work.handle(op == gwslib.OpcodeText, p) {
			c.WriteMessage(op, p)
		}
	}})
}

func gwsWriters(cfg Config) http.HandlerFunc {
	return gwsHandler(cfg, &gwsEvents{message: func(c *gwslib.Conn, op gwslib.Opcode, p []byte) {
		writeFromMany(func() error { return c.WriteMessage(op, p) })
	}})
}

func gwsBroadcast(cfg Config) http.HandlerFunc {
	var members room[*gwslib.Conn]
	return gwsHandler(cfg, &gwsEvents{
		open: func(c *gwslib.Conn) { members.join(c) },
		message: func(_ *gwslib.Conn, op gwslib.Opcode, p []byte) {
			for _, m := range burst(p, cfg.Burst) {
				members.each(func(c *gwslib.Conn) error { return c.WriteMessage(op, m) })
			}
		},
	})
}

func gwsPrepared(cfg Config) http.HandlerFunc {
	var members room[*gwslib.Conn]
	return gwsHandler(cfg, &gwsEvents{
		open: func(c *gwslib.Conn) { members.join(c) },
		message: func(_ *gwslib.Conn, op gwslib.Opcode, p []byte) {
			for _, m := range burst(p, cfg.Burst) {
				b := gwslib.NewBroadcaster(op, m)
				members.each(b.Broadcast)
				b.Close()
			}
		},
	})
}

func gwsHandler(cfg Config, events *gwsEvents) http.HandlerFunc {
	takeover := cfg.Mode == Takeover || cfg.Mode == Mixed
	up := gwslib.NewUpgrader(events, &gwslib.ServerOption{
		CheckUtf8Enabled: cfg.Mode == Text,
		PermessageDeflate: gwslib.PermessageDeflate{
			Enabled:               takeover || cfg.Mode == Deflate,
			Threshold:             1,
			ServerContextTakeover: takeover,
			ClientContextTakeover: takeover,
		},
	})
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r)
		if err != nil {
			return
		}
		go c.ReadLoop()
	}
}

var gwsClient = Client{
	Name:  "gws",
	Role:  Peer,
	About: "lxzan/gws: ReadLoop in a goroutine of its own",
	Dial: func(url string) (Session, error) {
		s := &gwsSession{done: make(chan error, 1)}
		c, _, err := gwslib.NewClient(s, &gwslib.ClientOption{Addr: url})
		if err != nil {
			return nil, err
		}
		s.Conn = c
		go c.ReadLoop()
		return s, nil
	},
}

// gwsSession is a connection and its event handler.
type gwsSession struct {
	gwslib.BuiltinEventHandler
	*gwslib.Conn
	turn atomic.Pointer[gwsTurn]
	done chan error // the end of a turn, or of the connection
}

type gwsTurn struct {
	payload []byte
	more    func([]byte) bool
}

func (s *gwsSession) OnMessage(c *gwslib.Conn, m *gwslib.Message) {
	defer m.Close()
	turn := s.turn.Load()
	if !turn.more(m.Bytes()) {
		s.done <- nil
		return
	}
	c.WriteMessage(gwslib.OpcodeBinary, turn.payload)
}

func (s *gwsSession) OnClose(_ *gwslib.Conn, err error) { s.done <- err }

func (s *gwsSession) Echo(p []byte, more func([]byte) bool) error {
	s.turn.Store(&gwsTurn{p, more})
	if err := s.WriteMessage(gwslib.OpcodeBinary, p); err != nil {
		return err
	}
	return <-s.done
}

func (s *gwsSession) Close() error {
	if err := s.WriteClose(1000, nil); err != nil {
		return err
	}
	<-s.done
	return nil
}
