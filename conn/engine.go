package conn

import (
	"errors"
)

// Events is what an Engine calls for one connection.
type Events interface {
	// Message handles one message, whose Data is valid until it returns. It is
	// called for one message at a time, in order, and nothing is read meanwhile.
	// An error means that the handler wants no more.
	Message(m Message) error
	// Ended is called once, after the last Message: with Message's error, or
	// nil or an error as Messages of Conn would have ended with. The connection
	// is the callee's to close. It may block.
	Ended(err error)
}

// Engine reads connections and calls their Events, so that a connection on which
// nothing happens needs no goroutine of its own, or only a thin one. On Linux
// sockets wait in an epoll set and are handled by the goroutine that polled it.
// TLS over one has a goroutine while messages come, and waits there, too, once it
// has been quiet for a moment. Any other transport has a goroutine that waits,
// and with the build tag wsnoepoll so have these. Its goroutines end a tenth of a
// second after the last connection. The zero value is ready; it must not be
// copied.
type Engine struct {
	poller poller
}

// Run hands c over to the engine and returns at once. Message may call any
// method of c, Read included.
func (e *Engine) Run(c *Conn, ev Events) {
	if !e.poller.run(c, ev) {
		w := &waiter{c: c, ev: ev}
		w.next = w.turn
		go w.next()
	}
}

// errNotReady says that reading on would have to wait.
var errNotReady = errors.New("nothing has arrived")

// handleReady handles the messages that have arrived. It returns errNotReady
// when it has handled all of them and the connection goes on. With hup the peer
// has ended its side, and the end of the stream is to be read, too.
func (c *Conn) handleReady(ev Events, hup bool) error {
	if err := c.awaitReads(c.ctx); err != nil {
		return err
	}
	c.in.short, c.in.hup = false, hup
	c.watch.notWaiting(true)
	c.reading.release()
	var s step
	for {
		if err := c.stepReady(&s); err != nil {
			return err
		}
		if err := ev.Message(s.m); err != nil {
			return err
		}
	}
}

// stepReady is step without waiting.
func (c *Conn) stepReady(s *step) error {
	if err := c.awaitReads(c.ctx); err != nil {
		return err
	}
	c.endStep(s)
	c.in.nowait = true
	err := c.readStep(c.ctx, s)
	c.in.nowait = false
	if err == errNotReady && !c.held() {
		c.publish()
		c.watch.waiting(&c.in.parser)
	}
	c.unlockReads()
	return err
}

// eventsEnd is what Ended is told.
func eventsEnd(err error) error {
	if cleanEnd(err) {
		return nil
	}
	return err
}

// waiter handles c in goroutines of its own: each waits, handles what has come,
// and leaves the next wait to a new one, so that an idle connection's stack is as
// small as waiting needs, whatever handling took.
type waiter struct {
	c    *Conn
	ev   Events
	next func() // turn; as a go statement's method it would be made anew each time
}

func (w *waiter) turn() {
	err := w.c.awaitReady()
	for err == nil {
		err = w.c.handleReady(w.ev, false)
	}
	if err == errNotReady {
		go w.next()
		return
	}
	w.ev.Ended(eventsEnd(err))
}

// awaitReady waits until something has arrived, or the connection has ended. If
// that can be waited for elsewhere, it returns errNotReady after a while.
func (c *Conn) awaitReady() error {
	if err := c.awaitReads(c.ctx); err != nil {
		return err
	}
	defer c.reading.release()
	if c.held() {
		if err := c.hold(c.ctx); err != nil {
			return err
		}
	}
	if c.in.at < len(c.in.buf) {
		return nil
	}
	c.in.quiet.ends = true
	err := c.fill(c.ctx)
	c.in.quiet.ends = false
	return err
}
