//go:build linux && !wsnoepoll

package conn

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// Over TLS, an Engine waits at the socket beneath. That tells when to read, but
// not how much there is: so a goroutine of the connection's own reads, and stays
// while messages come. Only when it has been quiet for a while, and TLS has
// nothing left, does the engine wait in its place.

// quietTime is how long a goroutine waits before the engine does.
const quietTime = 250 * time.Millisecond

// findBeneath finds the socket beneath c's transport, if there is one.
func (c *Conn) findBeneath() bool {
	t, ok := c.t.(netTransport)
	if !ok {
		return false
	}
	tcp := t.beneath()
	if tcp == nil {
		return false
	}
	rc, err := tcp.SyscallConn()
	c.raw.rc = rc
	return err == nil
}

// readPolled reads, and returns errNotReady if an engine's goroutine has waited for
// long and nothing has come. The deadline that says so is set now and then; any
// other read that it cuts goes on.
func (c *Conn) readPolled(ctx context.Context, p []byte) (int, error) {
	q := &c.in.quiet
	for {
		if heard := c.watch.traffic.Load(); q.ends && !q.armed {
			if err := c.t.SetReadDeadline(time.Now().Add(quietTime)); err != nil {
				return 0, err
			}
			q.armed, q.heard = true, heard
		}
		n, err := c.t.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		q.armed = false
		if cleared := c.t.SetReadDeadline(time.Time{}); cleared != nil {
			return 0, cleared
		}
		// Whoever else has set a deadline has ended ctx or the connection before.
		if ctx.Err() != nil || c.over() != nil {
			return 0, err
		}
		if q.ends && q.heard == c.watch.traffic.Load() {
			return 0, errNotReady
		}
	}
}

// stay handles what arrives until nothing has come for a while, or the connection
// has ended.
func (a *attachment) stay() {
	for {
		before := a.state.And(^uint32(again)) &^ again
		err := error(nil)
		for err == nil {
			if err = a.c.awaitReady(); err != nil {
				break
			}
			if err = a.c.handleReady(a.ev, false); err == errNotReady {
				err = nil
			}
		}
		if err != errNotReady {
			a.leave()
			a.ev.Ended(eventsEnd(err))
			return
		}
		if a.state.CompareAndSwap(before, resting) {
			if a.watch(syscall.EPOLL_CTL_MOD) != nil {
				a.wake()
			}
			return
		}
	}
}
