package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/router"
)

// troubled is a broker in memory to which things happen.
type troubled struct {
	hub.Broker
	hub.History
	cutOff    atomic.Bool  // nothing comes in or goes out
	drop      atomic.Int64 // so many deliveries of a history get lost
	failing   atomic.Int64 // so many reads of a history fail
	stale     atomic.Int64 // so many reads of a history don't see the last message yet
	overtaken atomic.Bool  // the next delivery of a history comes behind the one after it
	meanwhile func()       // happens before such reads end; nil: nothing
	lost      func([]string)
	held      *hub.Delivery // is overtaken

	mu         sync.Mutex
	subscribed map[string]int // topics; guarded by mu
}

func newTroubled(net *hub.Memory) *troubled {
	b := net.Connect()
	return &troubled{Broker: b, History: b.(hub.History), subscribed: make(map[string]int)}
}

func (b *troubled) Start(ctx context.Context, r hub.Receiver) error {
	b.lost = r.Lost
	return b.Broker.Start(ctx, filter{r, b})
}

func (b *troubled) Subscribe(ctx context.Context, t hub.Topic) error {
	b.count(t, 1)
	return b.Broker.Subscribe(ctx, t)
}

func (b *troubled) Unsubscribe(ctx context.Context, t hub.Topic) error {
	b.count(t, -1)
	return b.Broker.Unsubscribe(ctx, t)
}

func (b *troubled) count(t hub.Topic, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subscribed[t.Name] += n
}

func (b *troubled) rooms() (names []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, n := range b.subscribed {
		if n > 0 && strings.HasPrefix(name, "r:") {
			names = append(names, name)
		}
	}
	return names
}

func (b *troubled) Publish(ctx context.Context, t hub.Topic, id string, data []byte) (hub.Position, error) {
	if b.cutOff.Load() {
		return hub.Position{}, errors.New("cut off")
	}
	return b.Broker.Publish(ctx, t, id, data)
}

func (b *troubled) history(ctx context.Context, t hub.Topic, since hub.Position, limit int) ([]hub.Delivery, hub.Position, error) {
	if b.cutOff.Load() || b.failing.Add(-1) >= 0 {
		if b.meanwhile != nil {
			b.meanwhile()
		}
		return nil, hub.Position{}, errors.New("no history at the moment")
	}
	ds, last, err := b.History.History(ctx, t, since, limit)
	if b.stale.Add(-1) >= 0 && len(ds) > 0 {
		if b.meanwhile != nil {
			b.meanwhile()
		}
		last.Offset = ds[len(ds)-1].Prev
		ds = ds[:len(ds)-1]
	}
	return ds, last, err
}

// filter stands before the hub's Receiver.
type filter struct {
	hub.Receiver
	b *troubled
}

func (f filter) Deliver(d hub.Delivery) {
	kept := d.Pos.Offset > 0
	switch {
	case f.b.cutOff.Load(), kept && f.b.drop.Add(-1) >= 0:
		return
	case kept && f.b.overtaken.CompareAndSwap(true, false):
		f.b.held = &d
		return
	}
	f.Receiver.Deliver(d)
	if late := f.b.held; kept && late != nil {
		f.b.held = nil
		f.Receiver.Deliver(*late)
	}
}

// troubledHistory makes the method that is counted the one that the hub sees.
type troubledHistory struct{ *troubled }

func (b troubledHistory) History(ctx context.Context, t hub.Topic, since hub.Position, limit int) ([]hub.Delivery, hub.Position, error) {
	return b.history(ctx, t, since, limit)
}

var (
	testRouter = router.New()
	tested     = router.Emits[int](testRouter, "tested")
)

func cluster(t *testing.T, net *hub.Memory) (*hub.Hub, *troubled) {
	b := newTroubled(net)
	h := hub.New(&hub.Options{
		Broker: troubledHistory{b}, Principal: principalOf, Logger: slog.New(slog.DiscardHandler),
		Queue: 100 * queueOf,
		Rooms: func(name string) (hub.RoomOptions, error) {
			o := hub.RoomOptions{Presence: strings.HasPrefix(name, "who")}
			if strings.HasPrefix(name, "kept") {
				o.History = 20
			}
			return o, nil
		},
	})
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.cutOff.Store(false)
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return h, b
}

// event is what a client gets.
type event struct {
	Room string
	Type string
	Pos  hub.Position
	Data json.RawMessage
}

func (p peer) event() event {
	p.t.Helper()
	var e event
	if err := json.Unmarshal([]byte(p.next()), &e); err != nil {
		p.t.Fatal(err)
	}
	return e
}

func (p peer) hears(want ...string) {
	p.t.Helper()
	for _, w := range want {
		if e := p.event(); e.Type+string(e.Data) != w {
			p.t.Fatalf("got %s%s, want %s", e.Type, e.Data, w)
		}
	}
}

func sayTested(t *testing.T, h *hub.Hub, room string, ns ...int) hub.Position {
	t.Helper()
	var ms []hub.Message
	for _, n := range ns {
		ms = append(ms, hub.Typed(tested, n))
	}
	return publish(t, h, room, ms...)
}

// A broker that loses what it should deliver costs nobody a message: it is read
// from the history, once the next one shows the hole or the broker says so.
func TestHolesAreFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := hub.NewMemory()
		one, troubled := cluster(t, net)
		two, _ := cluster(t, net)
		p := connect(t, setup{})
		join(t, one, "kept", p)
		sayTested(t, two, "kept", 1)
		troubled.drop.Store(2)
		troubled.failing.Store(3)
		sayTested(t, two, "kept", 2, 3, 4)
		p.hears("tested1", "tested2", "tested3", "tested4")
		troubled.drop.Store(1)
		sayTested(t, two, "kept", 5)
		troubled.lost(nil)
		p.hears("tested5")
		if s := one.Stats(); s.Gaps != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A message that another one has overtaken doesn't make the hub forget that one,
// which the history may show later than the broker.
func TestOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := hub.NewMemory()
		one, troubled := cluster(t, net)
		two, _ := cluster(t, net)
		p := connect(t, setup{})
		join(t, one, "kept", p)
		sayTested(t, two, "kept", 1)
		p.hears("tested1")
		troubled.meanwhile = synctest.Wait
		troubled.stale.Store(1)
		troubled.overtaken.Store(true)
		sayTested(t, two, "kept", 2, 3)
		p.hears("tested2", "tested3")
	})
}

// Who can't be told what they have missed is told nothing: what has been published
// since would hide it.
func TestFailedResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := hub.NewMemory()
		one, troubled := cluster(t, net)
		two, _ := cluster(t, net)
		join(t, one, "kept", connect(t, setup{}))
		since := sayTested(t, two, "kept", 1)
		sayTested(t, two, "kept", 2)
		troubled.meanwhile = func() {
			sayTested(t, two, "kept", 3)
			synctest.Wait()
		}
		troubled.failing.Store(1)
		p := connect(t, setup{})
		resume := func() error {
			_, err := one.Join(t.Context(), p.Conn, "kept", &hub.JoinOptions{Since: since})
			return err
		}
		if err := resume(); err == nil || len(one.Rooms(p.Conn)) > 0 {
			t.Errorf("error %v, and the connection is in %q", err, one.Rooms(p.Conn))
		}
		if err := resume(); err != nil {
			t.Fatal(err)
		}
		sayTested(t, two, "kept", 4)
		p.hears("tested2", "tested3", "tested4")
	})
}

// What can't be filled is told.
func TestGapIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := hub.NewMemory()
		one, troubled := cluster(t, net)
		two, _ := cluster(t, net)
		p := connect(t, setup{})
		join(t, one, "kept", p)
		troubled.drop.Store(30)
		for n := range 40 {
			sayTested(t, two, "kept", n)
		}
		synctest.Wait()
		troubled.drop.Store(0)
		sayTested(t, two, "kept", 40)
		p.hears(`$gap{"missed":0}`)
		sayTested(t, two, "kept", 41)
		if e := p.event(); e.Type != "tested" {
			t.Errorf("got %+v", e)
		}
		if s := one.Stats(); s.Gaps != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A member that is too slow for a room with a history is told where something is missing.
func TestDropsAreToldAsGaps(t *testing.T) {
	for name, policy := range map[string]hub.Policy{"oldest": hub.DropOldest, "newest": hub.DropNewest} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hub.New(&hub.Options{Queue: 100 * queueOf, Rooms: func(string) (hub.RoomOptions, error) {
					return hub.RoomOptions{History: 1000, Policy: policy}, nil
				}})
				p := connect(t, slow)
				join(t, h, "kept", p)
				const n = 100
				for i := range n {
					sayTested(t, h, "kept", i)
					synctest.Wait()
				}
				_, dropped := h.Lag(p.Conn)
				next, gaps := 0, 0
				for next < n {
					switch e := p.event(); e.Type {
					case "tested":
						if string(e.Data) != fmt.Sprint(next) {
							t.Fatalf("got %s, want %d", e.Data, next)
						}
						next++
					case "$gap":
						var gap struct{ Missed int }
						if err := json.Unmarshal(e.Data, &gap); err != nil || gap.Missed != int(dropped) || e.Room != "kept" {
							t.Fatalf("%s, but %d were dropped", e.Data, dropped)
						}
						next, gaps = next+gap.Missed, gaps+1
					}
				}
				if gaps != 1 {
					t.Errorf("%d gaps", gaps)
				}
			})
		})
	}
}

// A node that dies without a word takes its members with it when the others
// have missed it for three heartbeats, and when it turns out to live they are back.
func TestDeadNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := hub.NewMemory()
		one, _ := cluster(t, net)
		two, troubled := cluster(t, net)
		ada, bob := connect(t, setup{principal: "ada"}), connect(t, setup{principal: "bob"})
		join(t, one, "who", ada)
		join(t, two, "who", bob)
		there := func(want ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for _, m := range one.Presence("who") {
				got = append(got, m.Principal)
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%q are there, want %q", got, want)
			}
		}
		there("ada", "bob")
		troubled.cutOff.Store(true)
		time.Sleep(5 * time.Second)
		there("ada", "bob")
		time.Sleep(5 * time.Second)
		there("ada")
		if got := one.Nodes(); len(got) != 1 {
			t.Errorf("the nodes are %q", got)
		}
		troubled.cutOff.Store(false)
		time.Sleep(10 * time.Second)
		there("ada", "bob")
	})
}

// A node that has let go of a room and comes back to it is heard.
func TestPresenceAfterLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := hub.NewMemory()
		one, _ := cluster(t, net)
		two, _ := cluster(t, net)
		join(t, one, "who", connect(t, setup{}))
		p := connect(t, setup{})
		for range 3 {
			join(t, two, "who", p)
			synctest.Wait()
			if got := one.Presence("who"); len(got) != 2 {
				t.Errorf("%v are there", got)
			}
			two.Leave(p.Conn, "who")
			synctest.Wait()
			if got := one.Presence("who"); len(got) != 1 {
				t.Errorf("%v are there", got)
			}
			time.Sleep(time.Minute)
		}
	})
}

// A change that gets lost shows in the next one.
func TestLostChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := hub.NewMemory()
		one, told := cluster(t, net)
		two, troubled := cluster(t, net)
		join(t, one, "who", connect(t, setup{}))
		a, b := connect(t, setup{}), connect(t, setup{})
		join(t, two, "who", a, b)
		synctest.Wait()
		troubled.cutOff.Store(true)
		two.Leave(a.Conn, "who")
		synctest.Wait()
		troubled.cutOff.Store(false)
		join(t, two, "who", connect(t, setup{}))
		synctest.Wait()
		if got := one.Presence("who"); len(got) != 3 {
			t.Errorf("%v are there", got)
		}
		troubled.cutOff.Store(true)
		two.Leave(b.Conn, "who")
		synctest.Wait()
		troubled.cutOff.Store(false)
		told.lost(nil)
		synctest.Wait()
		if got := one.Presence("who"); len(got) != 2 {
			t.Errorf("%v are there", got)
		}
	})
}

// A node is subscribed to the rooms of its members, and a little longer.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := hub.NewMemory()
		one, b := cluster(t, net)
		two, _ := cluster(t, net)
		p := connect(t, setup{})
		subscribed := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := b.rooms(); len(got) != want {
				t.Errorf("subscribed to %q, want %d rooms", got, want)
			}
		}
		publish(t, one, "red", text("nobody is there"))
		subscribed(0)
		join(t, one, "red", p)
		join(t, one, "kept", p)
		subscribed(2)
		one.Leave(p.Conn, "red")
		time.Sleep(4 * time.Second)
		subscribed(2)
		join(t, one, "red", p)
		time.Sleep(time.Minute)
		subscribed(2)
		p.close()
		time.Sleep(4 * time.Second)
		subscribed(2)
		time.Sleep(2 * time.Second)
		subscribed(0)
		if s := one.Stats(); s.Rooms != 0 {
			t.Errorf("%+v", s)
		}
		p = connect(t, setup{})
		join(t, one, "red", p)
		publish(t, two, "red", text("again"))
		p.gets("again")
	})
}

func TestNotStarted(t *testing.T) {
	h := hub.New(&hub.Options{Broker: hub.NewMemory().Connect()})
	if _, err := h.Join(t.Context(), connect(t, setup{}).Conn, "red", nil); !errors.Is(err, hub.ErrClosed) {
		t.Error(err)
	}
	if _, err := h.Publish(t.Context(), "red", text("x")); !errors.Is(err, hub.ErrClosed) {
		t.Error(err)
	}
	if err := hub.New(nil).Start(t.Context()); err == nil {
		t.Error("a hub without a broker was started")
	}
}
