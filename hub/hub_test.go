package hub_test

import (
	"errors"
	"github.com/tidewire/ws/internal/leaktest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/hub"
)

func TestRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		a, b, c := connect(t, setup{}), connect(t, setup{}), connect(t, setup{})
		join(t, h, "red", a, b)
		join(t, h, "blue", b, c)
		publish(t, h, "red", text("r1"), text("r2"))
		publish(t, h, "blue", text("b1"))
		publish(t, h, "nobody's", text("x"))
		a.gets("r1", "r2")
		b.gets("r1", "r2", "b1")
		c.gets("b1")
		if got := h.Rooms(b.Conn); !slices.Equal(got, []string{"red", "blue"}) {
			t.Errorf("b is in %q", got)
		}
		if !h.Leave(b.Conn, "red") || h.Leave(b.Conn, "red") || h.Leave(a.Conn, "blue") {
			t.Error("Leave doesn't say who was there")
		}
		except := text("r3")
		except.Except = b.Conn
		publish(t, h, "red", except)
		except.Data = []byte("b2")
		publish(t, h, "blue", except, text("b3"))
		a.gets("r3")
		b.gets("b3")
		c.gets("b2", "b3")
	})
}

func TestDirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(&hub.Options{Principal: principalOf})
		ada1, ada2 := connect(t, setup{principal: "ada"}), connect(t, setup{principal: "ada"})
		bob := connect(t, setup{principal: "bob"})
		for _, p := range []peer{ada1, ada2, bob} {
			if err := h.Add(p.Conn); err != nil {
				t.Fatal(err)
			}
		}
		ctx := t.Context()
		err := errors.Join(
			h.PublishTo(ctx, "ada", text("to ada")),
			h.PublishTo(ctx, "nobody", text("to nobody")),
			h.Send(bob.Conn, text("to bob")),
			h.PublishAll(ctx, text("to all")),
		)
		if err != nil {
			t.Error(err)
		}
		ada1.gets("to ada", "to all")
		ada2.gets("to ada", "to all")
		bob.gets("to bob", "to all")
		if err := h.Kick(ctx, "ada", ws.StatusPolicyViolation, "go"); err != nil {
			t.Error(err)
		}
		for _, p := range []peer{ada1, ada2} {
			if _, _, err := p.client.Read(ctx); ws.CloseStatus(err) != ws.StatusPolicyViolation {
				t.Error(err)
			}
		}
		synctest.Wait()
		if s := h.Stats(); s.Connections != 1 {
			t.Errorf("%+v", s)
		}
		if err := h.PublishTo(ctx, "ada", text("gone")); err != nil {
			t.Error(err)
		}
	})
}

// A connection that ends leaves its rooms, and a room that everybody has left is nothing any more.
func TestEndLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		a, b := connect(t, setup{}), connect(t, setup{})
		join(t, h, "red", a, b)
		join(t, h, "blue", a)
		a.close()
		synctest.Wait()
		if s := h.Stats(); s.Connections != 1 || s.Rooms != 1 {
			t.Errorf("%+v", s)
		}
		if _, err := h.Join(t.Context(), a.Conn, "red", nil); err == nil {
			t.Error("a closed connection has joined")
		}
		publish(t, h, "red", text("still here"))
		b.gets("still here")
		h.Leave(b.Conn, "red")
		if s := h.Stats(); s.Rooms != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestNoGoroutinePerMember(t *testing.T) {
	h := hub.New(nil)
	ps := make([]peer, 50)
	for i := range ps {
		ps[i] = connect(t, setup{})
	}
	before := runtime.NumGoroutine()
	join(t, h, "red", ps...)
	publish(t, h, "red", text("hello"))
	for _, p := range ps {
		p.gets("hello")
	}
	if left := leaktest.Left(before); left > 0 {
		t.Errorf("%d members cost %d goroutines", len(ps), left)
	}
}

// What is published in one call goes out in one write.
func TestBurstIsOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		p, other := connect(t, setup{}), connect(t, setup{})
		join(t, h, "red", p, other)
		var burst []hub.Message
		var want []string
		for range 100 {
			burst = append(burst, text("%s", strings.Repeat("x", 50)))
			want = append(want, strings.Repeat("x", 50))
		}
		publish(t, h, "red", burst...)
		p.gets(want...)
		if n := p.writes.Load(); n != 1 {
			t.Errorf("%d writes", n)
		}
		burst[0].Except = other.Conn // one message is not for all
		publish(t, h, "red", burst[:30]...)
		p.gets(want[:30]...)
		if n := p.writes.Load(); n != 2 {
			t.Errorf("%d writes", n)
		}
	})
}

func TestNames(t *testing.T) {
	h := hub.New(&hub.Options{MaxRooms: 2, Rooms: func(name string) (hub.RoomOptions, error) {
		if name == "forbidden" {
			return hub.RoomOptions{}, errors.New("no")
		}
		o := hub.RoomOptions{}
		if name == "contradiction" {
			o = hub.RoomOptions{Policy: hub.LatestWins, History: 1}
		}
		if name == "unknown policy" {
			o.Policy = 99
		}
		return o, nil
	}})
	p := connect(t, setup{})
	for _, bad := range []string{"", "a\nb", "\xff", strings.Repeat("x", 129), "forbidden", "contradiction", "unknown policy"} {
		if _, err := h.Join(t.Context(), p.Conn, bad, nil); err == nil {
			t.Errorf("joined %q", bad)
		}
		if _, err := h.Publish(t.Context(), bad, text("x")); err == nil {
			t.Errorf("published to %q", bad)
		}
	}
	join(t, h, "a", p)
	join(t, h, "größe 漢", p)
	join(t, h, "a", p) // again
	if _, err := h.Join(t.Context(), p.Conn, "c", nil); err == nil {
		t.Error("joined three rooms of two")
	}
	if s := h.Stats(); s.Rooms != 2 {
		t.Errorf("%+v", s)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := h.Join(t.Context(), p.Conn, "c", nil); !errors.Is(err, hub.ErrClosed) {
		t.Error(err)
	}
	if _, err := h.Publish(t.Context(), "a", text("x")); !errors.Is(err, hub.ErrClosed) {
		t.Error(err)
	}
}

// Members see the messages of many publishers in the same order.
func TestOneOrder(t *testing.T) {
	h := hub.New(nil)
	a, b := connect(t, setup{}), connect(t, setup{})
	join(t, h, "red", a, b)
	const publishers, each = 8, 200
	done := make(chan error)
	for i := range publishers {
		go func() {
			for n := range each {
				if _, err := h.Publish(t.Context(), "red", text("%d:%d", i, n)); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	got := make(chan []string)
	go func() { got <- read(b, publishers*each) }()
	x := read(a, publishers*each)
	y := <-got
	for range publishers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(x, y) {
		t.Error("two members have got the messages in different orders")
	}
	seen := make(map[string]bool)
	for _, m := range x {
		seen[m] = true
	}
	if len(seen) != publishers*each {
		t.Errorf("%d messages of %d", len(seen), publishers*each)
	}
}

func read(p peer, n int) (got []string) {
	for range n {
		got = append(got, p.next())
	}
	return got
}
