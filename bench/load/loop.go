//go:build linux

package load

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A loop drives the connections of an Echo or Fan load from one thread, over epoll.
type loop struct {
	spec  Spec
	epoll int
	conns []*conn
	byFD  map[int32]*conn
	buf   []byte // every read goes here: a listener keeps nothing

	begun  time.Time       // Fan: of the message under way
	delays []time.Duration // Fan: of its copies, and those of the window before it

	stopping bool // no new batch is sent
	busy     int  // connections that wait for replies
	result   Result
}

type conn struct {
	listener
	fd   int
	sent int    // messages sent
	due  int    // replies to wait for
	rest []byte // what the socket has not taken yet
	wait bool   // epoll has been asked to tell when it takes more
}

func newLoop(spec Spec) *loop {
	return &loop{spec: spec, epoll: -1, byFD: map[int32]*conn{}, buf: make([]byte, 256<<10)}
}

// connect opens the connections. The first one of each kind tells what the server agrees to, and so what will be said.
func (l *loop) connect() (err error) {
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	first := make([]extension, l.spec.kinds())
	for i := range l.spec.Conns {
		ext, err := l.open(i)
		kind := i % len(first)
		switch {
		case err != nil:
		case i == kind:
			first[kind] = ext
			l.conns[i].script, err = newScript(l.spec.of(i), ext)
		case ext != first[kind]:
			err = fmt.Errorf("agreed on %+v, the first one on %+v", ext, first[kind])
		default:
			l.conns[i].script = l.conns[kind].script
		}
		if err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return nil
}

func (l *loop) close() {
	for _, c := range l.conns {
		unix.Close(c.fd)
	}
	unix.Close(l.epoll)
}

func (l *loop) open(i int) (ext extension, err error) {
	var options []func(int) error
	if i >= l.spec.readers() {
		options = append(options, narrow)
	}
	s, err := dial(l.spec.Addr, i, options...)
	if err != nil {
		return ext, err
	}
	c := &conn{listener: listener{raw: l.spec.Raw}, fd: int(s)}
	l.conns = append(l.conns, c)
	l.byFD[int32(s)] = c
	if !l.spec.Raw {
		if ext, err = handshake(s, l.spec.of(i)); err != nil {
			return ext, err
		}
	}
	if l.spec.Kind == Fan {
		if err := awaitPong(s); err != nil {
			return ext, err
		}
	}
	if err := unix.SetNonblock(c.fd, true); err != nil {
		return ext, err
	}
	if i >= l.spec.readers() {
		return ext, nil
	}
	return ext, unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.fd)})
}

// run puts load on the server for d, waits for the last replies, and reports. Every message that is sent in a window is
// answered in it, and the server's CPU clock is read when nothing is under way.
func (l *loop) run(d time.Duration) (Result, error) {
	l.result, l.stopping, l.delays = Result{}, false, l.delays[:0]
	meter, err := StartMeter(l.spec.PID)
	if err != nil {
		return Result{}, err
	}
	if err := l.begin(); err != nil {
		return Result{}, err
	}
	end := meter.Start.Add(d)
	for l.busy > 0 {
		if !l.stopping {
			l.stopping = time.Now().After(end)
		}
		if err := l.step(); err != nil {
			return Result{}, err
		}
	}
	err = meter.Stop(&l.result)
	if n := len(l.delays); n > 0 {
		slices.Sort(l.delays)
		l.result.P50, l.result.P99 = l.delays[n/2], l.delays[n*99/100]
	}
	return l.result, err
}

// begin sends the first batches of a window.
func (l *loop) begin() error {
	if l.spec.Kind == Fan {
		return l.beginFan()
	}
	l.busy = len(l.conns)
	for _, c := range l.conns {
		if err := l.send(c, l.spec.InFlight); err != nil {
			return err
		}
	}
	return nil
}

func (l *loop) beginFan() error {
	l.busy, l.begun = l.spec.readers(), time.Now()
	for _, c := range l.conns[:l.busy] {
		c.due = l.spec.Fan
	}
	return l.send(l.conns[0], 1)
}

// step waits for sockets and serves them.
func (l *loop) step() error {
	var events [64]unix.EpollEvent
	n, err := unix.EpollWait(l.epoll, events[:], stall*1000)
	if err == unix.EINTR {
		return nil
	}
	if err == nil && n == 0 {
		err = fmt.Errorf("no reply in %d s: %d connections wait, %d messages came before", stall, l.busy, l.result.Messages)
	}
	if err != nil {
		return err
	}
	for i := range events[:n] {
		c := l.byFD[events[i].Fd]
		if events[i].Events&unix.EPOLLOUT != 0 {
			if err := l.flush(c); err != nil {
				return err
			}
		}
		if events[i].Events&^unix.EPOLLOUT != 0 {
			if err := l.receive(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// receive reads once: the socket tells again if there is more.
func (l *loop) receive(c *conn) error {
	n, err := unix.Read(c.fd, l.buf)
	if err == unix.EAGAIN {
		return nil
	}
	if n == 0 && err == nil {
		err = errors.New("the server hung up")
	}
	if err != nil {
		return fmt.Errorf("after %d messages: %w", c.got, err)
	}
	l.result.In += int64(n)
	done, err := c.hear(l.buf[:n])
	if err != nil {
		return err
	}
	if len(c.pending) > 0 {
		pong := c.pending
		c.pending = nil
		if err := l.write(c, pong); err != nil {
			return err
		}
	}
	return l.count(c, done)
}

// count books done replies, and goes on when they were the last that c waited for.
func (l *loop) count(c *conn, done int) error {
	if done == 0 {
		return nil
	}
	l.result.Messages += done
	if c.due -= done; c.due > 0 {
		return nil
	}
	if c.due < 0 {
		return fmt.Errorf("%d messages more than were asked for", -c.due)
	}
	if l.spec.Kind == Echo && !l.stopping {
		return l.send(c, l.spec.InFlight)
	}
	l.busy--
	if l.spec.Kind == Fan {
		l.delays = append(l.delays, time.Since(l.begun))
	}
	if l.spec.Kind == Fan && !l.stopping && l.busy == 0 {
		return l.beginFan()
	}
	return nil
}

// send sends the connection's next n messages in one write.
func (l *loop) send(c *conn, n int) error {
	if l.spec.Kind == Echo {
		c.due = n
	}
	frames := c.script.send(c.sent, n)
	c.sent += n
	return l.write(c, frames)
}

func (l *loop) write(c *conn, p []byte) error {
	l.result.Out += int64(len(p))
	if len(c.rest) > 0 {
		c.rest = append(c.rest[:len(c.rest):len(c.rest)], p...)
		return nil
	}
	c.rest = p
	return l.flush(c)
}

// flush writes what it can, and has epoll tell when the socket takes the rest.
func (l *loop) flush(c *conn) error {
	n, err := unix.Write(c.fd, c.rest)
	if err != nil && err != unix.EAGAIN {
		return fmt.Errorf("write: %w", err)
	}
	c.rest = c.rest[max(n, 0):]
	if wait := len(c.rest) > 0; wait != c.wait {
		c.wait = wait
		return l.watch(c)
	}
	return nil
}

func (l *loop) watch(c *conn) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.fd)}
	if c.wait {
		e.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, c.fd, &e)
}
