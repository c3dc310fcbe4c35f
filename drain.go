package ws

import (
	"context"
	"sync"
	"time"

	"github.com/tidewire/ws/conn"
)

// Group is a set of live connections that are shut down together: of several
// handlers, and of bare Accepts (Options.Group). The zero value is ready; it
// must not be copied.
type Group struct {
	mu    sync.Mutex
	conns map[*Conn]struct{}
	until time.Time     // shutting down; when it is over
	empty chan struct{} // closed once there are no connections; made by Shutdown
}

// maxSpread is the longest time over which Shutdown spreads its closes.
const maxSpread = 5 * time.Second

// add, remove and draining do nothing for a nil Group.
func (g *Group) add(c *Conn) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conns == nil {
		g.conns = make(map[*Conn]struct{})
	}
	g.conns[c] = struct{}{}
	if g.empty != nil { // it came through the door as that was being closed
		go c.CloseCause(StatusGoingAway, "", conn.ErrShutdown)
	}
}

func (g *Group) remove(c *Conn) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if delete(g.conns, c); len(g.conns) == 0 && g.empty != nil && !isClosed(g.empty) {
		close(g.empty)
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// draining reports whether upgrades are refused, and when to try again.
func (g *Group) draining() (retryAfter time.Duration, draining bool) {
	if g == nil {
		return 0, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.empty == nil {
		return 0, false
	}
	return max(time.Until(g.until), time.Second), true
}

// Shutdown refuses new upgrades (503 with Retry-After), closes the live
// connections with 1001, spread over 5 s or half of ctx's time, whichever is
// shorter, so that not all clients come back at once, and waits until their
// handlers have returned. When ctx ends it drops the connections that are left
// and returns ctx.Err(). The group stays closed.
//
// http.Server.Shutdown knows nothing of upgraded connections: call both, in
// either order.
func (g *Group) Shutdown(ctx context.Context) error {
	conns, empty := g.close(ctx)
	if err := spread(ctx, conns, empty); err == nil {
		select {
		case <-empty:
			return nil
		case <-ctx.Done():
		}
	}
	g.mu.Lock()
	left := make([]*Conn, 0, len(g.conns))
	for c := range g.conns {
		left = append(left, c)
	}
	g.mu.Unlock()
	for _, c := range left {
		c.CloseCause(0, "", conn.ErrShutdown)
	}
	return ctx.Err()
}

// close refuses what comes from now on and returns what there is.
func (g *Group) close(ctx context.Context) ([]*Conn, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until, _ = ctx.Deadline(); g.empty == nil {
		g.empty = make(chan struct{})
		if len(g.conns) == 0 {
			close(g.empty)
		}
	}
	conns := make([]*Conn, 0, len(g.conns))
	for c := range g.conns {
		conns = append(conns, c)
	}
	return conns, g.empty
}

// spread closes the connections evenly over time, the last ones at once if they
// are the only ones that are left.
func spread(ctx context.Context, conns []*Conn, empty <-chan struct{}) error {
	const steps = 100
	window := maxSpread
	if deadline, ok := ctx.Deadline(); ok {
		window = min(window, time.Until(deadline)/2)
	}
	tick := time.NewTimer(0)
	defer tick.Stop()
	batch := (len(conns) + steps - 1) / steps
	for len(conns) > 0 {
		select {
		case <-tick.C:
		case <-empty:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		n := min(batch, len(conns))
		for _, c := range conns[:n] {
			c.CloseCause(StatusGoingAway, "", conn.ErrShutdown)
		}
		if conns = conns[n:]; len(conns) > 0 {
			tick.Reset(window * time.Duration(n) / time.Duration(n+len(conns)))
			window -= window * time.Duration(n) / time.Duration(n+len(conns))
		}
	}
	return nil
}
