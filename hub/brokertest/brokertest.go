// Package brokertest tests implementations of hub.Broker: what the interface says,
// and whether hubs on several nodes work with it.
//
//	func TestBroker(t *testing.T) {
//		brokertest.Run(t, brokertest.Network{Connect: func(t testing.TB) hub.Broker { return New(...) }})
//	}
package brokertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidewire/ws/hub"
)

// Network is what is tested.
type Network struct {
	// Connect returns a broker that has not been started. All that it returns
	// during a test are in touch with each other. Run closes them.
	Connect func(t testing.TB) hub.Broker

	// Cut breaks all connections that brokers have at the moment, and has
	// returned when new ones can be made. nil: it isn't tested.
	Cut func(t testing.TB)

	// Troubles are what else happens to brokers with a History; none: it isn't
	// tested. What was kept has to be there again afterwards.
	Troubles []Trouble
}

// patience is how long to wait for what has to happen.
const patience = 20 * time.Second

// Run runs all tests. Those of histories are left out for brokers without.
func Run(t *testing.T, n Network) {
	b := n.Connect(t)
	_, keeps := b.(hub.History)
	for _, test := range []struct {
		name string
		run  func(*testing.T, Network)
		kept bool
	}{
		{"Delivery", testDelivery, false},
		{"Order", testOrder, false},
		{"SubscribeTakesEffect", testSubscribe, false},
		{"Unsubscribe", testUnsubscribe, false},
		{"Data", testData, false},
		{"Close", testClose, false},
		{"Cut", testCut, false},
		{"Positions", testPositions, true},
		{"History", testHistory, true},
		{"Unrecoverable", testUnrecoverable, true},
		{"EmptyHistory", testEmptyHistory, true},
		{"IDs", testIDs, true},
		{"ManyPublishers", testManyPublishers, true},
		{"HistoryAfterCut", testHistoryAfterCut, true},
		{"Hub/Rooms", testRooms, false},
		{"Hub/Nodes", testNodes, false},
		{"Hub/Presence", testPresence, false},
		{"Hub/Resume", testResume, true},
		{"Hub/Nothing lost", testNothingLost, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.kept && !keeps {
				t.Skipf("%T keeps no history", b)
			}
			test.run(t, n)
		})
	}
	for _, trouble := range n.Troubles {
		t.Run("Hub/Trouble/"+trouble.Name, func(t *testing.T) { testTrouble(t, n, trouble) })
	}
}

// inbox is a Receiver that remembers.
type inbox struct {
	t  testing.TB
	mu sync.Mutex
	// mu guards all below.
	got     map[string][]hub.Delivery // by topic
	lost    int
	changed chan struct{} // closed when something has arrived
}

func (in *inbox) Deliver(d hub.Delivery) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.got[d.Topic] = append(in.got[d.Topic], d)
	in.wake()
}

func (in *inbox) Lost([]string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.lost++
	in.wake()
}

func (in *inbox) wake() {
	close(in.changed)
	in.changed = make(chan struct{})
}

// until waits for something to be true of what has arrived.
func (in *inbox) until(what string, ok func() bool) {
	in.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		in.mu.Lock()
		done, changed := ok(), in.changed
		in.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-late.C:
			in.t.Fatalf("after %v still not: %s", patience, what)
		}
	}
}

// wait waits for n messages of a topic.
func (in *inbox) wait(t hub.Topic, n int) []hub.Delivery {
	in.t.Helper()
	in.until(fmt.Sprintf("%d messages in topic %s", n, t.Name), func() bool { return len(in.got[t.Name]) >= n })
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.got[t.Name])
}

// node is a broker that has been started.
type node struct {
	hub.Broker
	*inbox
}

func start(t testing.TB, n Network) node {
	t.Helper()
	v := node{n.Connect(t), &inbox{t: t, got: make(map[string][]hub.Delivery), changed: make(chan struct{})}}
	if err := v.Start(within(t), v.inbox); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return v
}

// within is a context for calls that must not take long.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// plain and kept return topics that nobody has used before.
func plain() hub.Topic { return hub.Topic{Name: "r:" + rand.Text()} }

func kept(n int) hub.Topic {
	return hub.Topic{Name: "r:" + rand.Text(), History: n, KeepFor: time.Minute}
}

func (v node) subscribe(ts ...hub.Topic) {
	v.t.Helper()
	for _, t := range ts {
		if err := v.Subscribe(within(v.t), t); err != nil {
			v.t.Fatal(err)
		}
	}
}

func (v node) publish(t hub.Topic, id, data string) hub.Position {
	v.t.Helper()
	pos, err := v.Publish(within(v.t), t, id, []byte(data))
	if err != nil {
		v.t.Fatal(err)
	}
	return pos
}

func (v node) history(t hub.Topic, since hub.Position, limit int) ([]hub.Delivery, hub.Position) {
	v.t.Helper()
	ds, last, err := v.Broker.(hub.History).History(within(v.t), t, since, limit)
	if err != nil {
		v.t.Fatal(err)
	}
	return ds, last
}

func testDelivery(t *testing.T, n Network) {
	a, b := start(t, n), start(t, n)
	red, blue := plain(), plain()
	a.subscribe(red)
	a.subscribe(red) // again is no more
	b.subscribe(red, blue)
	if pos := a.publish(red, "", "one"); (pos != hub.Position{}) {
		t.Errorf("a position without a history: %v", pos)
	}
	b.publish(blue, "", "two")
	b.publish(red, "", "three")
	for _, v := range []node{a, b} {
		got := v.wait(red, 2)
		if len(got) != 2 || !slices.ContainsFunc(got, says("one")) || !slices.ContainsFunc(got, says("three")) {
			t.Errorf("got %s", texts(got))
		}
	}
	if got := b.wait(blue, 1); len(got) != 1 || !says("two")(got[0]) {
		t.Errorf("got %s", texts(got))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.got) != 1 {
		t.Errorf("a, which is subscribed to one topic, has heard of %d", len(a.got))
	}
}

func says(text string) func(hub.Delivery) bool {
	return func(d hub.Delivery) bool { return string(d.Data) == text }
}

func texts(ds []hub.Delivery) []string {
	s := make([]string, len(ds))
	for i, d := range ds {
		s[i] = string(d.Data)
	}
	return s
}

func testOrder(t *testing.T, n Network) {
	a, b := start(t, n), start(t, n)
	red := plain()
	b.subscribe(red)
	const count = 1000
	for i := range count {
		a.publish(red, "", fmt.Sprint(i))
	}
	for i, d := range b.wait(red, count) {
		if !says(fmt.Sprint(i))(d) {
			t.Fatalf("message %d is %s", i, d.Data)
		}
	}
}

// What is published after Subscribe has returned is delivered, wherever that happens.
func testSubscribe(t *testing.T, n Network) {
	a, b := start(t, n), start(t, n)
	for range 100 {
		red := plain()
		a.subscribe(red)
		b.publish(red, "", "x")
		a.wait(red, 1)
	}
}

func testUnsubscribe(t *testing.T, n Network) {
	a, b := start(t, n), start(t, n)
	red, blue := plain(), plain()
	a.subscribe(red, blue)
	b.publish(red, "", "first")
	a.wait(red, 1)
	if err := a.Unsubscribe(within(t), red); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		b.publish(red, "", "unwanted")
		b.publish(blue, "", "wanted")
		a.wait(blue, i+1)
	}
	if got := a.wait(red, 1); len(got) > 3 {
		t.Errorf("%d messages after Unsubscribe", len(got)-1)
	}
	a.subscribe(red)
	b.publish(red, "", "last")
	a.until("a message after subscribing again", func() bool { return slices.ContainsFunc(a.got[red.Name], says("last")) })
	if err := a.Unsubscribe(within(t), plain()); err != nil {
		t.Errorf("Unsubscribe from what was never subscribed to: %v", err)
	}
}

func testData(t *testing.T, n Network) {
	a, b := start(t, n), start(t, n)
	name := "r:" + rand.Text() + "azAZ09-_%:"
	long := hub.Topic{Name: name + strings.Repeat("x", 400-len(name))}
	datas := [][]byte{{}, {0}, []byte("\r\n\x00\xff"), bytes.Repeat([]byte{0xA5}, 256<<10)}
	b.subscribe(long)
	for _, data := range datas {
		own := bytes.Clone(data)
		if _, err := a.Publish(within(t), long, "", own); err != nil {
			t.Fatal(err)
		}
		clear(own) // it is not kept
	}
	for i, d := range b.wait(long, len(datas)) {
		if !bytes.Equal(d.Data, datas[i]) {
			t.Errorf("message %d of %d bytes came as %d bytes, or others", i, len(datas[i]), len(d.Data))
		}
	}
}

func testClose(t *testing.T, n Network) {
	a, b := start(t, n), start(t, n)
	red := plain()
	a.subscribe(red)
	b.subscribe(red)
	if err := a.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	b.publish(red, "", "x")
	b.wait(red, 1)
	a.mu.Lock()
	if len(a.got) > 0 {
		t.Error("a message after Close")
	}
	a.mu.Unlock()
	if _, err := a.Publish(within(t), red, "", nil); err == nil {
		t.Error("Publish after Close works")
	}
	if err := a.Subscribe(within(t), red); err == nil {
		t.Error("Subscribe after Close works")
	}
}

// After an interruption everything works again, and the receiver was told that
// it may have missed something.
func testCut(t *testing.T, n Network) {
	if n.Cut == nil {
		t.Skip("no way to cut connections")
	}
	a, b := start(t, n), start(t, n)
	red := plain()
	a.subscribe(red)
	n.Cut(t)
	eventually(t, func() error {
		_, err := b.Publish(within(t), red, "", []byte("after"))
		if err != nil {
			return err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.got[red.Name]) == 0 {
			return errors.New("nothing has arrived")
		}
		return nil
	})
	a.until("Lost was called", func() bool { return a.lost > 0 })
}

// eventually calls f until it returns nil.
func eventually(t testing.TB, f func() error) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v still: %v", patience, err)
		}
		<-tick.C
	}
}
