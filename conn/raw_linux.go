package conn

import (
	"context"
	"io"
	"sync"
	"syscall"
	"unsafe"
)

// rawIO reads and writes a socket with system calls of its own, inside the
// callbacks of its syscall.RawConn: that costs a good part less than net.Conn's
// methods, and lets a connection wait for bytes without holding a buffer.
//
// A callback can have no arguments of ours, and a closure for each call would be
// an allocation. So a call borrows an object that has the callback made and the
// arguments and results as fields. Nothing in a callback closes the connection:
// that would wait for the callback.
type rawIO struct {
	rc syscall.RawConn
}

// init reports whether c's transport is a socket.
func (r *rawIO) init(c *Conn) bool {
	sc, ok := c.t.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	r.rc = rc
	return err == nil
}

// rawRead is one call of read.
type rawRead struct {
	callback func(fd uintptr) bool

	c    *Conn
	ctx  context.Context
	into []byte // nil: the connection's buffer
	n    int
	err  error

	parked bool
	cut    *interrupt // of awaitRead, if parked
}

var rawReads = sync.Pool{New: func() any {
	r := new(rawRead)
	r.callback = r.step
	return r
}}

// read reads into p, or into the connection's buffer if p is nil, waiting until
// something is there or ctx ends. The caller holds c.reading.
func (r *rawIO) read(ctx context.Context, c *Conn, p []byte) (int, error) {
	op := rawReads.Get().(*rawRead)
	op.c, op.ctx, op.into = c, ctx, p
	err := r.rc.Read(op.callback)
	c.readDone(op.cut, op.n) // also if it didn't wait: what has come is a sign of life
	n := op.n
	if op.err != nil {
		err = op.err
	}
	*op = rawRead{callback: op.callback}
	rawReads.Put(op)
	return n, err
}

// step is called when there may be something to read. It returns false to be
// called again when there is.
func (r *rawRead) step(fd uintptr) bool {
	in, p := &r.c.in, r.into
	if p == nil {
		p = in.room()
	}
	n, errno := readSocket(fd, p[:min(len(p), maxRead)])
	switch {
	case n > 0:
		if r.n = n; r.into == nil {
			in.arrived(n)
		}
		return true
	case errno == 0:
		r.err = io.EOF
	case errno != syscall.EAGAIN:
		r.err = errno
	}
	if r.into == nil {
		in.giveBack()
	}
	if r.err != nil {
		return true
	}
	return !r.park()
}

// park prepares to wait, and says whether waiting makes sense.
func (r *rawRead) park() bool {
	if r.c.in.nowait {
		r.err = errNotReady
		return false
	}
	if !r.parked {
		r.cut, r.err = r.c.awaitRead(r.ctx)
		r.parked = r.err == nil
	}
	return r.parked
}

// rawWrite is one call of write.
type rawWrite struct {
	callback func(fd uintptr) bool

	c          *Conn
	head, body []byte // still to be written
	wait       bool
	n          int
	err        error
}

var rawWrites = sync.Pool{New: func() any {
	w := new(rawWrite)
	w.callback = w.step
	return w
}}

// write writes head and then body with as few system calls as it takes. With
// wait it goes on until everything is written or the write deadline passes,
// else until the socket is full. It says how much of both was written. The
// caller is the sender (outbound.busy).
func (r *rawIO) write(c *Conn, head, body []byte, wait bool) (int, error) {
	op := rawWrites.Get().(*rawWrite)
	op.c, op.head, op.body, op.wait = c, head, body, wait
	err := r.rc.Write(op.callback)
	n := op.n
	if op.err != nil {
		err = op.err
	}
	*op = rawWrite{callback: op.callback}
	rawWrites.Put(op)
	return n, err
}

// step is called when there may be room for more. It returns false to be called
// again when there is.
func (w *rawWrite) step(fd uintptr) bool {
	for len(w.head)+len(w.body) > 0 {
		var n int
		var errno syscall.Errno
		if len(w.body) == 0 { // as mostly; here the stack is deepest, so this is no call more
			n, errno = writeSocket(fd, w.head)
		} else {
			n, errno = w.withBody(fd)
		}
		switch {
		case n > 0:
			w.advance(n)
		case errno == syscall.EAGAIN:
			return !w.wait
		case errno == 0:
			w.err = io.ErrShortWrite
			return true
		default:
			w.err = errno
			return true
		}
	}
	return true
}

func (w *rawWrite) withBody(fd uintptr) (int, syscall.Errno) {
	body := w.body[:min(len(w.body), maxWrite)]
	if len(w.head) == 0 {
		return writeSocket(fd, body)
	}
	return writeSocket2(fd, w.head, body)
}

func (w *rawWrite) advance(n int) {
	w.n += n
	w.c.out.progress.Add(1)
	h := min(n, len(w.head))
	w.head, w.body = w.head[h:], w.body[n-h:]
}

// iovec2 is the argument of a writev of two slices.
func iovec2(a, b []byte) [2]syscall.Iovec {
	var v [2]syscall.Iovec
	v[0].Base, v[1].Base = unsafe.SliceData(a), unsafe.SliceData(b)
	v[0].SetLen(len(a))
	v[1].SetLen(len(b))
	return v
}
