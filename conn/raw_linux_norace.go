//go:build linux && !race

package conn

import (
	"syscall"
	"unsafe"
)

// The sockets are non-blocking, so these calls return at once and needn't tell
// the scheduler that they might not.

func readSocket(fd uintptr, p []byte) (int, syscall.Errno) {
	return rawCall(syscall.SYS_READ, fd, unsafe.Pointer(unsafe.SliceData(p)), len(p))
}

func writeSocket(fd uintptr, p []byte) (int, syscall.Errno) {
	return rawCall(syscall.SYS_WRITE, fd, unsafe.Pointer(unsafe.SliceData(p)), len(p))
}

func writeSocket2(fd uintptr, a, b []byte) (int, syscall.Errno) {
	v := iovec2(a, b)
	return rawCall(syscall.SYS_WRITEV, fd, unsafe.Pointer(&v), len(v))
}

func rawCall(trap, fd uintptr, p unsafe.Pointer, n int) (int, syscall.Errno) {
	for {
		r, _, errno := syscall.RawSyscall(trap, fd, uintptr(p), uintptr(n))
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(r), 0
	}
}
