package brokertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/hub"
)

// Trouble is something that happens to the engine, or between it and some
// brokers: the server is killed, is frozen, or can't be reached.
type Trouble struct {
	Name string

	// Connect returns a broker to which it happens, in touch with those of the
	// Network, to which it doesn't; nil: it happens to these.
	Connect func(t testing.TB) hub.Broker

	// Begin begins it, and returns what ends it: until then nothing need work.
	Begin func(t testing.TB) (end func())
}

const (
	// impatience is how long a publisher waits before it tries again.
	impatience = 500 * time.Millisecond
	// before is how many messages each publisher has published before trouble
	// begins, and again when it has ended.
	before = 20
)

// testTrouble has messages published all the time. Of what was acknowledged
// nothing may be missing, come twice or in another order; and afterwards plain
// rooms and presence have to be right again.
func testTrouble(t *testing.T, n Network, trouble Trouble) {
	struck := n
	if trouble.Connect != nil {
		struck.Connect = trouble.Connect
	}
	hubs := []*hub.Hub{startHub(t, struck, nil), startHub(t, n, nil)}
	room := fmt.Sprint("kept", rand.Uint64())
	plainRoom, who := fmt.Sprint("plain", rand.Uint64()), fmt.Sprint("who", rand.Uint64())

	var readers []*reader
	for _, h := range hubs {
		r := &reader{client: dial(t, h, "reader"), heard: make(chan struct{})}
		r.join(room, nil)
		r.join(plainRoom, nil)
		readers = append(readers, r)
		c := dial(t, h, h.Node())
		c.join(who, nil)
		go func() { // until it is hung up
			for _, err := range c.far.Messages(context.Background()) {
				_ = err // the loop ends with it
			}
		}()
	}
	var reading sync.WaitGroup
	for _, r := range readers {
		reading.Go(r.read)
	}
	var publishing sync.WaitGroup
	var publishers []*publisher
	for i, h := range hubs {
		p := &publisher{t: t, hub: h, room: room, name: fmt.Sprint("p", i)}
		publishers = append(publishers, p)
		publishing.Go(p.publish)
	}
	awaitMore(t, publishers)
	failed := publishers[0].failed.Load()
	end := trouble.Begin(t)
	eventually(t, func() error {
		if publishers[0].failed.Load() == failed {
			return errors.New("it doesn't hurt")
		}
		return nil
	})
	end()
	awaitMore(t, publishers)
	for _, p := range publishers {
		p.stop.Store(true)
	}
	publishing.Wait()
	last := &publisher{t: t, hub: hubs[0], room: room, name: "end"}
	last.try(0)
	reading.Wait()
	for i, r := range readers {
		r.check(publishers)
		if !slices.Equal(r.got, readers[0].got) {
			t.Errorf("readers 0 and %d have got different things: %d and %d messages", i, len(readers[0].got), len(r.got))
		}
	}
	works(t, hubs, readers, plainRoom, who)
}

// works waits until plain rooms and presence are right on all nodes.
func works(t *testing.T, hubs []*hub.Hub, readers []*reader, plainRoom, who string) {
	eventually(t, func() error {
		for _, h := range hubs {
			if got := h.Presence(who); len(got) != len(hubs) {
				return fmt.Errorf("in the room are %v", got)
			}
			ctx, cancel := context.WithTimeout(context.Background(), impatience)
			_, err := h.Publish(ctx, plainRoom, hub.Typed(said, h.Node()))
			cancel()
			if err != nil {
				return err
			}
		}
		for _, r := range readers {
			select {
			case <-r.heard:
			default:
				return errors.New("messages of other nodes don't come")
			}
		}
		return nil
	})
}

// awaitMore waits until each publisher has published some more messages.
func awaitMore(t *testing.T, ps []*publisher) {
	t.Helper()
	for _, p := range ps {
		goal := p.acked.Load() + before
		eventually(t, func() error {
			if n := p.acked.Load(); n < goal {
				return fmt.Errorf("%s has published %d of %d messages", p.name, n, goal)
			}
			return nil
		})
	}
}

// publisher publishes numbered messages to a room, each until it is acknowledged.
type publisher struct {
	t             testing.TB
	hub           *hub.Hub
	room, name    string
	stop          atomic.Bool
	acked, failed atomic.Int64
}

func (p *publisher) publish() {
	for n := 0; !p.stop.Load(); n++ {
		p.try(n)
	}
}

func (p *publisher) text(n int) string { return fmt.Sprintf("%s:%d", p.name, n) }

func (p *publisher) try(n int) {
	m := hub.Typed(said, p.text(n))
	m.ID = p.text(n)
	for deadline := time.Now().Add(patience); ; {
		ctx, cancel := context.WithTimeout(context.Background(), impatience)
		_, err := p.hub.Publish(ctx, p.room, m)
		cancel()
		if err == nil {
			p.acked.Add(1)
			return
		}
		p.failed.Add(1)
		if time.Now().After(deadline) {
			p.t.Errorf("%s: message %d: %v", p.name, n, err)
			return
		}
	}
}

// reader reads a room with a history up to a message of the publisher "end", and
// goes on for what comes by another room.
type reader struct {
	*client
	got   []string
	heard chan struct{} // closed when another node has been heard of by the plain room
}

func (r *reader) read() {
	for {
		p, err := ws.Receive[push](within(r.t), r.far)
		switch {
		case err != nil:
			r.t.Errorf("after %d messages: %v", len(r.got), err)
			return
		case p.Type != "said":
			r.t.Errorf("a message %s: %s", p.Type, p.Data)
		case p.text() == "end:0":
			go r.listen()
			return
		default:
			r.got = append(r.got, p.text())
		}
	}
}

// listen waits for what another node has published in the plain room.
func (r *reader) listen() {
	for {
		p, err := ws.Receive[push](context.Background(), r.far)
		if err != nil {
			return
		}
		if strings.HasPrefix(p.Room, "plain") && p.text() != r.hub.Node() {
			close(r.heard)
			return
		}
	}
}

// check looks for all that was acknowledged, and for nothing else.
func (r *reader) check(ps []*publisher) {
	r.t.Helper()
	next := make(map[string]int64)
	for _, text := range r.got {
		name, number, _ := strings.Cut(text, ":")
		if want := fmt.Sprint(next[name]); number != want {
			r.t.Errorf("of %s came %s, want %s", name, number, want)
			return
		}
		next[name]++
	}
	for _, p := range ps {
		if n := p.acked.Load(); next[p.name] != n {
			r.t.Errorf("of %s came %d messages, but %d were acknowledged", p.name, next[p.name], n)
		}
	}
}
