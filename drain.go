package ws

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tidewire/ws/conn"
)

// Group is a set of live connections that are shut down together: of several
// handlers, and of bare Accepts (Options.Group). The zero value is ready; it
// must not be copied.
type Group struct {
	// Drain says how Shutdown takes leave. It must not be changed while there are
	// connections.
	Drain Drain

	mu     sync.Mutex      // guards all below
	conns  map[*Conn]int64 // when they were opened, in Unix nanoseconds
	totals totals
	leave  Drain         // Shutdown's
	until  time.Time     // shutting down; when it is over
	empty  chan struct{} // closed once there are no connections; made by Shutdown
}

// Drain says how Shutdown takes leave of the clients.
type Drain struct {
	// Code is what they are told: StatusGoingAway (1001), the default, or
	// StatusServiceRestart (1012).
	Code StatusCode
	// Spread is the time over which the closes are spread; default 5 s. It is
	// never more than half of the time that Shutdown has.
	Spread time.Duration
	// RetryAfter, if not 0, has each client told to come back after a random part
	// of it, by the close reason "retry-after=" and seconds, which the function
	// RetryAfter reads. It is also the Retry-After of the upgrades that are refused
	// meanwhile; by default that is the rest of the time that Shutdown has.
	RetryAfter time.Duration
}

const (
	defaultSpread = 5 * time.Second
	retryReason   = "retry-after="
)

func (d Drain) close(c *Conn) {
	code, reason := d.Code, ""
	if code == 0 {
		code = StatusGoingAway
	}
	if d.RetryAfter > 0 {
		reason = retryReason + strconv.FormatFloat(rand.N(d.RetryAfter).Seconds(), 'f', 2, 64)
	}
	c.CloseCause(code, reason, conn.ErrShutdown)
}

// RetryAfter returns how long the server wants a client to wait before it comes
// back, if err is a connection's end whose close reason says so.
func RetryAfter(err error) (wait time.Duration, ok bool) {
	var closed *CloseError
	if !errors.As(err, &closed) {
		return 0, false
	}
	text, ok := strings.CutPrefix(closed.Reason, retryReason)
	seconds, err := strconv.ParseFloat(text, 64)
	const most = 24 * 60 * 60
	if !ok || err != nil || !(seconds >= 0 && seconds <= most) {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// add, remove and draining do nothing for a nil Group.
func (g *Group) add(c *Conn) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conns == nil {
		g.conns = make(map[*Conn]int64)
	}
	g.conns[c] = time.Now().UnixNano()
	g.totals.opened++
	if g.empty != nil { // it came through the door as that was being closed
		go g.leave.close(c)
	}
}

func (g *Group) remove(c *Conn) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if opened, ok := g.conns[c]; ok {
		g.totals.ended(c, opened, context.Cause(c.Context()))
	}
	if delete(g.conns, c); len(g.conns) == 0 && g.empty != nil && !isClosed(g.empty) {
		close(g.empty)
	}
}

// refused counts a refusal; it does nothing for a nil Group.
func (g *Group) refused() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.totals.refused++
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
	if wait := g.leave.RetryAfter; wait > 0 {
		return wait, true
	}
	return max(time.Until(g.until), time.Second), true
}

// Shutdown refuses new upgrades (503 with Retry-After), closes the live
// connections as Drain says, with 1001 and not all at once by default, and waits
// until their handlers have returned. When ctx ends it drops the connections that
// are left and returns ctx.Err(). The group stays closed.
//
// http.Server.Shutdown knows nothing of upgraded connections: call both, in
// either order. http.Server.RegisterOnShutdown can call this one, but nobody waits
// for what it calls.
func (g *Group) Shutdown(ctx context.Context) error { return g.shutdown(ctx, g.Drain) }

func (g *Group) shutdown(ctx context.Context, d Drain) error {
	conns, empty := g.close(ctx, d)
	if err := d.spread(ctx, conns, empty); err == nil {
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
func (g *Group) close(ctx context.Context, d Drain) ([]*Conn, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leave = d
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
func (d Drain) spread(ctx context.Context, conns []*Conn, empty <-chan struct{}) error {
	const steps = 100
	window := d.Spread
	if window == 0 {
		window = defaultSpread
	}
	if deadline, ok := ctx.Deadline(); ok {
		window = min(window, time.Until(deadline)/2)
	}
	tick := time.NewTimer(0)
	defer tick.Stop()
	start, all := time.Now(), len(conns)
	batch := (all + steps - 1) / steps
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
			d.close(c)
		}
		conns = conns[n:]
		// By the clock, so that it doesn't take longer when closing takes its time.
		due := start.Add(window * time.Duration(all-len(conns)) / time.Duration(all))
		tick.Reset(time.Until(due))
	}
	return nil
}
