package conn

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewire/ws/internal/pool"
	"github.com/tidewire/ws/internal/wire"
)

const (
	// maxWrite is the most that one system call is given.
	maxWrite = 128 << 10
	// maxPiece is the most that a stream which is no socket is given at once. It
	// is a record of TLS; with more, WriteTimeout would see progress too seldom.
	maxPiece = 16 << 10
	// maxFragment is the longest payload of a frame: behind it a pong or a
	// close frame may pass.
	maxFragment = 128 << 10
	// maxCopied is up to where payload is copied behind its header, to go out
	// in one piece; longer payload is written from where it lies.
	maxCopied = pool.Large - wire.MaxHeader
	// maxKept bounds what is kept of a long message whose write was given up.
	maxKept = 256 << 10
	// maxControls bounds the control frames that wait behind a write: enough
	// to answer every ping of a lively peer, too little for a flood to fill.
	maxControls = 1 << 10
	// maxRounds is how often a writer sends what others have appended
	// meanwhile, before a goroutine of its own takes over.
	maxRounds = 16
	// maxCrowd is how many senders in a row let other goroutines run first, and
	// find that they have not written, until that isn't tried any more.
	maxCrowd = 16
	// deferTime is how long a reply may wait for the next one when more
	// requests have arrived already.
	deferTime = 100 * time.Microsecond
)

// outbound is the write side of a connection: frames that were accepted, and
// who is sending. One goroutine at a time is the sender: busy is its lock. It
// takes everything that has been accepted (take) and writes it without holding
// mu; what others append meanwhile is the next batch. A sender that can't go on
// without blocking its caller passes the rest on to a goroutine (flusher).
//
// What every message touches comes first, as in inbound: with many connections
// each cache line is a miss.
type outbound struct {
	mu sync.Mutex
	// mu guards all but the atomics.

	buf     []byte     // accepted frames, in order
	ctl     []byte     // control frames, which go ahead of buf
	busy    bool       // somebody is sending
	message bool       // a message of several frames is being sent; no other may begin
	closing bool       // the close frame has been accepted; nothing may follow it
	gone    bool       // the transport is closed
	armed   bool       // timer is running
	crowd   uint8      // so many senders more have to look out for other writers
	sent    StatusCode // the code in the close frame
	err     error      // the connection is over

	traffic  Traffic // that was accepted
	accepted int64   // bytes ever appended to buf and ctl, or sent past them
	written  int64   // of these, written

	taken uint32 // batches, ever
	done  uint32 // of these, written

	wake     chan struct{} // closed by changed; nil: nobody waits
	writable func()        // called by changed when a message would be accepted; nil: nobody asks

	more     atomic.Bool   // a whole message waits unread: replies may wait for each other
	deferred atomic.Bool   // something in buf has nobody who is sending it
	progress atomic.Uint32 // changes whenever the transport has taken something

	timer    *time.Timer // sends what is deferred; made when first needed
	onClosed func()      // called when the connection is over; nil: nobody asks
}

// room reports whether a message of n bytes may be appended now.
func (o *outbound) room(n, limit int) bool {
	return !o.message && (!o.busy || len(o.buf)+n <= limit)
}

// changed wakes everybody who waits for the state to be another one.
func (o *outbound) changed() {
	if o.wake != nil {
		close(o.wake)
		o.wake = nil
	}
	if o.writable != nil && o.ready() {
		go o.writable()
		o.writable = nil
	}
}

// ready reports whether TryWrite would accept a message of any size, or has an
// error to report.
func (o *outbound) ready() bool { return o.refused() != nil || !o.message && len(o.buf) == 0 }

// both calls f after before, which may be nil.
func both(before, f func()) func() {
	if before == nil {
		return f
	}
	return func() { before(); f() }
}

// pending reports whether something has been accepted that nobody is sending.
func (o *outbound) pending() bool { return len(o.buf)+len(o.ctl) > 0 }

// take makes the caller the sender of everything that has been accepted.
func (o *outbound) take() []byte {
	o.busy = true
	o.taken++
	o.deferred.Store(false)
	batch := o.buf
	if len(o.ctl) > 0 {
		batch = append(o.ctl, o.buf...)
		if len(batch) > cap(o.ctl) {
			pool.Put(o.ctl)
		}
		pool.Put(o.buf)
	}
	o.buf, o.ctl = nil, nil
	o.changed()
	return batch
}

// refused returns why nothing can be accepted any more, or nil.
func (o *outbound) refused() error {
	if o.err == nil && o.closing {
		return errClosing
	}
	return o.err
}

// refused is why no message can be accepted any more, or nil. A connection that is
// over accepts none, even if its close frame is still to come. mu is held before
// and after.
func (c *Conn) refused() error {
	if c.ended.Load() != nil {
		c.out.mu.Unlock() // contexts, which may be anybody's, are told
		defer c.out.mu.Lock()
		return c.over()
	}
	return c.out.refused()
}

// errClosing is returned by writes between this side's close frame and the end.
var errClosing = ended("the close frame has been sent")

// await waits for a change of the write side. mu is held by the caller, and is
// again when await returns.
func (c *Conn) await(ctx context.Context) error {
	o := &c.out
	if o.wake == nil {
		o.wake = make(chan struct{})
	}
	wake := o.wake
	o.mu.Unlock()
	defer o.mu.Lock()
	select {
	case <-wake:
		return nil
	case <-ctx.Done():
		return c.gaveUp("write", ctx.Err())
	}
}

// awaitRoom waits until a message of n bytes may be appended.
func (c *Conn) awaitRoom(ctx context.Context, n int) error {
	o := &c.out
	for {
		if err := c.refused(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return c.gaveUpRoom(ctx)
		}
		if o.room(n, c.queue) {
			return nil
		}
		if err := c.await(ctx); err != nil {
			return err
		}
	}
}

// gaveUpRoom is gaveUp without mu. (A defer in awaitRoom's loop would cost every
// message.)
func (c *Conn) gaveUpRoom(ctx context.Context) error {
	c.out.mu.Unlock()
	defer c.out.mu.Lock()
	return c.gaveUp("write", ctx.Err())
}

// awaitTurn waits until nobody is sending. What the caller sends next may be a
// part of the message that it has begun.
func (c *Conn) awaitTurn(ctx context.Context) error {
	o := &c.out
	for {
		if err := c.refused(); err != nil {
			return err
		}
		if !o.busy {
			return nil
		}
		if err := c.await(ctx); err != nil {
			return err
		}
	}
}

// beginMessage waits until the caller may begin a message of several frames.
// With mu held before and after; endMessage must follow.
func (c *Conn) beginMessage(ctx context.Context) error {
	if err := c.awaitRoom(ctx, c.queue); err != nil {
		return err
	}
	c.out.message = true
	return nil
}

func (o *outbound) endMessage() {
	o.message = false
	o.changed()
}

// commit sends what has been accepted, whose last n bytes are the caller's
// message, unless somebody else does or it can wait. It unlocks mu.
func (c *Conn) commit(ctx context.Context, n int) error {
	o := &c.out
	o.accepted += int64(n)
	if o.busy {
		o.mu.Unlock()
		return nil
	}
	if c.deferrable() {
		c.armDeferred()
		o.mu.Unlock()
		return nil
	}
	batch, crowded := o.take(), o.crowd > 0
	if crowded {
		o.crowd--
	}
	o.mu.Unlock()
	if crowded {
		runtime.Gosched() // while this one is busy, others only append
	}
	written, err := c.sendNow(batch, nil) // what send does, one level of calls less deep
	if written == len(batch) {
		c.sentAll(batch, nil)
		return nil
	}
	return c.sendRest(ctx, batch, nil, written, n, err)
}

func (c *Conn) deferrable() bool {
	return c.out.more.Load() && !c.noDeferral && len(c.out.buf) < c.queue
}

// armDeferred makes sure that what is deferred goes out although the handler
// may be slow to read on.
func (c *Conn) armDeferred() {
	o := &c.out
	if !o.deferred.Load() {
		o.deferred.Store(true)
	}
	switch {
	case o.armed:
		return
	case o.timer == nil:
		o.timer = time.AfterFunc(deferTime, c.deferredLate)
	default:
		o.timer.Reset(deferTime)
	}
	o.armed = true
}

func (c *Conn) deferredLate() {
	o := &c.out
	o.mu.Lock()
	o.armed = false
	o.mu.Unlock()
	c.flushDeferred()
}

// flushDeferred sends what is deferred, without blocking.
func (c *Conn) flushDeferred() {
	if c.out.deferred.Load() {
		c.out.mu.Lock()
		c.kick()
	}
}

// kick sends what has been accepted, without blocking, if nobody does. It
// unlocks mu.
func (c *Conn) kick() {
	o := &c.out
	if o.busy || !o.pending() {
		o.mu.Unlock()
		return
	}
	batch := o.take()
	o.mu.Unlock()
	c.pump(batch)
}

// pump sends batch, and what is accepted meanwhile, for a caller who can't
// wait; the caller is the sender, and no longer when pump returns.
func (c *Conn) pump(batch []byte) {
	if !c.socket {
		c.flushLater(batch, 0)
		return
	}
	n, err := c.raw.write(c, batch, nil, false)
	switch {
	case err != nil && !c.goesOn(err):
		go c.sendFailed(err)
	case n < len(batch):
		c.flushLater(batch, n)
	default:
		c.sentAll(batch, nil)
	}
}

// send sends head and then body, of which the last own bytes are the caller's
// message. The caller is the sender, and no longer when send returns. head goes
// back to the pool.
func (c *Conn) send(ctx context.Context, head, body []byte, own int) error {
	n, err := c.sendNow(head, body)
	if n == len(head)+len(body) {
		c.sentAll(head, body)
		return nil
	}
	return c.sendRest(ctx, head, body, n, own, err)
}

// sendNow writes what a socket takes at once, which mostly is everything.
func (c *Conn) sendNow(head, body []byte) (n int, err error) {
	if c.socket {
		n, err = c.raw.write(c, head, body, false)
	}
	return n, err
}

// sendRest is send where n bytes have been written, and writing on failed with
// err or would have to wait.
func (c *Conn) sendRest(ctx context.Context, head, body []byte, n, own int, err error) error {
	if err == nil {
		n, err = c.transmitWaiting(ctx, head, body, n)
	}
	if n == len(head)+len(body) {
		c.sentAll(head, body)
		return nil
	}
	return c.cutShort(ctx, head, body, n, own, err)
}

// transmit writes p, however long that takes, and says how much was written.
func (c *Conn) transmit(p []byte) (n int, err error) {
	n, err = c.sendNow(p, nil)
	if err != nil || n == len(p) {
		return n, err
	}
	return c.transmitWaiting(context.Background(), p, nil, n)
}

// transmitWaiting writes head and body until everything is written or ctx ends,
// and says how much was written; it was n before.
func (c *Conn) transmitWaiting(ctx context.Context, head, body []byte, n int) (int, error) {
	cut, err := c.beginWrite(ctx)
	if err != nil {
		return n, err
	}
	defer cut.end()
	defer c.observer.observeStall(c, c.observer.stallClock())
	if c.socket {
		h := min(n, len(head))
		m, err := c.raw.write(c, head[h:], body[n-h:], true)
		return n + m, err
	}
	return c.writeStream(head, body)
}

// writeStream is for transports that are no sockets.
func (c *Conn) writeStream(head, body []byte) (n int, err error) {
	for _, p := range [2][]byte{head, body} {
		for len(p) > 0 && err == nil {
			var m int
			m, err = c.t.Write(p[:min(len(p), maxPiece)])
			if m > 0 {
				c.out.progress.Add(1)
			}
			n, p = n+m, p[m:]
		}
	}
	return n, err
}

// sent notes that a batch of n bytes is written, and returns the next one, or
// nil: there is none, and the caller is the sender no longer.
func (c *Conn) sent(head []byte, n int) []byte {
	o := &c.out
	pool.Put(head)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.written += int64(n)
	o.done++
	if len(o.buf) > 0 {
		o.crowd = maxCrowd
	}
	if o.pending() {
		return o.take()
	}
	o.busy = false
	o.changed()
	return nil
}

// sentAll goes on with what others have appended since, or stops being the
// sender if there is nothing.
func (c *Conn) sentAll(head, body []byte) {
	n := len(head) + len(body)
	for round := range maxRounds {
		if round > 0 {
			runtime.Gosched() // others are writing: may they fill the next batch
		}
		if head, n = c.sent(head, n), 0; head == nil {
			return
		}
		if !c.socket {
			break
		}
		var err error
		if n, err = c.raw.write(c, head, nil, false); err != nil && !c.goesOn(err) {
			go c.sendFailed(err)
			return
		}
		if n < len(head) {
			break
		}
	}
	c.flushLater(head, n)
}

// flushLater passes the rest of a batch, of which n bytes are written, to a
// goroutine of its own, which is the sender from then on.
func (c *Conn) flushLater(batch []byte, n int) {
	go c.flusher(batch, n)
}

// flusher sends the rest of batch and whatever is accepted meanwhile. It ends
// when there is nothing more, or with the connection: a peer that takes nothing
// is ended by WriteTimeout.
func (c *Conn) flusher(batch []byte, n int) {
	for batch != nil {
		m, err := c.transmit(batch[n:])
		switch n += m; {
		case err == nil:
			runtime.Gosched() // as in sentAll
			batch, n = c.sent(batch, len(batch)), 0
		case !c.goesOn(err):
			c.sendFailed(err)
			return
		}
	}
}

// goesOn reports whether a write that failed with err can be continued: if it was
// linger that cut it, so that a call which was waiting for it returns. Then its
// rest is the flusher's.
func (c *Conn) goesOn(err error) bool {
	return c.over() != nil && c.writesCut && errors.Is(err, os.ErrDeadlineExceeded) && c.t.SetWriteDeadline(time.Time{}) == nil
}

// sendFailed ends the connection because the transport takes nothing any more.
// The caller was the sender, and can wait for a moment.
func (c *Conn) sendFailed(err error) error {
	if err != ErrWriteCut {
		c.hearOut()
		err = &CloseError{Code: StatusAbnormal, Err: err}
	}
	err = c.fail(err)
	o := &c.out
	o.mu.Lock()
	o.busy = false
	o.changed()
	o.mu.Unlock()
	return err
}

const (
	// hearTime is how long a failed write waits for a read that is under way.
	hearTime = 100 * time.Millisecond
	// hearPieces is how much is read in its place.
	hearPieces = 256
)

// hearOut gives the peer's close frame, which may lie unread, a chance to be the
// connection's end: proxies cut a connection both ways as soon as the server has
// closed its side, and the write that is under way would be all the news. What
// comes before the close frame is dropped, as it is with every failure.
func (c *Conn) hearOut() {
	if !c.reading.tryAcquire() {
		timer := time.NewTimer(hearTime)
		defer timer.Stop()
		select {
		case <-c.ctx.Done():
		case <-timer.C:
		}
		return
	}
	defer c.reading.release()
	if !c.socket {
		return // reading could block
	}
	c.in.stream = nil
	c.lift()
	c.in.nowait, c.in.short = true, false
	for i, err := 0, error(nil); err == nil && i < hearPieces; i++ {
		_, err = c.nextPiece(c.ctx)
	}
	c.in.nowait = false
}

// cutShort sorts out a send of which only n bytes were written.
//
// If it was ctx that ended, or the connection, and nothing of the caller's own
// message is on the wire, the message is taken back. Otherwise the frame has to be
// finished before anything else can be sent, be it the close frame, which a
// goroutine does: "the next writer will" is not enough, there may be none.
func (c *Conn) cutShort(ctx context.Context, head, body []byte, n, own int, err error) error {
	over, cause := c.over(), ctx.Err()
	switch {
	case over != nil && (err == cause || c.goesOn(err)):
	case over != nil || cause == nil:
		return c.sendFailed(err)
	case !c.writesCut && err != cause: // it has blocked in the transport
		return c.sendFailed(ErrWriteCut)
	}
	total := len(head) + len(body)
	// What was compressed with context takeover can't be taken back: messages
	// behind it may refer to it.
	begun := total-n < own || c.deflate != nil && c.deflate.out.Takeover
	rest := append(append(pool.Get(total-n), head[min(n, len(head)):]...), body[max(n-len(head), 0):]...)
	pool.Put(head)
	if !begun {
		rest = rest[:len(rest)-own]
		n += own
	}
	c.out.mu.Lock()
	c.out.written += int64(n)
	c.out.mu.Unlock()
	c.flushLater(rest, 0)
	switch {
	case over != nil:
		return over
	case begun:
		return &opError{"write", &partlyWritten{cause}}
	}
	return c.gaveUp("write", cause)
}

// partlyWritten is a context's error on a write that had begun.
type partlyWritten struct{ err error }

func (e *partlyWritten) Error() string {
	return e.err.Error() + " (the message was being sent and may still arrive)"
}

func (e *partlyWritten) Unwrap() error { return e.err }

func (e *partlyWritten) Timeout() bool { return e.err == context.DeadlineExceeded }
