//go:build linux

package peer

import (
	"net"
	"runtime"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

var epoll = Server{
	Name:  "epoll",
	Role:  Floor,
	About: "no WebSocket, no goroutine a connection: one thread on epoll, 256 KB buffer, each read written back as it is",
	Modes: map[Mode]Maker{Echo: epollEcho, Text: epollEcho},
}

// epollEcho accepts as others do, and hands each connection to the loop. The loop ends when it can read from stop.
func epollEcho(Config) func(net.Listener) error {
	return func(ln net.Listener) error {
		set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return err
		}
		stop, stopped, err := pipe()
		if err != nil {
			return err
		}
		defer unix.Close(stopped)
		if err := watch(set, unix.EPOLL_CTL_ADD, stop, unix.EPOLLIN); err != nil {
			return err
		}
		l := &epollLoop{set: set, stop: stop, rest: map[int][]byte{}, buf: make([]byte, 256<<10)}
		go l.run()
		for {
			c, err := ln.Accept()
			if err != nil {
				return err
			}
			fd, err := detach(c)
			if err != nil {
				return err
			}
			if err := watch(set, unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN); err != nil {
				return err
			}
		}
	}
}

func pipe() (r, w int, err error) {
	var p [2]int
	err = unix.Pipe2(p[:], unix.O_CLOEXEC)
	return p[0], p[1], err
}

// detach takes c's socket away from the runtime, which would be told of every byte too.
func detach(c net.Conn) (fd int, err error) {
	defer c.Close()
	rc, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	if ctlErr := rc.Control(func(s uintptr) { fd, err = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) }); ctlErr != nil {
		return 0, ctlErr
	}
	return fd, err
}

func watch(set, op, fd int, events uint32) error {
	return unix.EpollCtl(set, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// An epollLoop is all there is of the server: its thread shares nothing with others but the set.
type epollLoop struct {
	set, stop int
	rest      map[int][]byte // what sockets have not taken yet; they are read again when they have
	buf       []byte
}

func (l *epollLoop) run() {
	runtime.LockOSThread()
	defer unix.Close(l.set)
	defer unix.Close(l.stop)
	events := make([]unix.EpollEvent, 128)
	for {
		n, err := unix.EpollWait(l.set, events, -1)
		if err != nil && err != unix.EINTR {
			return
		}
		for _, e := range events[:max(n, 0)] {
			fd := int(e.Fd)
			if fd == l.stop {
				return
			}
			if !l.serve(fd) {
				delete(l.rest, fd)
				unix.Close(fd)
			}
		}
	}
}

// serve writes back what is left from before, or else what can be read at once. It reports whether the connection goes on.
func (l *epollLoop) serve(fd int) bool {
	rest, waited := l.rest[fd]
	if !waited {
		n, errno := call(unix.SYS_READ, fd, l.buf)
		if n == 0 || errno != 0 {
			return errno == unix.EAGAIN
		}
		rest = l.buf[:n]
	}
	n, errno := call(unix.SYS_WRITE, fd, rest)
	switch rest = rest[n:]; {
	case errno != 0 && errno != unix.EAGAIN:
		return false
	case len(rest) > 0 && !waited:
		l.rest[fd] = slices.Clone(rest)
		return watch(l.set, unix.EPOLL_CTL_MOD, fd, unix.EPOLLOUT) == nil
	case len(rest) > 0:
		l.rest[fd] = rest
	case waited:
		delete(l.rest, fd)
		return watch(l.set, unix.EPOLL_CTL_MOD, fd, unix.EPOLLIN) == nil
	}
	return true
}

// call reads or writes without telling the scheduler: the sockets don't block.
func call(trap uintptr, fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
