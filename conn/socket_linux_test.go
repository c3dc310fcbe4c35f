//go:build linux && !wsnoepoll

package conn_test

import (
	"errors"
	"net"
	"os"
	"reflect"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidewire/ws/conn"
)

// An engine's socket is the one that was handed over, addresses included, and nothing of package net's is left of it.
func TestSocketIsTaken(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		a, b := dialled(t, "tcp", at)
		local, remote, inode := a.LocalAddr(), a.RemoteAddr(), inodeOf(t, a.(syscall.Conn))
		s := conn.EngineTransport(a)
		c := conn.New(s, conn.Config{})
		if !reflect.DeepEqual(c.LocalAddr(), local) || !reflect.DeepEqual(c.RemoteAddr(), remote) {
			t.Errorf("%s: %v %v, was %v %v", at, c.LocalAddr(), c.RemoteAddr(), local, remote)
		}
		if _, err := a.Write([]byte("!")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: the net.Conn isn't closed: %v", at, err)
		}
		if got := inodeOf(t, s.(syscall.Conn)); got != inode {
			t.Errorf("%s: another socket", at)
		}
		c.CloseNow()
		if n, err := b.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s: the peer sees no end: %v", at, err)
		}
		b.Close()
	}
}

func inodeOf(t *testing.T, c syscall.Conn) (inode uint64) {
	t.Helper()
	rc, err := c.SyscallConn()
	if err == nil {
		err = rc.Control(func(fd uintptr) { inode = inodeAt(t, fd) })
	}
	if err != nil {
		t.Error(err)
	}
	return inode
}

func inodeAt(t *testing.T, fd uintptr) uint64 {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(fd), &st); err != nil {
		t.Error(err)
	}
	return st.Ino
}

// However a call and Close meet, the call has the socket, or an error: never the one that has got its number since.
func TestSocketNumberComesBack(t *testing.T) {
	for round := range 300 {
		a, b := dialled(t, "tcp", "127.0.0.1:0")
		s := conn.EngineTransport(a)
		inode := inodeOf(t, s.(syscall.Conn))
		rc, err := s.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for range 1000 {
					attempt := rc.Read
					if i%2 == 0 {
						attempt = rc.Write
					}
					waits := round%2 == 0 && i == 3
					err := attempt(func(fd uintptr) bool {
						for range 2 {
							if got := inodeAt(t, fd); got != inode {
								t.Errorf("socket %d, want %d", got, inode)
							}
							runtime.Gosched()
						}
						return !waits
					})
					if errors.Is(err, net.ErrClosed) {
						return
					} else if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Go(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			f, err := os.Open(os.DevNull) // takes the number, once it is free
			if err != nil {
				t.Error(err)
				return
			}
			runtime.Gosched()
			f.Close()
		})
		wg.Wait()
		if err := s.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the second Close: %v", err)
		}
		if err := s.SetReadDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a deadline after Close: %v", err)
		}
		b.Close()
	}
}
