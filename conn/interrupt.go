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
	t      Transport
	writes bool

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
	if i.watched != done {
		if i.stop != nil {
			i.stop()
		}
		i.watched = done
		i.stop = context.AfterFunc(ctx, func() { i.fire(done) })
	}
	i.waiting = true
	i.mu.Unlock()
	// If done closed before waiting was set, fire did nothing, and won't again.
	if err := ctx.Err(); err != nil {
		i.end()
		return err
	}
	return nil
}

func (i *interrupt) fire(done <-chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.waiting && i.watched == done {
		i.fired = true
		i.setDeadline(aLongTimeAgo)
	}
}

// end takes back what begin or fire did.
func (i *interrupt) end() {
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
	defer i.mu.Unlock()
	if i.stop != nil {
		i.stop()
	}
	i.watched, i.stop = nil, nil
}

func (i *interrupt) setDeadline(t time.Time) {
	// An error means that the transport is closed, which ends the call as well.
	if i.writes {
		_ = i.t.SetWriteDeadline(t)
	} else {
		_ = i.t.SetReadDeadline(t)
	}
}
