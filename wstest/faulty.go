package wstest

import (
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"
)

// Faults say how a connection misbehaves. The zero value is a connection without faults. Positions count the bytes that went
// through in one direction since [Faulty]; give them as new(100).
type Faults struct {
	// Seed draws sizes from 1 to the maximum given here, and pauses from none to the longest: the same ones for the same
	// seed. With 0 each is the maximum.
	Seed uint64

	// A Read gets at most ReadMax bytes, a Write goes out in pieces of at most WriteMax. 0: any number.
	ReadMax, WriteMax int

	// The pause before each Read, and before each piece of a Write.
	ReadDelay, WriteDelay time.Duration

	// After so many bytes the network goes silent: a Read or Write waits until its deadline, or until the connection or
	// Release is closed. nil: never.
	ReadStall, WriteStall *int

	// Closing Release ends all stalls, those to come too. nil: nothing ends them. In a bubble of testing/synctest it has to
	// be made there, or time stands still during a stall.
	Release <-chan struct{}

	// After so many bytes the connection breaks, in both directions: the one underneath is closed, and calls that wait or
	// come later fail with ECONNRESET. nil: never.
	ReadCut, WriteCut *int
}

// Faulty returns a connection that is nc with faults. It has a method CloseWrite() error like nc's, which fails with
// [errors.ErrUnsupported] if nc has none. nc must not be used beside it. All methods can be called from any goroutine.
func Faulty(nc net.Conn, f Faults) net.Conn {
	c := &faulty{
		Conn: nc, release: f.Release, done: make(chan struct{}),
		in:  newFlow(f.Seed, 1, f.ReadMax, f.ReadDelay, f.ReadStall, f.ReadCut),
		out: newFlow(f.Seed, 2, f.WriteMax, f.WriteDelay, f.WriteStall, f.WriteCut),
	}
	c.reading.init(c.done)
	c.writing.init(c.done)
	c.count(&c.in, 0) // a cut may be at 0
	c.count(&c.out, 0)
	return c
}

type faulty struct {
	net.Conn
	release          <-chan struct{}
	done             chan struct{} // closed by the first call of finish
	reading, writing gate
	in, out          flow // each is used inside of its gate

	mu  sync.Mutex
	end error // guarded by mu: net.ErrClosed after Close, ECONNRESET after a cut; nil: neither
}

func (c *faulty) Read(p []byte) (int, error) {
	if err := c.reading.enter(); err != nil {
		return 0, c.fail("read", err)
	}
	defer c.reading.leave()
	n, err := c.admit(&c.reading, &c.in, len(p))
	if err != nil {
		return 0, c.fail("read", err)
	}
	n, err = c.Conn.Read(p[:n])
	c.count(&c.in, n)
	return n, c.from("read", err)
}

func (c *faulty) Write(p []byte) (n int, err error) {
	if err := c.writing.enter(); err != nil {
		return 0, c.fail("write", err)
	}
	defer c.writing.leave()
	for {
		k, err := c.admit(&c.writing, &c.out, len(p)-n)
		if err != nil {
			return n, c.fail("write", err)
		}
		k, err = c.Conn.Write(p[n : n+k])
		c.count(&c.out, k)
		n += k
		if n == len(p) || err != nil {
			return n, c.from("write", err)
		}
	}
}

// admit pauses and stalls, and returns how many of n bytes may go through then.
func (c *faulty) admit(g *gate, f *flow, n int) (int, error) {
	if d := f.pause(); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		if err := wait(g, timer.C); err != nil {
			return 0, err
		}
	}
	if f.stall == 0 && n > 0 {
		if err := wait(g, c.release); err != nil {
			return 0, err
		}
		f.stall = never
	}
	return f.piece(n), nil
}

// count takes note of n bytes that went through.
func (c *faulty) count(f *flow, n int) {
	f.stall -= n
	f.cut -= n
	if f.cut == 0 && c.finish(syscall.ECONNRESET) == nil {
		c.Conn.Close()
	}
}

// finish ends the connection, wakes what waits, and returns how it had ended before.
func (c *faulty) finish(end error) (before error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before = c.end
	if before == nil {
		close(c.done)
	}
	if before != net.ErrClosed {
		c.end = end
	}
	return before
}

func (c *faulty) Close() error {
	before := c.finish(net.ErrClosed)
	c.reading.set(time.Time{}) // stops the timers
	c.writing.set(time.Time{})
	switch before {
	case nil:
		return c.Conn.Close()
	case net.ErrClosed:
		return c.fail("close", before)
	}
	return nil // the cut has closed it
}

func (c *faulty) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return c.from("close", half.CloseWrite())
	}
	return c.fail("close", errors.ErrUnsupported)
}

func (c *faulty) SetReadDeadline(t time.Time) error {
	return c.setDeadlines(t, c.Conn.SetReadDeadline, &c.reading)
}

func (c *faulty) SetWriteDeadline(t time.Time) error {
	return c.setDeadlines(t, c.Conn.SetWriteDeadline, &c.writing)
}

func (c *faulty) SetDeadline(t time.Time) error {
	return c.setDeadlines(t, c.Conn.SetDeadline, &c.reading, &c.writing)
}

func (c *faulty) setDeadlines(t time.Time, set func(time.Time) error, gates ...*gate) error {
	switch end := c.ended(); end {
	case nil:
		for _, g := range gates {
			g.set(t)
		}
		return c.from("set", set(t))
	case net.ErrClosed:
		return c.fail("set", end)
	}
	return nil // sockets don't mind either, once the connection is broken
}

func (c *faulty) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end
}

// from returns an error of the connection underneath, unless what it tells of is our own doing.
func (c *faulty) from(op string, err error) error {
	if err == nil || c.ended() == nil {
		return err
	}
	return c.fail(op, err)
}

// fail returns the error that the user gets: how the connection ended, or else err.
func (c *faulty) fail(op string, err error) error {
	if end := c.ended(); end != nil {
		err = end
	}
	return opError(op, c, err)
}

const never = math.MaxInt

// A flow is what happens in one direction.
type flow struct {
	rand  *rand.Rand // nil: always take the maximum
	max   int
	delay time.Duration
	stall int // so many bytes from now
	cut   int // the same
}

func newFlow(seed, direction uint64, longest int, delay time.Duration, stall, cut *int) flow {
	f := flow{max: longest, delay: delay, stall: never, cut: never}
	if longest == 0 {
		f.max = never
	}
	if seed != 0 {
		f.rand = rand.New(rand.NewPCG(seed, direction))
	}
	if stall != nil {
		f.stall = *stall
	}
	if cut != nil {
		f.cut = *cut
	}
	if min(f.max, f.stall, f.cut) < 0 || delay < 0 {
		panic("wstest: a negative fault")
	}
	return f
}

// piece returns how many of n bytes go through together.
func (f *flow) piece(n int) int {
	most := f.max
	if f.rand != nil {
		most = 1 + f.rand.IntN(f.max)
	}
	return min(n, most, f.stall, f.cut)
}

// pause returns how long to wait before the next piece.
func (f *flow) pause() time.Duration {
	if f.rand != nil && f.delay > 0 {
		return time.Duration(f.rand.Int64N(int64(f.delay) + 1))
	}
	return f.delay
}
