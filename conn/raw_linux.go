package conn

import (
	"context"
	"io"
	"syscall"
	"unsafe"
)

// rawIO reads and writes a socket with system calls of its own, inside the
// callbacks of its syscall.RawConn: that costs a good part less than net.Conn's
// methods, and lets a connection wait for bytes without holding a buffer.
//
// The callbacks are made once, and their arguments and results are fields, so
// that no call allocates. reading guards the read half; whoever is the writer
// (outbound.busy) owns the write half. Nothing in a callback closes the
// connection: that would wait for the callback.
type rawIO struct {
	c  *Conn
	rc syscall.RawConn

	onReadable func(fd uintptr) bool
	readCtx    context.Context
	readInto   []byte // nil: the connection's buffer
	readN      int
	readErr    error
	parked     bool

	onWritable func(fd uintptr) bool
	head, body []byte // still to be written
	wait       bool   // else give up when the socket is full
	wrote      int
	writeErr   error
}

// init reports whether c's transport is a socket.
func (r *rawIO) init(c *Conn) bool {
	sc, ok := c.t.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	r.c, r.rc = c, rc
	r.onReadable, r.onWritable = r.readStep, r.writeStep
	return true
}

// read reads into p, or into the connection's buffer if p is nil, waiting until
// something is there or ctx ends.
func (r *rawIO) read(ctx context.Context, p []byte) (int, error) {
	r.readCtx, r.readInto = ctx, p
	r.readN, r.readErr, r.parked = 0, nil, false
	err := r.rc.Read(r.onReadable)
	if r.parked {
		r.c.readDone(ctx, r.readN)
	}
	r.readCtx, r.readInto = nil, nil
	if r.readErr != nil {
		err = r.readErr
	}
	return r.readN, err
}

// readStep is called when there may be something to read. It returns false to
// be called again when there is.
func (r *rawIO) readStep(fd uintptr) bool {
	in, p := &r.c.in, r.readInto
	if p == nil {
		p = in.room()
	}
	n, errno := readSocket(fd, p[:min(len(p), maxRead)])
	switch {
	case n > 0:
		if r.readN = n; r.readInto == nil {
			in.arrived(n)
		}
		return true
	case errno == 0:
		r.readErr = io.EOF
	case errno != syscall.EAGAIN:
		r.readErr = errno
	}
	if r.readInto == nil {
		in.giveBack()
	}
	if r.readErr != nil {
		return true
	}
	return !r.park()
}

// park prepares to wait, and says whether waiting makes sense.
func (r *rawIO) park() bool {
	if r.c.in.nowait {
		r.readErr = errNotReady
		return false
	}
	if r.parked {
		return true
	}
	if r.readErr = r.c.awaitRead(r.readCtx); r.readErr != nil {
		return false
	}
	r.parked = true
	return true
}

// write writes head and then body with as few system calls as it takes. With
// wait it goes on until everything is written or the write deadline passes,
// else until the socket is full. It says how much of both was written.
func (r *rawIO) write(head, body []byte, wait bool) (int, error) {
	r.head, r.body, r.wait = head, body, wait
	r.wrote, r.writeErr = 0, nil
	err := r.rc.Write(r.onWritable)
	r.head, r.body = nil, nil
	if r.writeErr != nil {
		err = r.writeErr
	}
	return r.wrote, err
}

func (r *rawIO) writeStep(fd uintptr) bool {
	for len(r.head)+len(r.body) > 0 {
		n, errno := r.writeOnce(fd)
		switch {
		case n > 0:
			r.advance(n)
		case errno == syscall.EAGAIN:
			return !r.wait
		case errno == 0:
			r.writeErr = io.ErrShortWrite
			return true
		default:
			r.writeErr = errno
			return true
		}
	}
	return true
}

func (r *rawIO) writeOnce(fd uintptr) (int, syscall.Errno) {
	switch {
	case len(r.body) == 0:
		return writeSocket(fd, r.head)
	case len(r.head) == 0:
		return writeSocket(fd, r.body[:min(len(r.body), maxWrite)])
	}
	return writeSocket2(fd, r.head, r.body[:min(len(r.body), maxWrite)])
}

func (r *rawIO) advance(n int) {
	r.wrote += n
	r.c.out.progress.Add(1)
	h := min(n, len(r.head))
	r.head, r.body = r.head[h:], r.body[n-h:]
}

// iovec2 is the argument of a writev of two slices.
func iovec2(a, b []byte) [2]syscall.Iovec {
	var v [2]syscall.Iovec
	v[0].Base, v[1].Base = unsafe.SliceData(a), unsafe.SliceData(b)
	v[0].SetLen(len(a))
	v[1].SetLen(len(b))
	return v
}
