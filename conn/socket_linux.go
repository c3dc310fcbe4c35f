//go:build linux && !wsnoepoll

package conn

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unique"
)

// socket is a TCP socket that belongs to its connection alone: package net and
// the runtime's poller know nothing of it, which saves most of what an idle
// connection takes. An Engine waits for what arrives. A call that has to wait by
// itself, for room or in a Read of the handler's, makes a file of the socket,
// which the runtime polls from then on.
type socket struct {
	fd    int32
	users atomic.Uint32 // calls that use fd, and closed

	mu   sync.Mutex
	file atomic.Pointer[os.File] // nil: nobody has had to wait; made under mu

	local  unique.Handle[netip.AddrPort] // the same for most of a server's connections
	remote netip.AddrPort
}

// closed is set in socket.users once Close was called: the last user closes fd,
// whose number may be another socket's at once.
const closed = 1 << 31

// ownSocket takes nc's socket away from it, and closes what is left.
func ownSocket(nc *net.TCPConn) (Transport, bool) {
	local, okL := nc.LocalAddr().(*net.TCPAddr)
	remote, okR := nc.RemoteAddr().(*net.TCPAddr)
	rc, err := nc.SyscallConn()
	if err != nil || !okL || !okR {
		return nil, false
	}
	var fd uintptr
	var errno syscall.Errno
	err = rc.Control(func(old uintptr) {
		fd, _, errno = syscall.RawSyscall(syscall.SYS_FCNTL, old, syscall.F_DUPFD_CLOEXEC, 0)
	})
	if err != nil || errno != 0 {
		return nil, false // too many files: it works without
	}
	_ = nc.Close()
	return &socket{fd: int32(fd), local: unique.Make(local.AddrPort()), remote: remote.AddrPort()}, true
}

func (s *socket) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(s.local.Value()) }
func (s *socket) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.remote) }

// acquire keeps fd open until release; false if it has been closed.
func (s *socket) acquire() bool {
	for {
		n := s.users.Load()
		if n&closed != 0 {
			return false
		}
		if s.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (s *socket) release() {
	if s.users.Add(^uint32(0)) == closed {
		_ = s.shut()
	}
}

// Close ends the calls that wait.
func (s *socket) Close() error {
	switch before := s.users.Or(closed); {
	case before&closed != 0:
		return net.ErrClosed
	case before == 0:
		return s.shut()
	}
	return nil
}

func (s *socket) shut() error {
	if f := s.file.Load(); f != nil {
		return f.Close()
	}
	return os.NewSyscallError("close", syscall.Close(int(s.fd)))
}

// waitable is the socket as a file. The file has a count of users of its own, so
// that Close can end their waiting.
func (s *socket) waitable() (*os.File, error) {
	if f := s.file.Load(); f != nil {
		return f, nil
	}
	if !s.acquire() {
		return nil, net.ErrClosed
	}
	defer s.release()
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.file.Load()
	if f == nil {
		f = os.NewFile(uintptr(s.fd), "socket")
		s.file.Store(f)
	}
	return f, nil
}

// closedOr is err, or net.ErrClosed if that is why: what package os says then is
// nothing that can be compared.
func (s *socket) closedOr(err error) error {
	if err != nil && s.users.Load()&closed != 0 {
		return net.ErrClosed
	}
	return err
}

func (s *socket) Read(p []byte) (int, error) {
	f, err := s.waitable()
	if err != nil {
		return 0, err
	}
	n, err := f.Read(p)
	return n, s.closedOr(err)
}

func (s *socket) Write(p []byte) (int, error) {
	f, err := s.waitable()
	if err != nil {
		return 0, err
	}
	n, err := f.Write(p)
	return n, s.closedOr(err)
}

func (s *socket) SetReadDeadline(t time.Time) error {
	f, err := s.waitable()
	if err != nil {
		return err
	}
	return s.closedOr(f.SetReadDeadline(t))
}

func (s *socket) SetWriteDeadline(t time.Time) error {
	f, err := s.waitable()
	if err != nil {
		return err
	}
	return s.closedOr(f.SetWriteDeadline(t))
}

func (s *socket) CloseWrite() error {
	if !s.acquire() {
		return net.ErrClosed
	}
	defer s.release()
	return os.NewSyscallError("shutdown", syscall.Shutdown(int(s.fd), syscall.SHUT_WR))
}

func (s *socket) SyscallConn() (syscall.RawConn, error) { return rawSocket{s}, nil }

// rawSocket is a socket's syscall.RawConn.
type rawSocket struct{ *socket }

// Control calls f with a descriptor that stays open meanwhile.
func (s rawSocket) Control(f func(fd uintptr)) error {
	if !s.acquire() {
		return net.ErrClosed
	}
	defer s.release()
	f(uintptr(s.fd))
	return nil
}

// Read calls f until it returns true, waiting in between for something to read.
func (s rawSocket) Read(f func(fd uintptr) bool) error {
	return s.attempt(f, syscall.RawConn.Read)
}

// Write is Read for room to write.
func (s rawSocket) Write(f func(fd uintptr) bool) error {
	return s.attempt(f, syscall.RawConn.Write)
}

// attempt calls f once without the runtime's poller, unless the socket has a
// file already, and leaves it to wait if f returns false.
func (s rawSocket) attempt(f func(fd uintptr) bool, wait func(syscall.RawConn, func(uintptr) bool) error) error {
	if s.file.Load() == nil {
		if !s.acquire() {
			return net.ErrClosed
		}
		done := f(uintptr(s.fd))
		s.release()
		if done {
			return nil
		}
	}
	file, err := s.waitable()
	if err != nil {
		return err
	}
	rc, err := file.SyscallConn()
	if err != nil {
		return err
	}
	return s.closedOr(wait(rc, f))
}

var (
	_ Transport    = (*socket)(nil)
	_ syscall.Conn = (*socket)(nil)
)
