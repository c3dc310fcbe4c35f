package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/hub"
)

// A slow peer's stream takes 200 bytes, its connection as much again, and its
// queue in the hub queueOf small messages.
const queueOf = 10

var slow = setup{buffer: 200, queue: 100}

const body = 36 // bytes: with the 64 that a message is counted it is 100

func slowHub(policy hub.Policy) *hub.Hub {
	return hub.New(&hub.Options{
		Queue: 100 * queueOf,
		Rooms: func(string) (hub.RoomOptions, error) { return hub.RoomOptions{Policy: policy}, nil },
	})
}

func numbered(n int) hub.Message { return text("%-*d", body, n) }

// numbers is what numbered messages say.
func numbers(t *testing.T, got []string) (ns []int) {
	for _, m := range got {
		var n int
		if _, err := fmt.Sscan(m, &n); err != nil {
			t.Fatalf("got %q", m)
		}
		ns = append(ns, n)
	}
	return ns
}

func TestDrops(t *testing.T) {
	for name, policy := range map[string]hub.Policy{"oldest": hub.DropOldest, "newest": hub.DropNewest, "latest": hub.LatestWins} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := slowHub(policy)
				p, fast := connect(t, slow), connect(t, setup{})
				join(t, h, "red", p, fast)
				const n = 500
				for i := range n {
					publish(t, h, "red", numbered(i))
					fast.gets(string(numbered(i).Data))
					synctest.Wait()
				}
				waiting, dropped := h.Lag(p.Conn)
				if waiting != 100*queueOf || dropped == 0 || h.Stats().Dropped != dropped || h.Stats().Lagging != 1 {
					t.Errorf("%d bytes wait, %d messages were dropped, %+v", waiting, dropped, h.Stats())
				}
				var got []int
				for range n - int(dropped) {
					got = append(got, numbers(t, []string{p.next()})...)
				}
				at := len(got) - queueOf
				if policy == hub.DropNewest {
					at = len(got)
				}
				for i, v := range got[:at] {
					if v != i {
						t.Fatalf("got %v", got)
					}
				}
				for i, v := range got[at:] {
					if v != n-queueOf+i {
						t.Fatalf("got %v", got)
					}
				}
				synctest.Wait()
				if s := h.Stats(); s.Waiting != 0 || s.Lagging != 0 {
					t.Errorf("%+v", s)
				}
				publish(t, h, "red", numbered(n))
				p.gets(string(numbered(n).Data))
			})
		})
	}
}

// One room does not push out what another has queued.
func TestDropsOwnRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := slowHub(hub.DropOldest)
		p := connect(t, slow)
		join(t, h, "red", p)
		join(t, h, "blue", p)
		publish(t, h, "red", text("%s", strings.Repeat("x", 400))) // fills the connection
		publish(t, h, "red", text("%s", strings.Repeat("x", 400)))
		synctest.Wait()
		publish(t, h, "blue", text("blue"))
		for i := range 100 {
			publish(t, h, "red", numbered(i))
		}
		publish(t, h, "red", text("end"))
		got := p.all()
		i := slices.Index(got, "blue")
		if i < 0 {
			t.Fatalf("got %q", got)
		}
		if ns := numbers(t, got[i+1:]); len(ns) < 3 || ns[len(ns)-1] != 99 {
			t.Errorf("got %v", ns)
		}
	})
}

func TestLatestWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := slowHub(hub.LatestWins)
		p := connect(t, slow)
		join(t, h, "ticks", p)
		tick := func(key string, n int) {
			m := text("%s=%d", key, n)
			m.Key = key
			publish(t, h, "ticks", m)
		}
		publish(t, h, "ticks", text("%s", strings.Repeat("x", 400)))
		publish(t, h, "ticks", text("%s", strings.Repeat("x", 400)))
		synctest.Wait()
		for n := range 1000 {
			tick("a", n)
			tick("b", -n)
			if n == 500 {
				publish(t, h, "ticks", text("no key"))
			}
		}
		if w, dropped := h.Lag(p.Conn); w > 100*queueOf || dropped > 0 {
			t.Errorf("%d bytes wait, %d dropped", w, dropped)
		}
		if s := h.Stats(); s.Replaced < 1900 {
			t.Errorf("%+v", s)
		}
		publish(t, h, "ticks", text("end"))
		got := p.all()
		if tail := got[len(got)-3:]; !slices.Equal(tail, []string{"a=999", "b=-999", "no key"}) {
			t.Errorf("got %q", got)
		}
		tick("a", 1)
		p.gets("a=1")
	})
}

func TestPolicyCloses(t *testing.T) {
	for policy, code := range map[hub.Policy]ws.StatusCode{hub.TryAgainLater: ws.StatusTryAgainLater, hub.Violation: ws.StatusPolicyViolation} {
		synctest.Test(t, func(t *testing.T) {
			h := slowHub(hub.DropOldest)
			p, fast := connect(t, slow), connect(t, setup{})
			join(t, h, "red", fast)
			if _, err := h.Join(t.Context(), p.Conn, "red", &hub.JoinOptions{Policy: policy}); err != nil {
				t.Fatal(err)
			}
			for i := range 100 {
				publish(t, h, "red", numbered(i))
				fast.next()
			}
			if err := context.Cause(p.Context()); !errors.Is(err, hub.ErrSlow) {
				t.Errorf("the cause is %v", err)
			}
			synctest.Wait()
			if s := h.Stats(); s.Closed != 1 || s.Connections != 1 || s.Waiting != 0 || s.Lagging != 0 {
				t.Errorf("%+v", s)
			}
			for {
				if _, _, err := p.client.Read(t.Context()); err != nil {
					if ws.CloseStatus(err) != code {
						t.Error(err)
					}
					break
				}
			}
		})
	}
}

// Wait loses nothing, and holds the publisher back.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := slowHub(hub.Wait)
		p := connect(t, slow)
		join(t, h, "red", p)
		const n = 200
		sent := make(chan int, n)
		go func() {
			defer close(sent)
			for i := range n {
				if _, err := h.Publish(t.Context(), "red", numbered(i)); err != nil {
					t.Error(err)
				}
				sent <- i
			}
		}()
		synctest.Wait()
		if k := len(sent); k < queueOf || k > queueOf+12 {
			t.Errorf("%d messages were taken before anybody read", k)
		}
		if got := numbers(t, read(p, n)); !slices.IsSorted(got) || got[n-1] != n-1 {
			t.Errorf("got %v", got)
		}
		for range sent {
		}
		for i := range 5 * queueOf { // now with an impatient publisher
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := h.Publish(ctx, "red", numbered(i))
			cancel()
			if i > 3*queueOf && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%d: %v", i, err)
			}
		}
		if w, dropped := h.Lag(p.Conn); w != 2*100*queueOf || dropped == 0 {
			t.Errorf("%d bytes wait, %d dropped", w, dropped)
		}
	})
}

// A member that has stalled costs the others nothing: they have all they are
// sent, at the time at which it is sent.
func TestSlowMemberCostsOthersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		var stalled, others []peer
		for range 10 {
			stalled = append(stalled, connect(t, slow))
			others = append(others, connect(t, setup{}))
		}
		join(t, h, "red", stalled...)
		join(t, h, "red", others...)
		start := time.Now()
		for i := range 2000 {
			publish(t, h, "red", numbered(i))
			for _, p := range others {
				p.gets(string(numbered(i).Data))
			}
		}
		if d := time.Since(start); d > 0 {
			t.Errorf("it took %v", d)
		}
		synctest.Wait()
		for _, p := range stalled {
			if w, _ := h.Lag(p.Conn); w == 0 || w > 256<<10 {
				t.Errorf("%d bytes wait", w)
			}
		}
	})
}

// The budget holds whatever is published, and the slowest pay for it.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const memory = 20_000
		h := hub.New(&hub.Options{Memory: memory})
		stalled, reading := connect(t, slow), connect(t, slow)
		join(t, h, "red", stalled, reading)
		over := make(chan struct{})
		go func() { // falls behind, too, but not as much
			defer close(over)
			for {
				if _, _, err := reading.client.Read(t.Context()); err != nil {
					return
				}
				time.Sleep(1100 * time.Microsecond)
			}
		}()
		for i := range 5000 {
			publish(t, h, "red", numbered(i))
			if w := h.Stats().Waiting; w > memory {
				t.Fatalf("%d bytes wait", w)
			}
			time.Sleep(time.Millisecond)
		}
		_, most := h.Lag(stalled.Conn)
		_, least := h.Lag(reading.Conn)
		reading.close()
		<-over
		if s := h.Stats(); s.Shed == 0 || s.Shed != s.Dropped || most+least != s.Shed || most < 4*least {
			t.Errorf("%d and %d dropped, %+v", most, least, s)
		}
	})
}

func TestMemoryCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(&hub.Options{Memory: 10_000, Rooms: func(string) (hub.RoomOptions, error) {
			return hub.RoomOptions{Policy: hub.TryAgainLater}, nil
		}})
		p := connect(t, slow)
		join(t, h, "red", p)
		for i := range 200 {
			publish(t, h, "red", numbered(i))
		}
		if err := context.Cause(p.Context()); !errors.Is(err, hub.ErrSlow) {
			t.Errorf("the cause is %v", err)
		}
	})
}

// What waits in many queues is counted once.
func TestMemoryIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		const members, size = 20, 10_000
		for range members {
			join(t, h, "red", connect(t, slow))
		}
		for range 5 {
			publish(t, h, "red", text("%s", strings.Repeat("x", size)))
		}
		if w := h.Stats().Waiting; w < 3*size || w > 5*size+5*members*64 {
			t.Errorf("%d bytes wait", w)
		}
	})
}
