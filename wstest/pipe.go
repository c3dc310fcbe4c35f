package wstest

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const defaultBuffer = 64 << 10

// Pipe returns the two ends of a connection in memory. It has a buffer of 64 KiB each way; a Write waits while it is full.
//
// The ends behave like two [net.TCPConn], and like those have a method CloseWrite() error: the peer reads what is on its way,
// then [io.EOF]. After Close the peer reads the same, or ECONNRESET in the place of io.EOF if the closing end hadn't read all
// that it was sent; the peer's writes fail with EPIPE. Errors are of type [*net.OpError]; those of deadlines and of the own
// Close are [os.ErrDeadlineExceeded] and [net.ErrClosed] inside. All methods can be called from any goroutine.
//
// The network of the addresses is "memory". They look like 192.0.2.1:1, of the network reserved for documentation, for the
// sake of code that takes the host out of one.
func Pipe() (net.Conn, net.Conn) { return PipeSize(defaultBuffer) }

// PipeSize is [Pipe] with room for n bytes each way, at least one.
func PipeSize(n int) (net.Conn, net.Conn) { return newPipe(n, "192.0.2.1:1", "192.0.2.1:2") }

// addr is an address of the network "memory".
type addr string

func (addr) Network() string  { return "memory" }
func (a addr) String() string { return string(a) }

// An end is one of the two ends of a pipe.
type end struct {
	peer  *end
	local addr
	size  int // bytes that received holds at most

	reading, writing   gate
	readable, writable signal // wake the Read or Write inside the gate, which then looks again
	done               chan struct{}

	mu       *sync.Mutex  // shared with peer; guards the four below, of both
	received bytes.Buffer // written by the peer and not read yet
	finished bool         // nothing more will be written: CloseWrite or Close
	closed   bool
	reset    bool // closed with something unread
}

func newPipe(size int, a, b addr) (*end, *end) {
	if size < 1 {
		panic("wstest: a pipe needs a buffer of at least one byte")
	}
	mu := new(sync.Mutex)
	x, y := newEnd(mu, size, a), newEnd(mu, size, b)
	x.peer, y.peer = y, x
	return x, y
}

func newEnd(mu *sync.Mutex, size int, local addr) *end {
	e := &end{mu: mu, local: local, size: size, done: make(chan struct{}),
		readable: make(signal, 1), writable: make(signal, 1)}
	e.reading.init(e.done)
	e.writing.init(e.done)
	return e
}

// A signal has room for one token. Raising it twice is the same as once: its receiver looks at the state, not at the count.
type signal chan struct{}

func (s signal) raise() {
	select {
	case s <- struct{}{}:
	default:
	}
}

func (e *end) Read(p []byte) (int, error) {
	if err := e.reading.enter(); err != nil {
		return 0, e.fail("read", err)
	}
	defer e.reading.leave()
	for {
		n, err := e.take(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, e.fail("read", err)
		}
		if err := wait(&e.reading, e.readable); err != nil {
			return 0, e.fail("read", err)
		}
	}
}

// take reads what is there. It returns 0 and nil when the reader has to wait.
func (e *end) take(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case len(p) == 0:
		return 0, nil
	case e.received.Len() > 0:
		e.peer.writable.raise()
		return e.received.Read(p)
	case e.peer.reset:
		return 0, os.NewSyscallError("read", syscall.ECONNRESET)
	case e.peer.finished:
		return 0, io.EOF
	}
	return 0, nil
}

func (e *end) Write(p []byte) (n int, err error) {
	if err := e.writing.enter(); err != nil {
		return 0, e.fail("write", err)
	}
	defer e.writing.leave()
	for {
		k, err := e.put(p[n:])
		n += k
		if n == len(p) || err != nil {
			return n, e.fail("write", err)
		}
		if err := wait(&e.writing, e.writable); err != nil {
			return n, e.fail("write", err)
		}
	}
}

// put writes as much as there is room for.
func (e *end) put(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return 0, net.ErrClosed
	case e.finished || e.peer.closed:
		return 0, os.NewSyscallError("write", syscall.EPIPE)
	}
	n := min(len(p), e.size-e.peer.received.Len())
	if n > 0 {
		e.peer.received.Write(p[:n])
		e.peer.readable.raise()
	}
	return n, nil
}

func (e *end) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return e.fail("close", net.ErrClosed)
	}
	e.closed, e.reset = true, e.received.Len() > 0
	e.received = bytes.Buffer{}
	e.finish()
	e.peer.writable.raise()
	close(e.done)
	e.reading.set(time.Time{}) // stops the timers
	e.writing.set(time.Time{})
	return nil
}

func (e *end) CloseWrite() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return e.fail("close", net.ErrClosed)
	}
	e.finish()
	return nil
}

// finish is called with the lock held.
func (e *end) finish() {
	e.finished = true
	e.writable.raise()
	e.peer.readable.raise()
}

func (e *end) SetReadDeadline(t time.Time) error  { return e.setDeadlines(t, &e.reading) }
func (e *end) SetWriteDeadline(t time.Time) error { return e.setDeadlines(t, &e.writing) }
func (e *end) SetDeadline(t time.Time) error      { return e.setDeadlines(t, &e.reading, &e.writing) }

func (e *end) setDeadlines(t time.Time, gates ...*gate) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return e.fail("set", net.ErrClosed)
	}
	for _, g := range gates {
		g.set(t)
	}
	return nil
}

func (e *end) LocalAddr() net.Addr  { return e.local }
func (e *end) RemoteAddr() net.Addr { return e.peer.local }

// fail names the connection in an error, as package net does it; io.EOF stays bare.
func (e *end) fail(op string, err error) error { return opError(op, e, err) }

func opError(op string, c net.Conn, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
