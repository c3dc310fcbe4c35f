package conn

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewire/ws/internal/wire"
)

// watch is what a Keeper knows of a connection. Reads and writes leave traces
// that cost them next to nothing, no clock and no timer; every check compares
// them with those of the check before. So a timeout is noticed up to half of the
// shortest one late, and never early.
//
// Silence counts only while somebody waits for the peer's bytes: a handler that
// is busy, or that slows its peer down by not reading, must not lose a healthy
// connection.
type watch struct {
	// traffic is the read side's trace: its lowest bit says that a read is
	// waiting, the rest changes when bytes arrive. message is the number of the
	// message that a waiting read is in the middle of; 0: none.
	traffic atomic.Uint32
	message atomic.Uint32

	rtt atomic.Uint32 // of the last ping that was answered, in microseconds; 0: none

	keeper *Keeper // nil: nothing to watch
	index  int32   // in keeper.conns; guarded by keeper.mu

	// What the last check saw, at times of the keeper's clock; the keeper's alone.
	seen     uint32
	partial  uint32
	progress uint32
	heard    atomic.Int64  // a time.Duration: the peer was heard of, or nobody was listening
	pinged   atomic.Int64  // a time.Duration; 0: no ping is out. The read side clears it
	begun    time.Duration // partial was first seen
	moved    time.Duration // the write side was first seen like this; -1: nothing is being sent
	quiet    time.Duration // nothing has been sent since
}

// waiting and notWaiting are called by whoever holds the read side.
func (w *watch) waiting(p *wire.Parser) {
	w.traffic.Store(w.traffic.Load() | 1)
	if n := p.InMessage(); n != w.message.Load() {
		w.message.Store(n)
	}
}

func (w *watch) notWaiting(arrived bool) {
	t := w.traffic.Load() &^ 1
	if arrived {
		t += 2
	}
	w.traffic.Store(t)
}

// start has the connection watched, if there is anything to watch for.
func (w *watch) start(c *Conn) {
	var shortest time.Duration
	for _, d := range [...]time.Duration{c.ping, c.pong, c.idle, c.whole, c.stall} {
		if d > 0 && (shortest == 0 || d < shortest) {
			shortest = d
		}
	}
	if shortest > 0 {
		w.keeper.add(c, max(shortest/4, time.Millisecond))
	} else {
		w.keeper = nil
	}
}

// silence is for how long nothing has come, as of the last check; 0 if nobody watches.
func (w *watch) silence() time.Duration {
	if w.keeper == nil {
		return 0
	}
	return w.keeper.clock() - time.Duration(w.heard.Load())
}

func (w *watch) stop() {
	if w.keeper != nil {
		w.keeper.remove(w)
	}
}

// check ends the connection if a timeout has passed, and pings the peer if it
// is time. It never blocks.
func (c *Conn) check(now time.Duration) {
	w := &c.watch
	traffic := w.traffic.Load()
	listening := traffic&1 != 0
	if !listening || traffic != w.seen {
		w.seen = traffic
		w.heard.Store(int64(now))
		w.pinged.Store(0)
	}
	pinged := time.Duration(w.pinged.Load())
	silence := now - time.Duration(w.heard.Load())
	switch {
	case c.over() != nil:
	case c.stalled(now):
		c.fail(ErrWriteStalled)
	case c.idle > 0 && silence >= c.idle:
		c.refuse(StatusGoingAway, ErrIdle)
	case c.pong > 0 && pinged > 0 && now-pinged >= c.pong:
		c.refuse(StatusInternalError, ErrPongTimeout)
	case c.dribbling(listening, now):
		c.refuse(StatusPolicyViolation, ErrMessageTimeout)
	case c.ping > 0 && pinged == 0 && silence >= c.ping:
		w.pinged.Store(int64(w.keeper.clock()))
		_ = c.sendControl(wire.Ping, nil)
	}
}

// ponged notes the answer to keepalive's ping.
func (c *Conn) ponged() {
	if at := c.watch.pinged.Swap(0); at != 0 {
		c.roundTrip(c.watch.keeper.clock() - time.Duration(at))
	}
}

// stalled reports whether something has been waiting to be sent, and none of it
// was taken, for the write timeout.
func (c *Conn) stalled(now time.Duration) bool {
	w, o := &c.watch, &c.out
	if c.stall == 0 || !o.mu.TryLock() {
		return false
	}
	busy := o.busy
	o.mu.Unlock()
	switch p := o.progress.Load(); {
	case busy && p == w.progress && w.moved >= 0:
		return now-w.moved >= c.stall
	case p != w.progress:
		w.quiet = now
		w.progress = p
	case !busy && now-w.quiet >= forgetAfter:
		c.forget()
		w.quiet = now
	}
	if w.moved = now; !busy {
		w.moved = -1
	}
	return false
}

// forgetAfter is how long nothing has to be sent for the compressor's history
// to be freed.
const forgetAfter = 15 * time.Second

// dribbling reports whether the peer has been in the middle of one message for
// the message timeout, while it was being waited for.
func (c *Conn) dribbling(listening bool, now time.Duration) bool {
	w := &c.watch
	if n := w.message.Load(); !listening || n == 0 || n != w.partial {
		w.partial, w.begun = n, now
	}
	return c.whole > 0 && now-w.begun >= c.whole
}

// Keeper watches over the timeouts of many connections with one timer, which
// runs while there are any. The zero value is ready; it must not be copied.
type Keeper struct {
	mu     sync.Mutex
	conns  []*Conn
	timer  *time.Timer
	period time.Duration // the shortest that any connection asked for
	epoch  time.Time     // when the clock showed 0
	last   *settings     // that a connection had
}

// share returns cfg's settings: those that an earlier connection had if they are
// the same, for all connections of a handler need only one.
func (k *Keeper) share(cfg *Config) *settings {
	s := cfg.settings()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last == nil || *k.last != s {
		k.last = s.clone()
	}
	return k.last
}

// clock shows the time since the first connection, and never 0.
func (k *Keeper) clock() time.Duration { return time.Since(k.epoch) + 1 }

func (k *Keeper) add(c *Conn, period time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.epoch.IsZero() {
		k.epoch = time.Now()
	}
	w, now := &c.watch, k.clock()
	w.moved, w.quiet = -1, now
	w.heard.Store(int64(now))
	w.index = int32(len(k.conns))
	k.conns = append(k.conns, c)
	switch {
	case k.timer == nil:
		k.period = period
		k.timer = time.AfterFunc(period, k.tick)
	case len(k.conns) == 1 || period < k.period:
		k.period = period
		k.timer.Reset(period)
	}
}

func (k *Keeper) remove(w *watch) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w.index < 0 {
		return
	}
	last := len(k.conns) - 1
	moved := k.conns[last]
	k.conns[w.index], k.conns[last] = moved, nil
	moved.watch.index = w.index
	w.index = -1
	if k.conns = k.conns[:last]; last == 0 {
		k.timer.Stop()
		k.conns = nil
	}
}

// tick checks every connection, a handful at a time so that the lock is never
// held for long. One that is moved meanwhile may have to wait for the next tick.
func (k *Keeper) tick() {
	k.mu.Lock()
	now := k.clock()
	k.mu.Unlock()
	var some [64]*Conn
	for at := 0; ; at += len(some) {
		k.mu.Lock()
		n := 0
		if at < len(k.conns) {
			n = copy(some[:], k.conns[at:])
		}
		if n == 0 && len(k.conns) > 0 {
			k.timer.Reset(k.period)
		}
		k.mu.Unlock()
		if n == 0 {
			return
		}
		for _, c := range some[:n] {
			c.check(now)
		}
	}
}
