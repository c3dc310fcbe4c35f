package conn_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/tidewire/ws/conn"
)

// A stream can be read in any pieces.
func TestReaderPieces(t *testing.T) {
	runAll(t, func(t *testing.T, m mode) {
		c, peer := m.pair(t, conn.Config{}, conn.Config{})
		ctx := soon(t)
		for _, n := range sizes {
			sent := start(func() error { return peer.Write(ctx, conn.Binary, payload(n)) })
			for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
				if n > 5_000 {
					wrap = iotest.HalfReader
				}
				typ, r, err := c.Reader(ctx)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(wrap(r))
				if typ != conn.Binary || !bytes.Equal(got, payload(n)) || err != nil {
					t.Fatalf("%d bytes: got %d, or not the same; %v", n, len(got), err)
				}
				if k, err := r.Read(make([]byte, 1)); k != 0 || err != io.EOF {
					t.Errorf("behind the end: %d, %v", k, err)
				}
				if err := result(t, sent); err != nil {
					t.Fatal(err)
				}
				sent = start(func() error { return peer.Write(ctx, conn.Binary, payload(n)) })
			}
			if _, _, err := c.Read(ctx); err != nil {
				t.Fatal(err)
			}
			if err := result(t, sent); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// What a stream has not handed out yet stays as it is, whatever other connections do with their buffers.
func TestReaderKeepsItsBytes(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, peer := m.pair(t, conn.Config{}, conn.Config{})
		other, otherPeer := m.pair(t, conn.Config{}, conn.Config{})
		ctx := soon(t)
		mine, yours := strings.Repeat("m", 1000), strings.Repeat("y", 1000)
		if err := peer.Write(ctx, conn.Text, []byte(mine)); err != nil {
			t.Fatal(err)
		}
		_, r, err := c.Reader(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for piece := make([]byte, 100); len(mine) > 0; mine = mine[100:] {
			if err := otherPeer.Write(ctx, conn.Text, []byte(yours)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := other.Read(ctx); err != nil {
				t.Fatal(err)
			}
			if n, err := io.ReadFull(r, piece); string(piece) != mine[:100] || err != nil {
				t.Fatalf("read %d: %.100q, %v", n, piece, err)
			}
		}
	})
}

// Until a stream is read to its end there is no other way to read.
func TestReaderUnfinished(t *testing.T) {
	runAll(t, func(t *testing.T, m mode) {
		c, peer := m.pair(t, conn.Config{}, conn.Config{})
		ctx := soon(t)
		for range 2 {
			if err := peer.Write(ctx, conn.Text, payload(100)); err != nil {
				t.Fatal(err)
			}
		}
		_, r, err := c.Reader(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for name, read := range readers {
			if _, _, err := read(ctx, c); !errors.Is(err, conn.ErrUnfinished) || errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if k, err := r.Read(nil); k != 0 || err != nil {
			t.Errorf("Read(nil): %d, %v", k, err)
		}
		if _, err := io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(ctx); !bytes.Equal(got, payload(100)) || err != nil {
			t.Errorf("the next message: %q, %v", got, err)
		}
		if k, err := r.Read(make([]byte, 1)); k != 0 || err != io.EOF {
			t.Errorf("a finished stream, later: %d, %v", k, err)
		}
	})
}

// A stream whose message somebody else has dropped doesn't read another one's bytes.
func TestReaderStale(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{})
		ctx := soon(t)
		p.send(text, "first half")
		_, r, err := c.Reader(ctx)
		if err != nil {
			t.Fatal(err)
		}
		closed := start(func() error { return c.Close(ctx, conn.StatusNormal, "") })
		p.want(fin|closes, closing(conn.StatusNormal, ""))
		p.write(append(p.frame(fin, "second half"), p.frame(fin|closes, closing(conn.StatusNormal, ""))...))
		p.nc.Close()
		if err := result(t, closed); err != nil {
			t.Error(err)
		}
		if n, err := r.Read(make([]byte, 100)); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// A stream that a Read left unfinished by its context goes on, and so does a Read.
func TestReaderResumes(t *testing.T) {
	for _, m := range []mode{{stream: overMemory}, {stream: overMemory, client: true}} {
		for first := range readers {
			for second, read := range readers {
				c, p := m.raw(t, conn.Config{})
				stop, cancel := context.WithCancel(soon(t))
				whole := p.frame(fin|binry, "\x00\xff and the rest")
				for _, b := range [][]byte{p.frame(text, "be"), p.frame(fin|ping, "!"), p.frame(cont, "gin")} {
					p.write(b)
				}
				given := start(func() error { _, _, err := readers[first](stop, c); return err })
				p.want(fin|pong, "!")
				cancel()
				err := result(t, given)
				if !errors.Is(err, context.Canceled) || errors.Is(err, net.ErrClosed) {
					t.Fatalf("%s: %v", first, err)
				}
				p.write(append(p.frame(fin, "ning"), whole...))
				want := "beginning"
				if first == "Reader" {
					continue // that stream is the one to go on with: TestReaderOutlivesRead
				}
				typ, got, err := read(soon(t), c)
				if typ != conn.Text || string(got) != want || err != nil {
					t.Errorf("%s, then %s: %v %q, %v", first, second, typ, got, err)
				}
				typ, got, err = read(soon(t), c)
				if typ != conn.Binary || string(got) != "\x00\xff and the rest" || err != nil {
					t.Errorf("%s, then %s, twice: %v %q, %v", first, second, typ, got, err)
				}
			}
		}
	}
}

// A header without payload has arrived, no byte of the message: Reader afterwards waits for the next message, and doesn't
// take the last one's type for it.
func TestReaderWaitsForItsMessage(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{})
		p.write(p.header(fin|text, 2))
		short, cancel := context.WithTimeout(soon(t), 2*time.Millisecond)
		defer cancel()
		if _, _, err := c.Read(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		tail := p.frame(fin|text, "hi")
		p.write(tail[len(tail)-2:])
		for msg, err := range c.Messages(soon(t)) {
			if string(msg.Data) != "hi" || err != nil {
				t.Fatalf("%q, %v", msg.Data, err)
			}
			break
		}
		p.send(fin|binry, "other")
		typ, r, err := c.Reader(soon(t))
		if typ != conn.Binary || err != nil {
			t.Fatalf("%v, %v", typ, err)
		}
		if got, err := io.ReadAll(r); string(got) != "other" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// The read limit may change while a stream is being read; from which message on is documented, and nothing breaks.
func TestReaderLimitChanges(t *testing.T) {
	for _, deflate := range []bool{false, true} {
		c, peer := mode{stream: overMemory, deflate: deflate}.pair(t, conn.Config{}, conn.Config{})
		ctx := soon(t)
		sent := start(func() error { return peer.Write(ctx, conn.Text, payload(100_000)) })
		_, r, err := c.Reader(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		c.SetReadLimit(10)
		rest, err := io.ReadAll(r)
		if len(rest) != 99_000 && !errors.Is(err, conn.ErrReadLimit) {
			t.Errorf("deflate %v: %d bytes more, %v", deflate, len(rest), err)
		}
		if err := result(t, sent); err != nil {
			t.Errorf("deflate %v: %v", deflate, err)
		}
	}
}
