package conn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/tidewire/ws/conn"
)

// writers are the ways to send a message.
var writers = map[string]func(ctx context.Context, c *conn.Conn, m conn.Message) error{
	"Write": func(ctx context.Context, c *conn.Conn, m conn.Message) error {
		return c.Write(ctx, m.Type, m.Data)
	},
	"WriteMessage": func(ctx context.Context, c *conn.Conn, m conn.Message) error {
		m.NoCompress = true
		return c.WriteMessage(ctx, m)
	},
	"Writer": func(ctx context.Context, c *conn.Conn, m conn.Message) error {
		w, err := c.Writer(ctx, m.Type)
		if err != nil {
			return err
		}
		half := len(m.Data) / 2
		_, err1 := w.Write(m.Data[:half])
		_, err2 := w.Write(m.Data[half:])
		return errors.Join(err1, err2, w.Close())
	},
	"WritePrepared": func(ctx context.Context, c *conn.Conn, m conn.Message) error {
		p, err := conn.NewPrepared(m)
		if err != nil {
			return err
		}
		return c.WritePrepared(ctx, p)
	},
	"TryWrite": func(ctx context.Context, c *conn.Conn, m conn.Message) error {
		p, err := conn.NewPrepared(m)
		if err != nil {
			return err
		}
		for n := 0; n == 0; {
			writable := make(chan struct{})
			if n, err = c.TryWrite(p); n > 0 || err != nil {
				return err
			}
			c.OnWritable(func() { close(writable) })
			select {
			case <-writable:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	},
}

// readers are the ways to receive one.
var readers = map[string]func(ctx context.Context, c *conn.Conn) (conn.MessageType, []byte, error){
	"Read": func(ctx context.Context, c *conn.Conn) (conn.MessageType, []byte, error) {
		return c.Read(ctx)
	},
	"AppendRead": func(ctx context.Context, c *conn.Conn) (conn.MessageType, []byte, error) {
		t, b, err := c.AppendRead(ctx, []byte("before"))
		if !bytes.HasPrefix(b, []byte("before")) || err != nil && len(b) != len("before") {
			return t, b, fmt.Errorf("AppendRead spoilt what was there: %q, %w", b, err)
		}
		return t, b[len("before"):], err
	},
	"Messages": func(ctx context.Context, c *conn.Conn) (conn.MessageType, []byte, error) {
		for m, err := range c.Messages(ctx) {
			return m.Type, bytes.Clone(m.Data), err
		}
		return 0, nil, io.EOF
	},
	"Reader": func(ctx context.Context, c *conn.Conn) (conn.MessageType, []byte, error) {
		t, r, err := c.Reader(ctx)
		if err != nil {
			return 0, nil, err
		}
		b, err := io.ReadAll(r)
		return t, b, err
	},
}

// payload is n bytes of text that don't repeat soon. They must not be changed.
func payload(n int) []byte { return longText()[:n:n] }

var longText = sync.OnceValue(func() []byte {
	b := make([]byte, 0, 4<<20+20)
	for i := 0; len(b) < 4<<20; i++ {
		b = fmt.Appendf(b, "%x ", i*i)
	}
	return b
})

// sizes lie on both sides of every limit: of headers, of what is copied, of fragments, of buffers. The race detector, which is
// slow, has fewer.
var sizes = func() []int {
	if race {
		return []int{0, 125, 126, 16<<10 + 1, 64<<10 - 13, 128<<10 + 1}
	}
	return []int{0, 1, 63, 125, 126, 4096, 16<<10 + 1, 64<<10 - 14, 64<<10 - 13, 64 << 10, 128 << 10, 128<<10 + 1, 300_000}
}()

// Every way to send a message reaches every way to receive it, whole and in order.
func TestMessages(t *testing.T) {
	runAll(t, func(t *testing.T, m mode) {
		for from, write := range writers {
			c, peer := m.pair(t, conn.Config{}, conn.Config{})
			ctx := soon(t)
			sent := start(func() error {
				for range readers {
					for i, n := range sizes {
						m := conn.Message{Type: conn.Text + conn.MessageType(i%2), Data: payload(n)}
						if err := write(ctx, c, m); err != nil {
							return err
						}
					}
				}
				return c.Flush(ctx)
			})
			for to, read := range readers {
				for i, n := range sizes {
					typ, got, err := read(ctx, peer)
					if typ != conn.Text+conn.MessageType(i%2) || !bytes.Equal(got, payload(n)) || err != nil {
						t.Fatalf("%s, %s: got %v of %d bytes, want %d, or not the same; %v", from, to, typ, len(got), n, err)
					}
				}
			}
			if err := result(t, sent); err != nil {
				t.Fatalf("%s: %v", from, err)
			}
		}
	})
}

// What goes over the wire is a well-formed message, whatever its size; longer ones are in fragments.
func TestFramesOnTheWire(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for from, write := range writers {
			c, p := m.raw(t, conn.Config{})
			for _, n := range sizes {
				sent := start(func() error { return write(soon(t), c, conn.Message{Type: conn.Binary, Data: payload(n)}) })
				if op, got := p.message(); op != binry || got != string(payload(n)) {
					t.Fatalf("%s: opcode %d, %d bytes; want %d", from, op, len(got), n)
				}
				if err := result(t, sent); err != nil {
					t.Fatalf("%s, %d bytes: %v", from, n, err)
				}
			}
			if m.client && len(p.keys) < len(sizes) {
				t.Errorf("%s: %d messages with %d mask keys", from, len(sizes), len(p.keys))
			}
		}
	})
}

func TestMessageTypes(t *testing.T) {
	c, _ := mode{stream: overMemory}.pair(t, conn.Config{}, conn.Config{})
	for _, typ := range []conn.MessageType{0, 3, 8, 255} {
		_, errPrepared := conn.NewPrepared(conn.Message{Type: typ})
		_, errWriter := c.Writer(t.Context(), typ)
		for _, err := range []error{c.Write(t.Context(), typ, nil), errPrepared, errWriter} {
			if err == nil || c.Context().Err() != nil {
				t.Errorf("type %d: %v", typ, err)
			}
		}
	}
	for typ, want := range map[conn.MessageType]string{conn.Text: "text", conn.Binary: "binary", 7: "MessageType(7)"} {
		if got := typ.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Text is not checked on the way out: that would cost everybody for the mistakes of a few.
func TestSendInvalidText(t *testing.T) {
	c, p := mode{stream: overMemory}.raw(t, conn.Config{})
	if err := c.Write(soon(t), conn.Text, []byte("\xff")); err != nil {
		t.Fatal(err)
	}
	p.want(fin|text, "\xff")
}

// Nobody's slices are kept or changed: a writer may use its own again at once, and Read's belong to the reader.
func TestOwnership(t *testing.T) {
	runAll(t, func(t *testing.T, m mode) {
		c, peer := m.pair(t, conn.Config{}, conn.Config{})
		ctx := soon(t)
		for _, n := range []int{10, 1000, 100_000, 200_000} {
			p := bytes.Clone(payload(n))
			sent := start(func() error {
				err := c.Write(ctx, conn.Text, p)
				if !bytes.Equal(p, payload(n)) {
					err = errors.New("changed by Write")
				}
				clear(p)
				return errors.Join(err, c.Write(ctx, conn.Text, payload(n)))
			})
			_, first, err1 := peer.Read(ctx)
			_, second, err2 := peer.Read(ctx)
			if err := errors.Join(err1, err2, result(t, sent)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first, payload(n)) || !bytes.Equal(second, payload(n)) {
				t.Errorf("%d bytes: not what was sent", n)
			}
		}
	})
}
