//go:build linux

package attack_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/tidewire/ws"
)

// crowd is clients that mean well: each sends a message now and then, and wants it back.
type crowd struct {
	conns []*ws.Conn
	wg    sync.WaitGroup
	stop  context.CancelFunc

	mu       sync.Mutex // guards all below
	waits    []time.Duration
	unserved error
}

const (
	guests = 20
	pace   = 10 * time.Millisecond
)

func welcome(t *testing.T, addr string) *crowd {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	g := &crowd{stop: stop}
	for range guests {
		c, _, err := ws.Dial(ctx, "ws://"+addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		g.conns = append(g.conns, c)
		g.wg.Go(func() { g.talk(ctx, c) })
	}
	return g
}

func (g *crowd) talk(ctx context.Context, c *ws.Conn) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	p, buf := make([]byte, 32), make([]byte, 0, 64)
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		since := time.Now()
		err := c.Write(context.Background(), ws.Binary, p)
		if err == nil {
			_, _, err = c.AppendRead(context.Background(), buf)
		}
		g.mu.Lock()
		g.waits = append(g.waits, time.Since(since))
		if err != nil {
			g.unserved = err
		}
		g.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// take returns how long they have waited for each reply since it was called last.
func (g *crowd) take() []time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	waits := g.waits
	g.waits = nil
	return waits
}

// leave ends the connections, all of which must still be there.
func (g *crowd) leave(t *testing.T) {
	t.Helper()
	g.stop()
	g.wg.Wait()
	if g.unserved != nil {
		t.Errorf("a client that meant well: %v", g.unserved)
	}
	for _, c := range g.conns {
		if err := c.Close(context.Background(), ws.StatusNormal, ""); err != nil {
			t.Error(err)
		}
	}
}
