package brokertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/router"
	"github.com/tidewire/ws/wstest"
)

// said is the event that tests publish.
var said = router.Emits[string](router.New(), "said")

// push is what a client gets.
type push struct {
	Room string       `json:"room"`
	Pos  hub.Position `json:"pos"`
	Type string       `json:"type"`
	Data json.RawMessage
}

func (p push) text() string {
	var s string
	_ = json.Unmarshal(p.Data, &s) // another type of message says nothing
	return s
}

// presence is the data of a $presence.
type presence struct {
	Members, Joined []hub.Member
	Left            []string
}

// options are those of the tests' hubs. Rooms whose names begin with "kept" have
// a history, those with "who" presence.
func options(b hub.Broker) *hub.Options {
	return &hub.Options{
		Broker:    b,
		Heartbeat: 200 * time.Millisecond,
		Linger:    50 * time.Millisecond,
		Principal: func(ctx context.Context) string { s, _ := ctx.Value(nameKey{}).(string); return s },
		Rooms: func(name string) (hub.RoomOptions, error) {
			o := hub.RoomOptions{Presence: strings.HasPrefix(name, "who"), PerPrincipal: strings.HasSuffix(name, "once")}
			if strings.HasPrefix(name, "kept") {
				o.History = 2000
			}
			return o, nil
		},
	}
}

type nameKey struct{}

func startHub(t testing.TB, n Network, told func(string, []byte)) *hub.Hub {
	t.Helper()
	o := options(n.Connect(t))
	o.Told = told
	h := hub.New(o)
	if err := h.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return h
}

// client is somebody connected to a hub.
type client struct {
	t    testing.TB
	hub  *hub.Hub
	conn *ws.Conn // the hub's end
	far  *ws.Conn
}

func dial(t testing.TB, h *hub.Hub, name string) *client {
	a, b := wstest.Pipe()
	c := &client{
		t: t, hub: h,
		conn: conn.New(pipe(a), conn.Config{Parent: context.WithValue(context.Background(), nameKey{}, name)}),
		far:  conn.New(pipe(b), conn.Config{Client: true}),
	}
	c.conn.CloseRead(context.Background())
	t.Cleanup(c.hangUp)
	return c
}

func pipe(nc net.Conn) conn.Transport { return conn.NetTransport(nc) }

func (c *client) hangUp() {
	_ = c.far.CloseNow()
	_ = c.conn.CloseNow()
}

func (c *client) join(room string, o *hub.JoinOptions) hub.Joined {
	c.t.Helper()
	j, err := c.hub.Join(within(c.t), c.conn, room, o)
	if err != nil {
		c.t.Fatal(err)
	}
	return j
}

func (c *client) next() push {
	c.t.Helper()
	p, err := ws.Receive[push](within(c.t), c.far)
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

func (c *client) hears(room string, want ...string) {
	c.t.Helper()
	for _, w := range want {
		if p := c.next(); p.Room != room || p.Type != "said" || p.text() != w {
			c.t.Fatalf("got %+v %s, want %s", p, p.Data, w)
		}
	}
}

func say(t testing.TB, h *hub.Hub, room string, texts ...string) hub.Position {
	t.Helper()
	var ms []hub.Message
	for _, s := range texts {
		ms = append(ms, hub.Typed(said, s))
	}
	pos, err := h.Publish(within(t), room, ms...)
	if err != nil {
		t.Fatal(err)
	}
	return pos
}

func testRooms(t *testing.T, n Network) {
	one, two := startHub(t, n, nil), startHub(t, n, nil)
	ada, bob := dial(t, one, "ada"), dial(t, two, "bob")
	red, size := "red/"+fmt.Sprint(rand.Uint64()), "size *>. "+fmt.Sprint(rand.Uint64())
	ada.join(red, nil)
	bob.join(red, nil)
	bob.join(size, nil)
	say(t, one, red, "one", "two")
	ada.hears(red, "one", "two")
	bob.hears(red, "one", "two")
	say(t, one, size, "from elsewhere")
	bob.hears(size, "from elsewhere")
	m := hub.Typed(said, "not for ada")
	m.Except = ada.conn
	if _, err := one.Publish(within(t), red, m); err != nil {
		t.Fatal(err)
	}
	bob.hears(red, "not for ada")
	say(t, two, red, "three")
	ada.hears(red, "three")
	bob.hears(red, "three")
}

func testNodes(t *testing.T, n Network) {
	type note struct{ from, text string }
	notes := make(chan note, 10)
	one := startHub(t, n, func(from string, p []byte) { notes <- note{from, string(p)} })
	two := startHub(t, n, nil)
	eventually(t, func() error {
		if !slices.Contains(one.Nodes(), two.Node()) || !slices.Contains(two.Nodes(), one.Node()) {
			return errors.New("the nodes don't know each other")
		}
		return nil
	})
	if err := two.Tell(within(t), one.Node(), []byte("hello")); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-notes:
		if got != (note{two.Node(), "hello"}) {
			t.Errorf("got %v", got)
		}
	case <-within(t).Done():
		t.Fatal("Tell has told nothing")
	}
	name := "ada " + one.Node()
	here, there, bob := dial(t, one, name), dial(t, two, name), dial(t, two, "bob")
	for _, c := range []*client{here, there, bob} {
		if err := c.hub.Add(c.conn); err != nil {
			t.Fatal(err)
		}
	}
	if err := one.PublishTo(within(t), name, hub.Typed(said, "to ada")); err != nil {
		t.Fatal(err)
	}
	here.hears("", "to ada")
	there.hears("", "to ada")
	if err := one.PublishAll(within(t), hub.Typed(said, "to all")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{here, there, bob} {
		c.hears("", "to all")
	}
	if err := two.Kick(within(t), name, ws.StatusPolicyViolation, "out"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{here, there} {
		if _, _, err := c.far.Read(within(t)); ws.CloseStatus(err) != ws.StatusPolicyViolation {
			t.Errorf("kicked with %v", err)
		}
	}
	if err := two.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if slices.Contains(one.Nodes(), two.Node()) {
			return errors.New("a node that has said bye is still there")
		}
		return nil
	})
}

// watcher follows a room's presence by what a client is told.
type watcher struct {
	*client
	there map[string]hub.Member
}

// sees waits until exactly these principals are there.
func (w *watcher) sees(names ...string) {
	w.t.Helper()
	slices.Sort(names)
	for {
		var got []string
		for _, m := range w.there {
			got = append(got, m.Principal)
		}
		slices.Sort(got)
		if slices.Equal(got, names) {
			return
		}
		p := w.next()
		var d presence
		if err := json.Unmarshal(p.Data, &d); err != nil || p.Type != "$presence" {
			w.t.Fatalf("waiting for %q, seeing %q: got %+v %s", names, got, p, p.Data)
		}
		if d.Members != nil {
			clear(w.there)
		}
		for _, m := range append(d.Members, d.Joined...) {
			if _, again := w.there[m.ID]; again {
				w.t.Fatalf("%v has joined twice", m)
			}
			w.there[m.ID] = m
		}
		for _, id := range d.Left {
			if _, known := w.there[id]; !known {
				w.t.Fatalf("%s has left, and was not there", id)
			}
			delete(w.there, id)
		}
	}
}

func (c *client) watch(room string, meta any) *watcher {
	c.t.Helper()
	c.join(room, &hub.JoinOptions{Meta: meta})
	return &watcher{c, make(map[string]hub.Member)}
}

func testPresence(t *testing.T, n Network) {
	one, two := startHub(t, n, nil), startHub(t, n, nil)
	for _, once := range []bool{false, true} {
		room := fmt.Sprint("who", rand.Uint64())
		cy := []string{"cy", "cy"}
		if once {
			room += "-once"
			cy = cy[1:]
		}
		ada := dial(t, one, "ada").watch(room, map[string]int{"age": 36})
		ada.sees("ada")
		bob := dial(t, two, "bob").watch(room, nil)
		bob.sees("ada", "bob")
		ada.sees("ada", "bob")
		for _, m := range bob.there {
			if m.Principal == "ada" && string(m.Meta) != `{"age":36}` {
				t.Errorf("bob sees %s of ada", m.Meta)
			}
		}
		cyOne, cyTwo := dial(t, one, "cy"), dial(t, two, "cy")
		cyOne.join(room, nil)
		cyTwo.join(room, nil)
		for _, w := range []*watcher{ada, bob} {
			w.sees(slices.Concat([]string{"ada", "bob"}, cy)...)
		}
		cyOne.hangUp()
		two.Leave(cyTwo.conn, room)
		ada.sees("ada", "bob")
		bob.sees("ada", "bob")
		eventually(t, func() error {
			if got := two.Presence(room); len(got) != 2 {
				return fmt.Errorf("presence is %v", got)
			}
			return nil
		})
		bob.hangUp()
		ada.sees("ada")
	}
	three := startHub(t, n, nil)
	room := fmt.Sprint("who", rand.Uint64())
	ada := dial(t, one, "ada").watch(room, nil)
	dial(t, three, "dan").join(room, nil)
	ada.sees("ada", "dan")
	if err := three.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	ada.sees("ada")
}

func testResume(t *testing.T, n Network) {
	one, two := startHub(t, n, nil), startHub(t, n, nil)
	room := fmt.Sprint("kept", rand.Uint64())
	ada := dial(t, one, "ada")
	start := ada.join(room, nil)
	say(t, two, room, "one", "two")
	ada.hears(room, "one")
	seen := ada.next()
	ada.hangUp()
	say(t, one, room, "three", "four")

	ada = dial(t, two, "ada")
	if j := ada.join(room, &hub.JoinOptions{Since: seen.Pos}); !j.Recovered || j.Missed != 2 {
		t.Errorf("%+v", j)
	}
	say(t, one, room, "five")
	ada.hears(room, "three", "four", "five")
	ada.hangUp()

	ada = dial(t, one, "ada")
	if j := ada.join(room, &hub.JoinOptions{Since: start.Pos}); !j.Recovered || j.Missed < 4 { // the last one may just be arriving
		t.Errorf("from the beginning: %+v", j)
	}
	ada.hears(room, "one", "two", "three", "four", "five")

	bob := dial(t, two, "bob")
	if j := bob.join(room, &hub.JoinOptions{Recent: 2}); j.Recovered || j.Missed != 2 {
		t.Errorf("the last two: %+v", j)
	}
	bob.hears(room, "four", "five")
	cy := dial(t, two, "cy")
	lost := hub.Position{Offset: seen.Pos.Offset, Epoch: "another"}
	if j := cy.join(room, &hub.JoinOptions{Since: lost}); j.Recovered || j.Missed != 0 {
		t.Errorf("what is not known: %+v", j)
	}
	say(t, one, room, "six")
	cy.hears(room, "six")
}

// Clients come and go, on two nodes, while others publish. Each of them gets
// every message once, and in the same order as all others.
func testNothingLost(t *testing.T, n Network) {
	hubs := []*hub.Hub{startHub(t, n, nil), startHub(t, n, nil)}
	room := fmt.Sprint("kept", rand.Uint64())
	const publishers, each, readers = 4, 100, 6
	first := dial(t, hubs[0], "").join(room, nil)

	var wg sync.WaitGroup
	got := make([][]string, readers)
	for i := range readers {
		wg.Go(func() { got[i] = follow(t, hubs, room, first.Pos, publishers*each, i) })
	}
	for i := range publishers {
		wg.Go(func() {
			for k := range each {
				if _, err := hubs[i%2].Publish(within(t), room, hub.Typed(said, fmt.Sprintf("%d:%d", i, k))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := make(map[string]bool)
	for _, s := range got[0] {
		seen[s] = true
	}
	if len(seen) != publishers*each {
		t.Errorf("%d different messages, want %d", len(seen), publishers*each)
	}
	for i := range readers {
		if !slices.Equal(got[i], got[0]) {
			t.Errorf("readers 0 and %d have got different things: %d and %d messages", i, len(got[0]), len(got[i]))
		}
	}
}

// follow reads messages behind a position; now and then it hangs up, and comes
// back on another node.
func follow(t *testing.T, hubs []*hub.Hub, room string, pos hub.Position, count, seed int) (got []string) {
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	for len(got) < count {
		c := dial(t, hubs[random.IntN(2)], "")
		j, err := c.hub.Join(within(t), c.conn, room, &hub.JoinOptions{Since: pos})
		if err != nil || !j.Recovered {
			t.Errorf("reader %d at %v: %+v, %v", seed, pos, j, err)
			return got
		}
		for range min(1+random.IntN(50), count-len(got)) {
			p, err := ws.Receive[push](within(t), c.far)
			if err != nil || p.Type != "said" {
				t.Errorf("reader %d at %v: %+v %s, %v", seed, pos, p, p.Data, err)
				return got
			}
			got, pos = append(got, p.text()), p.Pos
		}
		c.hangUp()
	}
	return got
}
