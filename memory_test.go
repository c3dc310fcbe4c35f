//go:build linux && amd64 && !race && !wsnoepoll

package ws_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/tidewire/ws"
)

// TestIdleStack: what a connection that has echoed a message keeps of stack. With
// Serve that is a goroutine's 4 KiB, which the deepest call of an upgrade just
// fits in: one more large frame on the way there makes them 8.
func TestIdleStack(t *testing.T) {
	for name, tt := range map[string]struct {
		h    *ws.Handler
		most uint64 // bytes a connection
	}{
		"Serve":  {&ws.Handler{Serve: echo}, 6 << 10},
		"Events": {&ws.Handler{Events: echoMessage}, 1 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.Handle("/ws", tt.h)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			srv := &http.Server{Handler: mux}
			defer srv.Close()
			go srv.Serve(ln)
			const n = 400
			before := stackInUse()
			for range n {
				nc, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				echoOnce(t, nc)
			}
			if after := stackInUse(); after > before+n*tt.most {
				t.Errorf("%d bytes of stack a connection, want at most %d", (after-before)/n, tt.most)
			}
		})
	}
}

// stackInUse is what is left after a collection, which gives back what is free
// and halves stacks that are mostly unused.
func stackInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.StackInuse
}

// TestIdleMemory: what a connection of Events that has echoed a message keeps, stack apart: two thirds of a kilobyte
// for the Conn, and half of one for its context, its socket, and its place in the engine and the groups.
func TestIdleMemory(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", &ws.Handler{Events: echoMessage})
	srv := &http.Server{Handler: mux}
	defer srv.Close()
	go srv.Serve(ln)
	const n, most = 2000, 1180
	clients := make([]socket, 0, 1+n)
	defer func() {
		for _, s := range clients {
			syscall.Close(int(s))
		}
	}()
	open := func() {
		s, err := connectSocket(ln.Addr().(*net.TCPAddr).Port)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, s)
		echoOnce(t, s)
	}
	open() // with the first one comes what all share
	before := kept()
	for range n {
		open()
	}
	var each int64
	for range 50 { // net/http's goroutines take their time to end
		if each = int64(kept()-before) / n; each <= most {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("%d bytes a connection, want at most %d", each, most)
}

// kept is the heap after a collection, and what the runtime keeps beside it, such as the descriptors that it polls.
func kept() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools had hold of
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.OtherSys
}

// socket is a client's end that takes nothing of this process's memory.
type socket int

func connectSocket(port int) (socket, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	return socket(fd), syscall.Connect(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
}

func (s socket) Read(p []byte) (int, error)  { return syscall.Read(int(s), p) }
func (s socket) Write(p []byte) (int, error) { return syscall.Write(int(s), p) }

// echoOnce does a handshake, and sends a message and reads it back, without any
// goroutine or buffer of this side's.
func echoOnce(t *testing.T, nc io.ReadWriter) {
	t.Helper()
	fmt.Fprint(nc, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	response := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
	got := make([]byte, len(response)+7)
	if _, err := io.ReadFull(nc, got[:len(response)]); err != nil || string(got[:len(response)]) != response {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := nc.Write([]byte("\x81\x85\x00\x00\x00\x00hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, got[:7]); err != nil || string(got[:7]) != "\x81\x05hello" {
		t.Fatalf("%q, %v", got[:7], err)
	}
}
