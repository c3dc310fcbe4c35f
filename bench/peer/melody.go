//go:build linux

package peer

import (
	"net/http"

	"github.com/olahol/melody"
)

var melodyServer = Server{
	Name:  "melody",
	Role:  Peer,
	About: "olahol/melody: HandleMessage and Write, its own broadcast; it drops what a full queue can't take, so no writers",
	Modes: map[Mode]Maker{
		Echo:      onHTTP(melodyEcho),
		Text:      onHTTP(melodyEcho),
		Stack:     onHTTP(melodyEcho),
		Broadcast: onHTTP(melodyBroadcast),
		Room:      onHTTP(melodyBroadcast),
	},
}

func melodyEcho(cfg Config) http.HandlerFunc {
	m := melody.New()
	m.HandleMessage(func(s *melody.Session, p []byte) {
		if !cfg.handle(true, p) {
			s.Close()
			return
		}
		s.Write(p)
	})
	m.HandleMessageBinary(func(s *melody.Session, p []byte) {
		cfg.handle(false, p)
		s.WriteBinary(p)
	})
	return melodyHandler(m)
}

func melodyBroadcast(cfg Config) http.HandlerFunc {
	m := melody.New()
	m.HandleMessageBinary(func(_ *melody.Session, p []byte) {
		for _, p := range burst(p, cfg.Burst) {
			m.BroadcastBinary(p)
		}
	})
	return melodyHandler(m)
}

func melodyHandler(m *melody.Melody) http.HandlerFunc {
	m.Config.MaxMessageSize = 1 << 20
	return func(w http.ResponseWriter, r *http.Request) { m.HandleRequest(w, r) }
}
