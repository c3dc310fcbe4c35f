//go:build linux && race

package conn

import (
	"errors"
	"syscall"
	"unsafe"
)

// Under the race detector the same calls go through package syscall, whose
// reads and writes the detector sees.

func readSocket(fd uintptr, p []byte) (int, syscall.Errno) {
	return retry(func() (int, error) { return syscall.Read(int(fd), p) })
}

func writeSocket(fd uintptr, p []byte) (int, syscall.Errno) {
	return retry(func() (int, error) { return syscall.Write(int(fd), p) })
}

func writeSocket2(fd uintptr, a, b []byte) (int, syscall.Errno) {
	v := iovec2(a, b)
	n, _, errno := syscall.Syscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&v)), uintptr(len(v)))
	if errno != 0 {
		n = 0
	}
	return int(n), errno
}

func retry(call func() (int, error)) (int, syscall.Errno) {
	for {
		n, err := call()
		var errno syscall.Errno
		if errors.As(err, &errno) && errno == syscall.EINTR {
			continue
		}
		return max(n, 0), errno
	}
}
