package conn

import (
	"context"
	"sync"
	"time"
)

// interrupt lets contexts end the blocking calls of one direction of a
// transport, by a deadline in the past that is taken back afterwards.
//
// Watching a context costs two allocations, so the watch is kept: a call with
// the same Done channel as the last one only marks itself as waiting. (Contexts
// can't be compared safely; channels can.)
type interrupt struct {
	set func(time.Time) error // the transport's deadline

	mu      sync.Mutex
	watched <-chan struct{} // the Done channel that stop belongs to
	stop    func() bool
	waiting bool // a call is blocked, or about to be
	fired   bool // the deadline is in the past
}

// aLongTimeAgo is a deadline that has passed.
var aLongTimeAgo = time.Unix(1, 0)

// begin announces a call that may block until done, ctx's Done channel, closes.
// end must follow. It returns ctx's error if that is over already.
func (i *interrupt) begin(ctx context.Context, done <-chan struct{}) error {
	i.mu.Lock()
	last, stop := i.watched, i.stop
	if last != done {
		i.watched, i.stop = done, nil
	}
	i.waiting = true
	i.mu.Unlock()
	if last != done {
		if stop != nil {
			stop()
		}
		i.watch(ctx, done)
	}
	// If done closed before waiting was set, fire did nothing, and won't again.
	if err := ctx.Err(); err != nil {
		i.end()
		return err
	}
	return nil
}

// watch keeps a watch on ctx until begin or forget drops it. Nothing is locked
// while ctx, which may be anybody's, is called.
func (i *interrupt) watch(ctx context.Context, done <-chan struct{}) {
	stop := context.AfterFunc(ctx, func() { i.fire(done) })
	i.mu.Lock()
	if i.watched == done {
		i.stop, stop = stop, nil
	}
	i.mu.Unlock()
	if stop != nil {
		stop()
	}
}

func (i *interrupt) fire(done <-chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.waiting && i.watched == done {
		i.fired = true
		i.setDeadline(aLongTimeAgo)
	}
}

// end takes back what begin or fire did. It does nothing for nil.
func (i *interrupt) end() {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.waiting = false
	if i.fired {
		i.fired = false
		i.setDeadline(time.Time{})
	}
}

// forget stops watching; the connection is over.
func (i *interrupt) forget() {
	i.mu.Lock()
	stop := i.stop
	i.watched, i.stop = nil, nil
	i.mu.Unlock()
	if stop != nil {
		stop()
	}
}

func (i *interrupt) setDeadline(t time.Time) {
	_ = i.set(t) // an error means that the transport is closed, which ends the call as well
}

// interrupts are a connection's two, made when a context that can end is first
// waited with. (Most connections only ever see their own.)
type interrupts struct{ read, write interrupt }

func (c *Conn) interrupts() *interrupts {
	if s := c.cuts.Load(); s != nil {
		return s
	}
	s := &interrupts{read: interrupt{set: c.t.SetReadDeadline}, write: interrupt{set: c.t.SetWriteDeadline}}
	c.cuts.CompareAndSwap(nil, s)
	return c.cuts.Load()
}

// beginRead and beginWrite are begin for the one goroutine at a time that reads
// or sends. They return nil if ctx needs no watching.
func (c *Conn) beginRead(ctx context.Context) (*interrupt, error) {
	if done := c.watchable(ctx); done != nil {
		return c.begin(ctx, &c.interrupts().read, done)
	}
	return nil, nil
}

func (c *Conn) beginWrite(ctx context.Context) (*interrupt, error) {
	if done := c.watchable(ctx); done != nil {
		return c.begin(ctx, &c.interrupts().write, done)
	}
	return nil, nil
}

// watchable returns ctx's Done channel if it may end before the connection does.
// The connection's own context is asked last: its channel is made when somebody
// wants it, and an idle connection can do without.
func (c *Conn) watchable(ctx context.Context) <-chan struct{} {
	if ctx == c.ctx {
		return nil
	}
	if done := ctx.Done(); done != nil && done != c.ctx.Done() {
		return done
	}
	return nil
}

func (c *Conn) begin(ctx context.Context, i *interrupt, done <-chan struct{}) (*interrupt, error) {
	if err := i.begin(ctx, done); err != nil {
		return nil, err
	}
	if c.over() != nil { // release may have come too early to see the watch
		i.forget()
	}
	return i, nil
}

// forget stops watching. It does nothing for nil.
func (s *interrupts) forget() {
	if s != nil {
		s.read.forget()
		s.write.forget()
	}
}
