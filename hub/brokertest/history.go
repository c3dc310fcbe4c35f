package brokertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/tidewire/ws/hub"
)

// checkChain fails unless messages follow each other without a hole.
func checkChain(t *testing.T, ds []hub.Delivery) {
	t.Helper()
	for i, d := range ds {
		if d.Pos.Offset == 0 || d.Pos.Epoch == "" || d.Prev >= d.Pos.Offset {
			t.Fatalf("message %d: position %v, before it %d", i, d.Pos, d.Prev)
		}
		if i > 0 && (d.Prev != ds[i-1].Pos.Offset || d.Pos.Epoch != ds[i-1].Pos.Epoch) {
			t.Fatalf("message %d: before %v comes %d, and not %v", i, d.Pos, d.Prev, ds[i-1].Pos)
		}
	}
}

// contents leaves out messages without data, by which a broker may mark a place.
func contents(ds []hub.Delivery) []hub.Delivery {
	return slices.DeleteFunc(slices.Clone(ds), func(d hub.Delivery) bool { return len(d.Data) == 0 })
}

// waitContents waits for n messages with data.
func (in *inbox) waitContents(t hub.Topic, n int) []hub.Delivery {
	in.t.Helper()
	in.until(fmt.Sprintf("%d messages in topic %s", n, t.Name), func() bool { return len(contents(in.got[t.Name])) >= n })
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.got[t.Name])
}

func testPositions(t *testing.T, n Network) {
	a, b := start(t, n), start(t, n)
	red := kept(100)
	a.subscribe(red)
	b.subscribe(red)
	var said []hub.Position
	for i := range 20 {
		v := []node{a, b}[i%2]
		said = append(said, v.publish(red, "", fmt.Sprint(i)))
	}
	for _, v := range []node{a, b} {
		got := v.waitContents(red, len(said))
		checkChain(t, got)
		for i, d := range contents(got) {
			if d.Pos != said[i] || !says(fmt.Sprint(i))(d) {
				t.Fatalf("message %d: %v %s, but Publish said %v", i, d.Pos, d.Data, said[i])
			}
		}
	}
}

func testHistory(t *testing.T, n Network) {
	a, b := start(t, n), start(t, n)
	red, blue := kept(50), kept(50)
	b.subscribe(red)
	var said []hub.Position
	for i := range 40 {
		said = append(said, a.publish(red, "", fmt.Sprint(i)))
		a.publish(blue, "", "another topic")
	}
	checkAll := func(ds []hub.Delivery, first int) {
		t.Helper()
		checkChain(t, ds)
		ds = contents(ds)
		if len(ds) != 40-first {
			t.Fatalf("%d messages, want %d", len(ds), 40-first)
		}
		for i, d := range ds {
			if d.Topic != red.Name || d.Pos != said[first+i] || !says(fmt.Sprint(first+i))(d) {
				t.Fatalf("message %d: %+v", i, d)
			}
		}
	}
	ds, last := b.history(red, hub.Position{}, 1000)
	checkAll(ds, 0)
	if last != said[39] {
		t.Errorf("the last is %v, want %v", last, said[39])
	}
	ds, _ = b.history(red, said[29], 1000)
	checkAll(ds, 30)
	if ds[0].Prev != said[29].Offset {
		t.Errorf("before %v comes %d, and not %v", ds[0].Pos, ds[0].Prev, said[29])
	}
	if ds, last = b.history(red, said[39], 1000); len(ds) > 0 || last != said[39] {
		t.Errorf("since the last message there are %d", len(ds))
	}
	if ds, last = b.history(red, hub.Position{}, 0); len(ds) > 0 || last != said[39] {
		t.Errorf("with limit 0: %d messages, last %v", len(ds), last)
	}
	var pages []hub.Delivery
	for since := said[0]; since != said[39]; since = pages[len(pages)-1].Pos {
		ds, _ := b.history(red, since, 7)
		if len(ds) == 0 || len(ds) > 7 {
			t.Fatalf("a page of %d", len(ds))
		}
		pages = append(pages, ds...)
	}
	checkAll(pages, 1)
}

func testUnrecoverable(t *testing.T, n Network) {
	a := start(t, n)
	red, other := kept(5), kept(5)
	first := a.publish(red, "", "0")
	var last hub.Position
	for i := range 300 {
		last = a.publish(red, "", fmt.Sprint(i+1))
	}
	elsewhere := a.publish(other, "", "x")
	ds, _ := a.history(red, hub.Position{}, 1000)
	if got := contents(ds); len(got) < 5 || !says("300")(got[len(got)-1]) {
		t.Errorf("of the last 5 messages there are %d", len(got))
	}
	checkChain(t, ds)
	if ds, _ := a.history(red, ds[0].Pos, 1000); len(contents(ds)) < 4 {
		t.Errorf("%d messages since the oldest that is kept", len(ds))
	}
	if ds, _, err := a.Broker.(hub.History).History(within(t), red, first, 1000); err == nil { // it keeps more than it has to
		checkChain(t, ds)
		if len(ds) != 300 || ds[0].Prev != first.Offset {
			t.Errorf("%d messages of 300 behind %v", len(ds), first)
		}
	} else if !errors.Is(err, hub.ErrUnrecoverable) {
		t.Error(err)
	}
	for name, since := range map[string]hub.Position{
		"another epoch": {Offset: last.Offset, Epoch: last.Epoch + "x"},
		"in the future": {Offset: last.Offset + 1000, Epoch: last.Epoch},
	} {
		ds, at, err := a.Broker.(hub.History).History(within(t), red, since, 1000)
		if !errors.Is(err, hub.ErrUnrecoverable) || len(ds) > 0 || at != last {
			t.Errorf("%s: %d messages, last %v, want %v, error %v", name, len(ds), at, last, err)
		}
	}
	if elsewhere.Epoch == "" {
		t.Error("a position without an epoch")
	}
}

// The position of a topic without messages is a place from which can be read on.
func testEmptyHistory(t *testing.T, n Network) {
	a, b := start(t, n), start(t, n)
	red := kept(10)
	ds, last := a.history(red, hub.Position{}, 10)
	if len(contents(ds)) > 0 || last.Epoch == "" {
		t.Fatalf("%d messages, last %v", len(ds), last)
	}
	if _, again := b.history(red, hub.Position{}, 0); again != last {
		t.Errorf("the last is %v, and then %v", last, again)
	}
	a.subscribe(red)
	b.publish(red, "", "one")
	b.publish(red, "", "two")
	ds, _ = a.history(red, last, 10)
	checkChain(t, ds)
	if got := texts(ds); !slices.Equal(got, []string{"one", "two"}) || ds[0].Prev != last.Offset {
		t.Errorf("got %q behind %v: %+v", got, last, ds)
	}
	if got := a.waitContents(red, 2); got[len(got)-2].Prev != last.Offset {
		t.Errorf("the first message comes behind %d, not %v", got[0].Prev, last)
	}
}

func testIDs(t *testing.T, n Network) {
	a, b := start(t, n), start(t, n)
	red, blue := kept(100), kept(100)
	a.subscribe(red)
	var wg sync.WaitGroup
	positions := make([]hub.Position, 8)
	for i := range positions {
		v := []node{a, b}[i%2]
		wg.Go(func() {
			var err error
			if positions[i], err = v.Publish(within(t), red, "id-1", []byte("once")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, p := range positions {
		if p != positions[0] || p.Offset == 0 {
			t.Fatalf("the positions are %v", positions)
		}
	}
	a.publish(red, "id-2", "another id")
	b.publish(blue, "id-1", "another topic")
	a.publish(red, "", "without")
	a.publish(red, "", "without")
	want := []string{"once", "another id", "without", "without"}
	if got := texts(contents(a.waitContents(red, 4))); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if ds, _ := b.history(blue, hub.Position{}, 10); len(contents(ds)) != 1 {
		t.Errorf("%d messages in the other topic", len(ds))
	}
}

func testManyPublishers(t *testing.T, n Network) {
	nodes := []node{start(t, n), start(t, n)}
	const publishers, each = 8, 50
	red := kept(publishers * each)
	for _, v := range nodes {
		v.subscribe(red)
	}
	var wg sync.WaitGroup
	for i := range publishers {
		wg.Go(func() {
			for k := range each {
				if _, err := nodes[i%2].Publish(within(t), red, "", fmt.Appendf(nil, "%d:%d", i, k)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	x, y := nodes[0].waitContents(red, publishers*each), nodes[1].waitContents(red, publishers*each)
	// Messages of the same moment may have overtaken each other on the way.
	inOrder := func(ds []hub.Delivery) []hub.Delivery {
		return slices.SortedFunc(slices.Values(ds), func(a, b hub.Delivery) int { return cmp.Compare(a.Pos.Offset, b.Pos.Offset) })
	}
	checkChain(t, inOrder(x))
	checkChain(t, inOrder(y))
	if !slices.Equal(texts(contents(inOrder(x))), texts(contents(inOrder(y)))) {
		t.Error("two nodes have got different messages at the same positions")
	}
	next := make(map[string]int)
	for _, d := range contents(x) {
		var i, k int
		if _, err := fmt.Sscanf(string(d.Data), "%d:%d", &i, &k); err != nil || k != next[fmt.Sprint(i)] {
			t.Fatalf("publisher %d: message %d, want %d", i, k, next[fmt.Sprint(i)])
		}
		next[fmt.Sprint(i)]++
	}
}

// What was acknowledged before and during an interruption is in the history.
func testHistoryAfterCut(t *testing.T, n Network) {
	if n.Cut == nil {
		t.Skip("no way to cut connections")
	}
	a, b := start(t, n), start(t, n)
	red := kept(10_000)
	a.subscribe(red)
	since := b.publish(red, "", "0")
	stop := make(chan struct{})
	acked := make(chan []string)
	go func() {
		var all []string
		for i := 1; ; i++ {
			select {
			case <-stop:
				acked <- all
				return
			default:
			}
			text := fmt.Sprint(i)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			if _, err := b.Publish(ctx, red, text, []byte(text)); err == nil {
				all = append(all, text)
			}
			cancel()
		}
	}()
	n.Cut(t)
	eventually(t, func() error {
		_, err := a.Publish(within(t), red, "", []byte("after"))
		return err
	})
	close(stop)
	all := <-acked
	var got []string
	eventually(t, func() error {
		ds, _, err := a.Broker.(hub.History).History(within(t), red, since, 20_000)
		got = texts(ds)
		return err
	})
	for _, text := range all {
		if !slices.Contains(got, text) {
			t.Fatalf("message %s was acknowledged, and is not there", text)
		}
	}
	slices.Sort(got)
	if unique := slices.Compact(slices.Clone(got)); len(unique) != len(got) {
		t.Errorf("%d messages are there more than once", len(got)-len(unique))
	}
}
