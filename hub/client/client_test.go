package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/hub/client"
	"github.com/tidewire/ws/middleware"
	"github.com/tidewire/ws/router"
	"github.com/tidewire/ws/wstest"
)

type utterance struct {
	By   string `json:"by"`
	Text string `json:"text"`
}

// server is a hub whose connections break when a test wants it.
type server struct {
	*testing.T
	hub  *hub.Hub
	said *router.Event[utterance]
	ln   wstest.Listener

	mu    sync.Mutex
	conns []*ws.Conn
	cut   map[string]string // text of a message to "before" or "after"
}

func serve(t *testing.T) *server {
	s := &server{T: t, cut: make(map[string]string), hub: hub.New(&hub.Options{Rooms: func(name string) (hub.RoomOptions, error) {
		return hub.RoomOptions{History: map[string]int{"lobby": 10}[name], Presence: true, PerPrincipal: true}, nil
	}})}
	r := router.New(router.Options{Open: s.open})
	r.Use(s.trouble)
	p := s.hub.Mount(r, &hub.Access{
		Join: func(_ context.Context, _, room string) error {
			if room == "secret" {
				return errors.New("no")
			}
			return nil
		},
		Publish: func(context.Context, string, string) error { return nil },
	})
	s.said = router.Emits[utterance](r, "said")
	hub.Publishes(p, s.said, func(_ context.Context, m hub.Publication, in utterance) (utterance, error) {
		if in.Text == "" {
			return in, &router.Error{Code: router.Invalid}
		}
		return utterance{m.Principal, in.Text}, nil
	})
	h := &ws.Handler{Serve: r.Serve, Options: ws.Options{PingInterval: -1}}
	srv := &http.Server{Handler: middleware.Authenticate(func(r *http.Request) (any, time.Time, error) {
		return r.FormValue("name"), time.Time{}, nil
	})(h)}
	go srv.Serve(&s.ln)
	t.Cleanup(func() {
		_ = srv.Close()
		_ = h.Shutdown(context.Background())
	})
	return s
}

func (s *server) open(_ context.Context, c *ws.Conn) (context.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, c)
	return context.Background(), nil
}

// drop ends all connections.
func (s *server) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.CloseNow()
	}
	s.conns = nil
}

// trouble drops all connections before or after a message is published, or fails, once.
func (s *server) trouble(next router.Handler) router.Handler {
	return func(ctx context.Context, q *router.Request) (any, error) {
		var in struct{ Data utterance }
		if q.Type != "$publish" || q.Decode(&in) != nil {
			return next(ctx, q)
		}
		s.mu.Lock()
		when := s.cut[in.Data.Text]
		delete(s.cut, in.Data.Text)
		s.mu.Unlock()
		switch when {
		case "before":
			s.drop()
			return nil, nil
		case "unavailable":
			return nil, &router.Error{Code: router.Unavailable, RetryAfter: time.Second}
		}
		out, err := next(ctx, q)
		if when == "after" {
			s.drop()
		}
		return out, err
	}
}

func (s *server) say(texts ...string) {
	s.Helper()
	for _, text := range texts {
		if _, err := s.hub.Publish(context.Background(), "lobby", hub.Typed(s.said, utterance{"server", text})); err != nil {
			s.Fatal(err)
		}
	}
}

// guest is a client, and what it has heard.
type guest struct {
	*client.Client
	t   *testing.T
	mu  sync.Mutex
	log []string // but presence
	who []string
	end func()
}

func (s *server) guest(name string) *guest {
	g := &guest{t: s.T}
	note := func(format string, args ...any) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.log = append(g.log, fmt.Sprintf(format, args...))
	}
	g.Client = client.New(router.New(), &client.Options{
		Redialer: ws.Redialer{URL: "ws://server/?name=" + name, Options: ws.DialOptions{
			PingInterval:   -1,
			NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.ln.Dial(ctx) },
		}},
		Joined: func(r *client.Room) { note("joined %s", r.Name()) },
		Lost:   func(r *client.Room, missed int) { note("lost %d in %s", missed, r.Name()) },
		Presence: func(_ *client.Room, c client.Change) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.who = append(g.who, fmt.Sprintf("+%s -%s", ids(c.Joined), ids(c.Left)))
		},
		Refused: func(r *client.Room, err error) { note("%s: %v", r.Name(), err) },
	})
	client.On(g.Client, "said", func(_ context.Context, e client.Event[utterance]) error {
		note("%s: %s", e.Data.By, e.Data.Text)
		return nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- g.Run(ctx) }()
	g.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ran; !errors.Is(err, context.Canceled) {
			s.Errorf("Run: %v", err)
		}
	})
	s.Cleanup(g.end)
	return g
}

func ids(ms []hub.Member) string {
	var all []string
	for _, m := range ms {
		all = append(all, m.ID)
	}
	return strings.Join(all, ",")
}

// saw is heard for who comes and goes.
func (g *guest) saw(want ...string) {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Equal(g.who, want) {
		g.t.Errorf("saw %q, want %q", g.who, want)
	}
	g.who = nil
}

// heardAll is heard without regard to when the room was joined.
func (g *guest) heardAll(want ...string) {
	g.t.Helper()
	time.Sleep(time.Minute)
	synctest.Wait()
	g.mu.Lock()
	g.log = slices.DeleteFunc(g.log, func(s string) bool { return strings.HasPrefix(s, "joined") })
	g.mu.Unlock()
	g.heard(want...)
}

// heard says what has to have been heard since it was last called, when everything is quiet.
func (g *guest) heard(want ...string) {
	g.t.Helper()
	time.Sleep(time.Minute) // of the bubble's time: everybody is back
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Equal(g.log, want) {
		g.t.Errorf("heard %q, want %q", g.log, want)
	}
	g.log = nil
}

func publish(t *testing.T, r *client.Room, texts ...string) {
	t.Helper()
	for _, text := range texts {
		pos, err := r.Publish(context.Background(), "said", utterance{Text: text})
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if synctest.Wait(); pos != r.Position() {
			t.Errorf("%s: at %v, last is %v", text, pos, r.Position())
		}
	}
}

func TestRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		ada := s.guest("ada")
		lobby := ada.Join("lobby", &client.JoinOptions{Meta: "red"})
		if ada.Join("lobby", nil) != lobby {
			t.Error("there are two lobbies")
		}
		publish(t, lobby, "one", "two")
		ada.heard("joined lobby", "ada: one", "ada: two")
		ada.saw("+ada -")
		if ms := lobby.Members(); len(ms) != 1 || string(ms[0].Meta) != `"red"` {
			t.Errorf("members are %v", ms)
		}

		bob := s.guest("bob")
		bobs := bob.Join("lobby", &client.JoinOptions{Recent: 1})
		bob.heard("ada: two", "joined lobby")
		bob.saw("+ada,bob -")
		ada.heard()
		ada.saw("+bob -")

		// What was missed comes once and in order, unless it is too much.
		s.drop()
		s.say("three", "four")
		publish(t, lobby, "five")
		ada.heard("server: three", "server: four", "joined lobby", "ada: five")
		bob.heardAll("server: three", "server: four", "ada: five")
		s.drop()
		s.say(strings.Split(strings.Repeat("x", 20), "")...)
		ada.heard("lost 0 in lobby", "joined lobby")
		bob.heard("lost 0 in lobby", "joined lobby")

		// What was published, or not, when the connection ended is published once.
		s.cut = map[string]string{"cut before": "before", "cut after": "after", "busy": "unavailable"}
		publish(t, lobby, "cut before", "cut after", "busy", "last")
		bob.heardAll("ada: cut before", "ada: cut after", "ada: busy", "ada: last")

		// Leaving, and coming back at once.
		bobs.Leave()
		if _, err := bobs.Publish(t.Context(), "said", utterance{Text: "x"}); !errors.Is(err, client.ErrLeft) {
			t.Errorf("published in a room that was left: %v", err)
		}
		bob.Join("lobby", &client.JoinOptions{Since: bobs.Position()})
		bob.heard("joined lobby")
		bob.end()
		if _, err := bob.Join("hall", nil).Publish(t.Context(), "said", utterance{Text: "x"}); !errors.Is(err, context.Canceled) {
			t.Errorf("published after the end: %v", err)
		}
	})
}

func TestPlainRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		ada := s.guest("ada")
		hall, secret := ada.Join("hall", nil), ada.Join("secret", nil)
		if err := hall.Joined(t.Context()); err != nil {
			t.Error(err)
		}
		var e *router.Error
		if err := secret.Joined(t.Context()); !errors.As(err, &e) || e.Code != router.Forbidden {
			t.Errorf("joined in secret: %v", err)
		}
		if _, err := hall.Publish(t.Context(), "said", utterance{}); !errors.As(err, &e) {
			t.Errorf("said nothing: %v", err)
		}
		s.drop()
		time.Sleep(time.Minute)
		synctest.Wait()
		g := ada.log
		slices.Sort(g) // both rooms are asked for at a time
		if want := []string{"joined hall", "joined hall", "lost 0 in hall", "secret: router: forbidden"}; !slices.Equal(g, want) {
			t.Errorf("heard %q, want %q", g, want)
		}
		conn, err := ada.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := router.Call[any](t.Context(), conn, "nothing", nil); !errors.As(err, &e) || e.Code != router.UnknownType {
			t.Errorf("called nothing: %v", err)
		}
	})
}
