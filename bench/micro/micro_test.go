package micro_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
)

// tape is a transport that reads the same bytes over and over, or once, and writes into nothing.
type tape struct {
	frames  []byte
	once    bool
	at      int
	written int
}

func (t *tape) Read(p []byte) (int, error) {
	if t.at == len(t.frames) {
		if t.once {
			return 0, io.EOF
		}
		t.at = 0
	}
	n := copy(p, t.frames[t.at:])
	t.at += n
	return n, nil
}

func (t *tape) Write(p []byte) (int, error) {
	t.written += len(p)
	return len(p), nil
}

func (t *tape) SetReadDeadline(time.Time) error  { return nil }
func (t *tape) SetWriteDeadline(time.Time) error { return nil }
func (t *tape) SetDeadline(time.Time) error      { return nil }
func (t *tape) CloseWrite() error                { return nil }
func (t *tape) Close() error                     { return nil }
func (t *tape) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (t *tape) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// masked is a client's frame.
func masked(op byte, payload []byte) []byte {
	b := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	key := [4]byte{0x9a, 0x3c, 0x5f, 0xe1}
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i%4])
	}
	return b
}

// texts are a payload of n bytes in each kind that costs something else to check.
func texts(n int) map[string][]byte {
	return map[string][]byte{
		"ascii": []byte(strings.Repeat("a", n)),
		"cjk":   []byte(strings.Repeat("語", n/3) + strings.Repeat(" ", n%3)),
	}
}

var sizes = []int{32, 1 << 10, 16 << 10}

// forEach runs a benchmark over sizes and kinds of messages, of which frame is one, from a client.
func forEach(b *testing.B, f func(b *testing.B, t ws.MessageType, payload, frame []byte)) {
	for _, size := range sizes {
		payloads := texts(size)
		payloads["binary"] = payloads["ascii"]
		for _, kind := range []string{"binary", "ascii", "cjk"} {
			t, op := ws.Text, byte(1)
			if kind == "binary" {
				t, op = ws.Binary, 2
			}
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				f(b, t, payloads[kind], masked(op, payloads[kind]))
			})
		}
	}
}

func server(b *testing.B, frames []byte) *conn.Conn {
	c := conn.New(&tape{frames: frames}, conn.Config{})
	b.Cleanup(func() { c.CloseNow() })
	return c
}

// One step of Messages: reading, unmasking, checking.
func BenchmarkMessages(b *testing.B) {
	forEach(b, func(b *testing.B, _ ws.MessageType, payload, frame []byte) {
		c := server(b, bytes.Repeat(frame, 8))
		left := b.N
		for m, err := range c.Messages(context.Background()) {
			if err != nil || len(m.Data) != len(payload) {
				b.Fatal(len(m.Data), err)
			}
			if left--; left == 0 {
				break
			}
		}
	})
}

// The same into a buffer of the caller's.
func BenchmarkAppendRead(b *testing.B) {
	forEach(b, func(b *testing.B, _ ws.MessageType, payload, frame []byte) {
		c := server(b, bytes.Repeat(frame, 8))
		var buf []byte
		for b.Loop() {
			var err error
			if _, buf, err = c.AppendRead(context.Background(), buf[:0]); err != nil || len(buf) != len(payload) {
				b.Fatal(len(buf), err)
			}
		}
	})
}

// An echo with 64 messages in flight: they come with one read, and the replies leave with one write.
func BenchmarkPipelined(b *testing.B) {
	for _, size := range []int{64, 1 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			c, left, ctx := server(b, bytes.Repeat(masked(2, make([]byte, size)), 64)), b.N, context.Background()
			for m, err := range c.Messages(ctx) {
				if err == nil {
					err = c.Write(ctx, m.Type, m.Data)
				}
				if err != nil {
					b.Fatal(err)
				}
				if left--; left == 0 {
					break
				}
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			c, p := server(b, masked(1, nil)), make([]byte, size)
			for b.Loop() {
				if err := c.Write(context.Background(), ws.Binary, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func prepare(b *testing.B, n, size int) []*ws.Prepared {
	var all []*ws.Prepared
	for range n {
		p, err := ws.NewPrepared(ws.Message{Type: ws.Binary, Data: make([]byte, size)})
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// A burst of 16 messages of 128 bytes.
func BenchmarkWritePrepared(b *testing.B) {
	b.ReportAllocs()
	c, all := server(b, masked(1, nil)), prepare(b, 16, 128)
	for b.Loop() {
		if err := c.WritePrepared(context.Background(), all...); err != nil {
			b.Fatal(err)
		}
	}
}

// A ping before each message, and so a pong.
func BenchmarkPingAnswered(b *testing.B) {
	b.ReportAllocs()
	t := &tape{frames: bytes.Repeat(append(masked(9, []byte("ping")), masked(2, make([]byte, 32))...), 8)}
	c := conn.New(t, conn.Config{ControlRate: -1})
	b.Cleanup(func() { c.CloseNow() })
	var buf []byte
	for b.Loop() {
		var err error
		if _, buf, err = c.AppendRead(context.Background(), buf[:0]); err != nil {
			b.Fatal(err)
		}
	}
	if t.written == 0 {
		b.Fatal("no pong was sent")
	}
}

// recorder is a ResponseWriter whose connection is a tape that has a close frame to read.
type recorder struct {
	http.ResponseWriter
	tape *tape
}

func (r *recorder) Header() http.Header { return http.Header{} }

func (r *recorder) WriteHeader(code int) { panic(fmt.Sprint("refused with ", code)) }

func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return r.tape, bufio.NewReadWriter(bufio.NewReaderSize(r.tape, 4096), bufio.NewWriterSize(r.tape, 4096)), nil
}

// Handler from the request to the end of a connection that is closed at once; two of its allocations, and 8 KB, are the
// buffers that net/http would have.
func BenchmarkUpgrade(b *testing.B) {
	b.ReportAllocs()
	h := &ws.Handler{Serve: func(context.Context, *ws.Conn) error { return nil }}
	request, err := http.NewRequest("GET", "http://example.com/", nil)
	if err != nil {
		b.Fatal(err)
	}
	for name, value := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Origin": "http://example.com",
		"Sec-Websocket-Version": "13", "Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		request.Header.Set(name, value)
	}
	closing := masked(8, []byte{0x03, 0xe8})
	for b.Loop() {
		h.ServeHTTP(&recorder{tape: &tape{frames: closing, once: true}}, request)
	}
}
