//go:build linux && amd64 && !race && !wsnoepoll

package ws_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"

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

// echoOnce does a handshake, and sends a message and reads it back, without any
// goroutine or buffer of this side's.
func echoOnce(t *testing.T, nc net.Conn) {
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
