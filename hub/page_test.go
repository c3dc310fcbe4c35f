package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/router"
	"github.com/tidewire/ws/wstest"
)

// TestEnvelopePage holds docs/envelope.md and the hub together: the exchanges of
// its section on rooms take place, and nothing else is sent.
func TestEnvelopePage(t *testing.T) {
	page, err := os.ReadFile("../docs/envelope.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "\n```rooms\n")[1:]
	if len(blocks) < 5 {
		t.Errorf("the page has %d exchanges", len(blocks))
	}
	for i, block := range blocks {
		lines, _, _ := strings.Cut(block, "\n```")
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newStage(t).play(strings.Split(lines, "\n")) })
		})
	}
}

// stage is where the clients of one exchange meet.
type stage struct {
	*testing.T
	hub     *hub.Hub
	router  *router.Router
	clients map[string]*ws.Conn
	epoch   string
}

func newStage(t *testing.T) *stage {
	s := &stage{T: t, router: router.New(), clients: make(map[string]*ws.Conn), epoch: "e"}
	s.hub = hub.New(&hub.Options{Principal: principalOf, Rooms: pageRooms})
	p := s.hub.Mount(s.router, &hub.Access{
		Join:    func(_ context.Context, _, room string) error { return errorUnless(room != "secret") },
		Publish: func(_ context.Context, _, room string) error { return errorUnless(room != "board") },
	})
	hub.Publishes(p, router.Emits[said](s.router, "said"), func(_ context.Context, m hub.Publication, in say) (said, error) {
		return said{By: m.Principal, Text: in.Text}, nil
	})
	return s
}

func errorUnless(ok bool) error {
	if ok {
		return nil
	}
	return errors.New("what is not to be told")
}

func pageRooms(name string) (hub.RoomOptions, error) {
	switch {
	case strings.HasPrefix(name, "!"):
		return hub.RoomOptions{}, errors.New("no room")
	case name == "lobby", name == "club":
		return hub.RoomOptions{History: 3, Presence: true, PerPrincipal: name == "club"}, nil
	}
	return hub.RoomOptions{}, nil
}

type say struct {
	Text string `json:"text"`
}

func (s say) Validate() error {
	if s.Text == "" {
		return router.Field("text", "is missing")
	}
	return nil
}

type said struct {
	By   string `json:"by"`
	Text string `json:"text"`
}

func (s *stage) play(lines []string) {
	for name, principal := range map[string]string{"A": "ada", "B": "bob"} {
		s.clients[name] = s.connect(principal)
	}
	for _, line := range lines {
		synctest.Wait() // whatever comes, comes in the order of the page
		name, text := line[:1], line[min(3, len(line)):]
		switch {
		case line[1:] == " gone":
			_ = s.clients[name].CloseNow()
		case line[1:] == " back":
			s.clients[name] = s.connect("ada")
		case line[1] == '>':
			s.send(name, text)
		case line[1] == '<':
			s.gets(name, text)
		default:
			s.Fatalf("line %q", line)
		}
	}
	synctest.Wait()
	for name, c := range s.clients {
		if c.Context().Err() == nil {
			s.send(name, `{"id":999,"type":"nothing else was sent"}`)
			s.gets(name, `{"id":999,"error":{"code":"unknown_type","message":"unknown type nothing else was sent"}}`)
		}
	}
}

// connect returns the client's end of a connection that the stage serves.
func (s *stage) connect(principal string) *ws.Conn {
	a, b := wstest.Pipe()
	quiet := conn.Config{PingInterval: -1, PongTimeout: -1, IdleTimeout: -1, MessageTimeout: -1, WriteTimeout: -1}
	server, client := quiet, quiet
	server.Parent = context.WithValue(context.Background(), principalKey{}, principal)
	client.Client, client.ReadLimit = true, -1
	c, peer := conn.New(conn.NetTransport(a), server), conn.New(conn.NetTransport(b), client)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.router.Serve(c.Context(), c)
	}()
	s.Cleanup(func() {
		_ = peer.CloseNow()
		<-served
	})
	return peer
}

// The page has e for the epoch, and n for the node.
var (
	epochs = regexp.MustCompile(`,"([A-Z2-7]{8})"\]`)
	nodes  = regexp.MustCompile(`"[A-Z2-7]{26}-`)
)

func (s *stage) send(name, text string) {
	s.Helper()
	text = strings.ReplaceAll(text, `,"e"]`, `,"`+s.epoch+`"]`)
	if err := s.clients[name].Write(context.Background(), ws.Text, []byte(text)); err != nil {
		s.Fatal(name, text, err)
	}
}

func (s *stage) gets(name, text string) {
	s.Helper()
	_, b, err := s.clients[name].Read(context.Background())
	if err != nil {
		s.Fatalf("%s: %v instead of %s", name, err, text)
	}
	if m := epochs.FindSubmatch(b); m != nil {
		s.epoch = string(m[1])
	}
	b = nodes.ReplaceAll(epochs.ReplaceAll(b, []byte(`,"e"]`)), []byte(`"n-`))
	var got, want any
	if err := errors.Join(json.Unmarshal(b, &got), json.Unmarshal([]byte(text), &want)); err != nil {
		s.Fatalf("%v: %s, %s", err, b, text)
	}
	if !reflect.DeepEqual(got, want) {
		s.Errorf("%s got  %s\npage   %s", name, b, text)
	}
}
