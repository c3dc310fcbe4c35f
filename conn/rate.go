package conn

import (
	"context"
	"time"

	"github.com/tidewire/ws/internal/pool"
	"github.com/tidewire/ws/internal/wire"
)

// Rate bounds what a peer may send over time, as a token bucket for messages
// and one for bytes of their payload, as they are on the wire. A bound of 0 is none.
type Rate struct {
	Messages float64       // a second
	Bytes    float64       // a second; a message that is begun may exceed it, and the next ones pay
	Burst    time.Duration // the time's worth that may come at once, and one message at least; default 1 s
	Policy   RatePolicy    // what becomes of more; default RateSlow
}

// RatePolicy says what becomes of messages beyond a Rate.
type RatePolicy uint8

const (
	// RateSlow reads nothing more until the peer has earned it, so that TCP
	// slows the peer down. Pings and close frames wait as well.
	RateSlow RatePolicy = iota
	// RateDrop drops whole messages.
	RateDrop
	// RateClose tells the peer 1008 and ends the connection with ErrRateLimit.
	RateClose
)

func (r Rate) limits() bool { return r.Messages > 0 || r.Bytes > 0 }

// ration is a connection's account of its Rate. The holder of Conn.reading owns it.
type ration struct {
	epoch    time.Time     // when the clock showed 0
	messages time.Duration // when all that has come will be earned
	bytes    time.Duration
	until    time.Duration // nothing is read before; 0: now
	dropping bool          // the message that is being read
	lifted   bool
	timer    *time.Timer // wakes a poller; nil: has not been needed
}

// perSecond is what n tokens cost at a rate; nothing if that is no bound.
func perSecond(n int, rate float64) time.Duration {
	if rate <= 0 {
		return 0
	}
	return time.Duration(float64(n) / rate * float64(time.Second))
}

// over is how long it takes until the peer may send another message.
func (r *ration) over(now time.Duration, rate *Rate) time.Duration {
	burst := rate.Burst
	if burst <= 0 {
		burst = time.Second
	}
	one := perSecond(1, rate.Messages)
	return max(r.messages+one-now-max(burst, one), r.bytes-now-burst, 0)
}

// charge takes the tokens of a piece.
func (r *ration) charge(now time.Duration, rate *Rate, ev wire.Event) {
	if ev.First {
		r.messages = max(r.messages, now) + perSecond(1, rate.Messages)
	}
	r.bytes = max(r.bytes, now) + perSecond(len(ev.Data), rate.Bytes)
}

// admit decides about a piece of a message; drop says that it is not to be handled.
func (c *Conn) admit(ev wire.Event) (drop bool, err error) {
	r, rate := c.in.ration, &c.rate
	if r.lifted {
		return false, nil
	}
	now := time.Since(r.epoch)
	if ev.First {
		over := r.over(now, rate) > 0
		if over && rate.Policy == RateClose {
			return false, c.refuse(StatusPolicyViolation, ErrRateLimit)
		}
		r.dropping = over && rate.Policy == RateDrop
	}
	if r.dropping {
		return true, c.skip(ev)
	}
	r.charge(now, rate, ev)
	if wait := r.over(now, rate); wait > 0 && rate.Policy == RateSlow {
		r.until = now + wait
	}
	return false, nil
}

// skip lets the decompressor see a piece that is dropped: later messages may
// refer to it.
func (c *Conn) skip(ev wire.Event) error {
	if !ev.RSV1 {
		return nil
	}
	if ev.First {
		c.beginInflating()
	}
	trash := pool.Get(pool.Small)
	defer pool.Put(trash)
	for rest := ev.Data; ; {
		n, used, done, err := c.deflate.in.Read(trash[:cap(trash)], rest, ev.Last, c.deflate.limit)
		if err != nil {
			return c.inflated(nil, ev.Opcode, false, err)
		}
		if done || n == 0 {
			return nil
		}
		rest = rest[used:]
	}
}

// held reports whether nothing is to be read now.
func (c *Conn) held() bool { return c.limited && c.in.ration.until > 0 }

// lift ends the bounds: for a close handshake, which must not wait for what it drops.
func (c *Conn) lift() {
	if c.limited {
		r := c.in.ration
		r.lifted, r.until = true, 0
	}
}

// hold waits until the peer may send again. For an Engine it returns errNotReady
// instead, and wakes it then.
func (c *Conn) hold(ctx context.Context) error {
	if over := c.over(); over != nil {
		return over
	}
	r := c.in.ration
	wait := r.until - time.Since(r.epoch)
	if wait <= 0 {
		r.until = 0
		return nil
	}
	if c.in.nowait {
		r.wake(c, wait)
		return errNotReady
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		r.until = 0
		return nil
	case <-ctx.Done():
		return c.gaveUp("read", ctx.Err())
	case <-c.ctx.Done():
		return c.endCause()
	}
}

// wake has the poller look at c again after a while. Without a poller, awaitReady holds.
func (r *ration) wake(c *Conn, wait time.Duration) {
	a := c.attached.Load()
	switch {
	case a == nil:
	case r.timer == nil:
		r.timer = time.AfterFunc(wait, a.wake)
	default:
		r.timer.Reset(wait)
	}
}
