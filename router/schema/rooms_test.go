package schema_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/middleware"
	"github.com/tidewire/ws/router"
)

// The generated client's rooms against a hub, over real connections; what is
// expected stands in client/rooms.mjs.
func TestRooms(t *testing.T) {
	s := newRooms()
	srv := httptest.NewServer(s)
	defer srv.Close()
	t.Logf("%s", node(t, nil, "--experimental-websocket", "--no-warnings", "client/rooms.mjs", srv.URL))
}

type utterance struct {
	By   string `json:"by"`
	Text string `json:"text"`
}

func (u utterance) Validate() error {
	if u.Text == "" {
		return router.Field("text", "is missing")
	}
	return nil
}

// rooms is a server whose connections break where the client has to cope.
type rooms struct {
	http.Handler
	hub  *hub.Hub
	said *router.Event[utterance]
	gate sync.RWMutex // held while nobody is let in
	once sync.Map     // what goes wrong the first time only
	last atomic.Value // the last message's envelope
}

func newRooms() *rooms {
	s := &rooms{hub: hub.New(&hub.Options{Rooms: roomOptions})}
	r := router.New(router.Options{Concurrency: 4}) // the client doesn't count on more order than it has asked for
	r.Use(s.trouble)
	p := s.hub.Mount(r, &hub.Access{
		Join: func(_ context.Context, _, room string) error {
			switch {
			case room == "secret":
				return &router.Error{Code: router.Forbidden}
			case room == "busy" && s.first(room):
				return &router.Error{Code: router.Unavailable, RetryAfter: time.Millisecond}
			}
			return nil
		},
		Publish: func(_ context.Context, _, room string) error {
			if room == "board" {
				return &router.Error{Code: router.Forbidden}
			}
			return nil
		},
	})
	s.said = router.Emits[utterance](r, "said")
	hub.Publishes(p, s.said, func(_ context.Context, m hub.Publication, in utterance) (utterance, error) {
		if in.Text == "unavailable" && s.first(in.Text) {
			return in, &router.Error{Code: router.Unavailable, RetryAfter: time.Millisecond}
		}
		return utterance{By: m.Principal, Text: in.Text}, nil
	})
	router.On(r, "away", s.away)
	router.On(r, "duplicate", func(ctx context.Context, room string) error {
		return router.Conn(ctx).Write(ctx, ws.Text, []byte(`{"room":"lobby","pos":[1,"`+s.last.Load().(string)+`"],"type":"said","data":{"by":"server","text":"again"}}`))
	})
	h := &ws.Handler{Events: r}
	s.Handler = middleware.Authenticate(func(r *http.Request) (any, time.Time, error) {
		return r.FormValue("name"), time.Time{}, nil
	})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.gate.RLock()
		defer s.gate.RUnlock()
		h.ServeHTTP(w, r)
	}))
	return s
}

func roomOptions(name string) (hub.RoomOptions, error) {
	if name == "board" {
		return hub.RoomOptions{}, nil
	}
	return hub.RoomOptions{History: 10, Presence: true, PerPrincipal: true}, nil
}

func (s *rooms) first(what string) bool {
	_, again := s.once.LoadOrStore(what, true)
	return !again
}

// away ends the connection, and publishes before anybody can come back.
func (s *rooms) away(ctx context.Context, in struct {
	Room  string
	Texts []string
}) error {
	s.gate.Lock()
	defer s.gate.Unlock()
	_ = router.Conn(ctx).CloseNow()
	for _, text := range in.Texts {
		pos, err := s.hub.Publish(context.Background(), in.Room, hub.Typed(s.said, utterance{"server", text}))
		if err != nil {
			return err
		}
		s.last.Store(pos.Epoch)
	}
	return nil
}

// trouble ends the connection before or after a message is published, the first time.
func (s *rooms) trouble(next router.Handler) router.Handler {
	return func(ctx context.Context, q *router.Request) (any, error) {
		var in struct{ Data struct{ Text string } }
		if q.Type != "$publish" || q.Decode(&in) != nil {
			return next(ctx, q)
		}
		text := in.Data.Text
		if text == "cut before" && s.first(text) {
			return nil, router.Conn(ctx).CloseNow()
		}
		out, err := next(ctx, q)
		if text == "cut after" && s.first(text) {
			_ = router.Conn(ctx).CloseNow()
		}
		return out, err
	}
}
