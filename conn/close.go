package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/tidewire/ws/internal/pool"
	"github.com/tidewire/ws/internal/wire"
)

// How a connection ends. It is over (end) once its cause is known: its context
// ends, and every call returns the cause. It is released once its transport is
// closed. Between the two a close frame may still be on its way out, and what
// the peer has sent is read and dropped for a moment (linger): a socket that is
// closed with bytes unread resets the connection, and the peer would never see
// the code.
const (
	lingerTime  = time.Second
	lingerBytes = 256 << 10
)

// end notes why the connection is over, and returns it: the first cause wins.
func (c *Conn) end(cause error) error {
	first, cause := c.claim(cause)
	if first {
		c.conclude(cause)
	}
	return cause
}

// claim is the first half of end, for those who still have a close frame to
// send: if that fails, it is not why the connection is over. Whoever is first
// has to conclude.
func (c *Conn) claim(cause error) (first bool, _ error) {
	if !errors.Is(cause, net.ErrClosed) {
		cause = &closedBy{cause}
	}
	if !c.ended.CompareAndSwap(nil, &cause) {
		return false, c.over()
	}
	return true, cause
}

// conclude tells everybody.
func (c *Conn) conclude(cause error) {
	o := &c.out
	o.mu.Lock()
	o.err = cause
	if o.timer != nil {
		o.timer.Stop()
	}
	o.changed()
	closed := o.onClosed
	o.onClosed = nil
	o.mu.Unlock()
	c.cancel(cause)
	if closed != nil {
		go closed()
	}
	c.observer.observeClosed(c, cause)
	if a := c.attached.Load(); a != nil {
		a.wake() // nobody is reading who would notice
	}
}

// release closes the transport.
func (c *Conn) release() {
	c.released.Do(func() {
		_ = c.t.Close()
		c.cuts.Load().forget()
		c.watch.stop()
		c.out.mu.Lock()
		if c.stopParent != nil {
			c.stopParent()
		}
		c.out.gone = true
		c.out.changed()
		c.out.mu.Unlock()
	})
}

// fail ends the connection at once, without telling the peer.
func (c *Conn) fail(cause error) error {
	cause = c.end(cause)
	c.release()
	return cause
}

// endCause is the cause of a connection whose context has ended.
func (c *Conn) endCause() error {
	if over := c.over(); over != nil {
		return over
	}
	return c.fail(context.Cause(c.ctx)) // the parent was faster
}

// gaveUp is the error of a call whose context has ended with err. If that is
// because the connection's parent has, the connection's end is what counts.
func (c *Conn) gaveUp(op string, err error) error {
	if c.ctx.Err() != nil {
		return c.endCause()
	}
	return &opError{op, err}
}

// refuse ends the connection and tells the peer why.
func (c *Conn) refuse(code StatusCode, cause error) error {
	c.CloseCause(code, "", cause)
	return c.over()
}

// CloseCause ends the connection at once because of cause: its context ends with
// it, and every call returns it. The peer is told code and reason, in the
// background and without waiting for its answer; code 0 tells it nothing.
// A code that may not be sent becomes 1011, and without a cause it is CloseNow's. A
// connection that is over already stays as it is. It never blocks.
func (c *Conn) CloseCause(code StatusCode, reason string, cause error) {
	if cause == nil {
		cause = errClosedNow
	}
	if code == 0 {
		c.fail(cause)
		return
	}
	if !wire.ValidCode(uint16(code)) {
		code, reason = StatusInternalError, ""
	}
	if first, cause := c.claim(cause); first {
		c.sendClose(code, strings.ToValidUTF8(reason, "\uFFFD"))
		c.conclude(cause)
		go c.linger(true)
	}
}

// violated ends the connection because of what the peer has sent.
func (c *Conn) violated(err *wire.Error) error {
	c.publish()
	switch err {
	case wire.ErrTooBig:
		return c.refuse(StatusTooBig, ErrReadLimit)
	case wire.ErrTooManyFragments:
		return c.refuse(StatusPolicyViolation, ErrFragments)
	}
	return c.refuse(StatusCode(err.Code), &ProtocolError{StatusCode(err.Code), err.Error()})
}

// sendClose sends a close frame without blocking, unless there has been one.
func (c *Conn) sendClose(code StatusCode, reason string) {
	c.out.mu.Lock()
	c.acceptClose(code, reason)
	c.kick()
}

// acceptClose accepts a close frame behind all messages, unless there has been
// one. mu is held.
func (c *Conn) acceptClose(code StatusCode, reason string) bool {
	o := &c.out
	if o.refused() != nil {
		return false
	}
	o.closing, o.sent = true, code
	var space [wire.MaxControl]byte
	p := wire.AppendClose(space[:0], uint16(code), reason)
	n := c.frameLen(len(p))
	o.buf = c.appendFrame(pool.Grow(o.buf, n), wire.Header{Opcode: wire.Close, Fin: true}, p)
	o.accepted += int64(n)
	o.changed() // nothing that waits will be accepted
	return true
}

// peerClosed deals with the peer's close frame: it is answered with the same
// code, unless it is itself an answer (RFC 6455 5.5.1).
func (c *Conn) peerClosed(p []byte) error {
	code, reason, bad := wire.ParseClose(p)
	if bad != nil {
		return c.violated(bad)
	}
	c.publish() // those who are told of the end want to know all
	ce := &CloseError{Code: StatusCode(code), Reason: reason}
	o := &c.out
	o.mu.Lock()
	ce.SentFirst = !c.acceptClose(ce.Code, "")
	ce.Sent = o.sent
	first, cause := c.claim(ce)
	c.kick()
	if first {
		c.conclude(cause)
	}
	o.mu.Lock()
	idle := !o.busy
	o.mu.Unlock()
	// A client leaves the first step to the server (RFC 6455 7.1.1).
	drain := c.client || c.in.at < len(c.in.buf)
	if !drain && idle && c.socket {
		c.release()
	} else {
		go c.linger(drain)
	}
	return cause
}

// linger lets what has been accepted go out, tells the peer that nothing more
// will come, drops what the peer sends until it ends its side too, if there is
// anything to drain, and releases the connection, all within a second.
func (c *Conn) linger(drain bool) {
	defer c.release()
	ctx, cancel := context.WithTimeout(context.Background(), lingerTime)
	defer cancel()
	defer context.AfterFunc(ctx, c.release)() // closing one side of TLS can block
	deadline, _ := ctx.Deadline()
	// Calls that are under way end now, however long the peer takes. A write's rest
	// goes on without its caller, unless cutting it would be the end of it.
	if c.writesCut {
		_ = c.t.SetWriteDeadline(aLongTimeAgo)
	}
	if drain {
		_ = c.t.SetReadDeadline(aLongTimeAgo)
	}
	if c.awaitSent(ctx) != nil {
		return
	}
	_ = c.t.SetWriteDeadline(deadline)
	_ = c.t.CloseWrite()
	if !drain {
		return
	}
	if c.reading.acquire(ctx, nil) != nil {
		return
	}
	defer c.reading.release()
	_ = c.t.SetReadDeadline(deadline)
	trash := pool.Get(pool.Small)
	defer pool.Put(trash)
	for total := 0; total < lingerBytes; {
		n, err := c.t.Read(trash[:cap(trash)])
		if err != nil {
			return
		}
		total += n
	}
}

// awaitSent waits until nobody is sending any more.
func (c *Conn) awaitSent(ctx context.Context) error {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.busy && !o.gone {
		if err := c.await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the connection with a close handshake (RFC 6455 7): it sends what
// has been accepted and a close frame with code and reason, waits for the
// peer's, and drops the messages that come before it. A reason that is too long
// (123 bytes) is cut; a code that may not be sent is an error, and 1011 is sent.
//
// Close always releases the connection, within Config.CloseTimeout or when ctx
// ends, whichever comes first; with a ctx that is over it tries to send what
// can be sent without blocking. It returns nil if the peer has answered, or had
// closed before, or if the connection was over already.
func (c *Conn) Close(ctx context.Context, code StatusCode, reason string) error {
	var misuse error
	if !wire.ValidCode(uint16(code)) {
		misuse = fmt.Errorf("ws: close: code %d may not be sent (RFC 6455 7.4)", uint16(code))
		code, reason = StatusInternalError, ""
	}
	if c.isGone() {
		return misuse
	}
	if c.closeTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.closeTimeout, ErrCloseTimeout)
		defer cancel()
	}
	if c.over() != nil {
		c.awaitGone(ctx)
		return misuse
	}
	c.sendClose(code, strings.ToValidUTF8(reason, "\uFFFD"))
	if err := c.awaitClose(ctx); misuse == nil {
		return err
	}
	return misuse
}

// awaitClose reads until the peer's close frame, or lets the one read who does.
func (c *Conn) awaitClose(ctx context.Context) error {
	if ctx.Err() == nil && c.reading.acquire(ctx, c.ctx.Done()) == nil {
		c.in.stream = nil
		c.lift()
		for err := error(nil); err == nil; {
			_, err = c.nextPiece(ctx)
		}
		c.reading.release()
	}
	if c.over() == nil { // ctx has ended, and the peer hasn't answered
		c.awaitAttempt()
		c.out.mu.Lock()
		sent := c.out.sent
		c.out.mu.Unlock()
		c.fail(&CloseError{Code: StatusAbnormal, Sent: sent, SentFirst: true, Err: context.Cause(ctx)})
	}
	c.awaitGone(ctx)
	var ce *CloseError
	if errors.As(c.over(), &ce) && ce.Code != StatusAbnormal {
		return nil
	}
	return c.over()
}

// attemptTime is how long a stream that can't say whether it would block gets
// for the close frame when there is no time to wait.
const attemptTime = 10 * time.Millisecond

// awaitAttempt lets a close frame out that goes out without blocking. On a
// socket it has, if it could.
func (c *Conn) awaitAttempt() {
	if c.socket {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), attemptTime)
	defer cancel()
	_ = c.awaitSent(ctx)
}

// awaitGone waits until the transport is closed, and closes it if ctx ends first.
func (c *Conn) awaitGone(ctx context.Context) {
	o := &c.out
	o.mu.Lock()
	for !o.gone && c.await(ctx) == nil {
	}
	o.mu.Unlock()
	c.release()
}

// isGone reports whether the transport is closed.
func (c *Conn) isGone() bool {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.gone
}

// CloseNow releases the connection without a close handshake. The peer sees an
// end without a close frame.
func (c *Conn) CloseNow() error {
	c.fail(errClosedNow)
	return nil
}

// errOnlyWritten is what reads return beside CloseRead.
var errOnlyWritten = errors.New("ws: read: the connection is only written to (CloseRead)")

// CloseRead is for connections that are only written to: it reads, so that
// pings are answered and the peer's close frame is noticed, until the
// connection ends, and returns a context that ends then, or with ctx. A data
// message means that the peer has misunderstood: it is told 1008. Further reads
// return an error.
func (c *Conn) CloseRead(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	c.onlyWritten.Store(true)
	now := c.reading.tryAcquire()
	go func() {
		var err error
		if !now { // another read is under way
			err = c.awaitReads(c.ctx)
		}
		if err == nil {
			c.in.stream = nil
			if _, err = c.nextPiece(c.ctx); err == nil {
				err = c.refuse(StatusPolicyViolation, ErrUnexpectedMessage)
			}
			c.reading.release()
		}
		cancel(err)
	}()
	return ctx
}
