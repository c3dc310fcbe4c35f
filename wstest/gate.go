package wstest

import (
	"net"
	"os"
	"sync"
	"time"
)

// A gate stands before one direction of one end of a connection. It lets in one call at a time, as sockets do, and ends its
// waiting when the connection is closed or the deadline has passed. All waiting is on channels: a goroutine that waits for a
// mutex would keep the time of a synctest bubble from moving on.
type gate struct {
	deadline
	turn   chan struct{}   // holds a token while nobody is inside
	closed <-chan struct{} // of the connection
}

func (g *gate) init(closed <-chan struct{}) {
	g.turn, g.closed = make(chan struct{}, 1), closed
	g.leave()
}

func (g *gate) enter() error { return wait(g, g.turn) }
func (g *gate) leave()       { g.turn <- struct{}{} }

// wait receives from c. It returns net.ErrClosed or os.ErrDeadlineExceeded, in this order, instead of waiting when one of
// them holds already.
func wait[T any](g *gate, c <-chan T) error {
	for {
		passed, due := g.watch()
		select {
		case <-g.closed:
			return net.ErrClosed
		default:
		}
		if passed {
			return os.ErrDeadlineExceeded
		}
		select {
		case <-c:
			return nil
		case <-g.closed:
		case <-due:
			// Look again: it may have been moved since, and then it never was.
		}
	}
}

// A deadline is a point in time that can be moved, also while somebody waits for it.
type deadline struct {
	mu     sync.Mutex // guards all below
	timer  *time.Timer
	passed bool
	due    chan struct{} // closed when it has passed; nil until somebody watches
}

// watch returns whether the deadline has passed, and if not, a channel that is closed when it does.
func (d *deadline) watch() (passed bool, due <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.due == nil {
		d.due = make(chan struct{})
	}
	return d.passed, d.due
}

// set moves the deadline to t; the zero time is never.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.passed {
		d.passed, d.due = false, nil
	}
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.pass()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.timer == timer { // Stop came too late otherwise
			d.pass()
		}
	})
	d.timer = timer
}

// pass is called with mu held, when passed is false.
func (d *deadline) pass() {
	d.passed = true
	if d.due != nil {
		close(d.due)
	}
}
