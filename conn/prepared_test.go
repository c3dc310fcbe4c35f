package conn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tidewire/ws/conn"
)

func prepare(t testing.TB, typ conn.MessageType, data []byte) *conn.Prepared {
	t.Helper()
	p, err := conn.NewPrepared(conn.Message{Type: typ, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Several prepared messages go out in one write, in order.
func TestWritePreparedTogether(t *testing.T) {
	for _, client := range []bool{false, true} {
		s, writes := counted()
		c, p := mode{client: client, stream: s}.raw(t, conn.Config{})
		var ps []*conn.Prepared
		for i := range 20 {
			ps = append(ps, prepare(t, conn.Text, fmt.Append(nil, i)))
		}
		if err := c.WritePrepared(t.Context()); err != nil {
			t.Errorf("nothing: %v", err)
		}
		if err := c.WritePrepared(t.Context(), ps...); err != nil {
			t.Error(err)
		}
		for i := range 20 {
			p.want(fin|text, fmt.Sprint(i))
		}
		if n := writes.Load(); n != 1 {
			t.Errorf("%d writes", n)
		}
	}
}

// Small and long ones mix.
func TestWritePreparedMixed(t *testing.T) {
	runAll(t, func(t *testing.T, m mode) {
		c, peer := m.pair(t, conn.Config{}, conn.Config{})
		lengths := []int{5, 60_000, 100_000, 3, 200_000, 0, 64 << 10, 1}
		var ps []*conn.Prepared
		for _, n := range lengths {
			ps = append(ps, prepare(t, conn.Binary, payload(n)))
		}
		sent := start(func() error { return c.WritePrepared(soon(t), ps...) })
		for _, n := range lengths {
			if _, b, err := peer.Read(soon(t)); !bytes.Equal(b, payload(n)) || err != nil {
				t.Fatalf("%d of %d bytes, %v", len(b), n, err)
			}
		}
		if err := result(t, sent); err != nil {
			t.Error(err)
		}
	})
}

// One prepared message serves connections of every kind at the same time, and keeps nothing of the slice it was made from.
func TestPreparedIsShared(t *testing.T) {
	data := bytes.Clone(payload(3000))
	p := prepare(t, conn.Text, data)
	clear(data)
	var wg sync.WaitGroup
	runAll(t, func(t *testing.T, m mode) {
		c, peer := m.pair(t, conn.Config{}, conn.Config{})
		wg.Go(func() {
			for range 20 {
				if err := c.WritePrepared(context.Background(), p); err != nil {
					t.Error(err)
				}
				if n, err := c.TryWrite(p); n != 1 || err != nil {
					t.Error(n, err)
				}
				for range 2 {
					if _, b, err := peer.Read(context.Background()); !bytes.Equal(b, payload(3000)) || err != nil {
						t.Errorf("%d bytes, %v", len(b), err)
						return
					}
				}
			}
		})
		wg.Wait()
	})
}

// A message is compressed once for all connections with the same window, however long it is; what they have sent before and
// send after refers to nothing that their peers don't know.
func TestPreparedIsCompressedOnce(t *testing.T) {
	noise := make([]byte, 300_000)
	rand.NewChaCha8([32]byte{}).Read(noise)
	all := [][]byte{payload(200), payload(100_000), payload(600_000), noise[:1000], noise[:100_000], noise[:128<<10], noise}
	var ps []*conn.Prepared
	for _, data := range all {
		ps = append(ps, prepare(t, conn.Binary, data))
	}
	for _, agreed := range agreements {
		for by, write := range map[string]func(*conn.Conn, *conn.Prepared) error{
			"WritePrepared": func(c *conn.Conn, p *conn.Prepared) error { return c.WritePrepared(soon(t), p) },
			"TryWrite": func(c *conn.Conn, p *conn.Prepared) error {
				if n, err := c.TryWrite(p); n != 1 || err != nil {
					return fmt.Errorf("accepted %d, %w", n, err)
				}
				return c.Flush(soon(t))
			},
		} {
			var first []string
			for round := range 2 {
				c, p := mode{stream: overTCP}.raw(t, conn.Config{Compression: agreed, WriteQueue: 1 << 20})
				i := inflater{takeover: !agreed.ServerNoContextTakeover}
				sent := start(func() (err error) {
					for _, prep := range ps {
						err = errors.Join(err, c.Write(soon(t), conn.Text, payload(1000+round)), write(c, prep),
							c.WriteMessage(soon(t), conn.Message{Type: conn.Text, Data: payload(500), NoCompress: true}))
					}
					return err
				})
				for k, want := range all {
					if z, _ := p.compressedMessage(t); i.message(t, z) != string(payload(1000+round)) {
						t.Fatalf("%s: before message %d comes something else", by, k)
					}
					z, compressed := p.compressedMessage(t)
					if round == 0 {
						first = append(first, z)
					}
					if !compressed || z != first[k] || i.message(t, z) != string(want) {
						t.Fatalf("%s of %d bytes, round %d: compressed %v, %d bytes on the wire", by, len(want), round, compressed, len(z))
					}
					if plain, compressed := p.compressedMessage(t); compressed || plain != string(payload(500)) {
						t.Fatalf("%s: behind message %d comes something else", by, k)
					}
				}
				if err := result(t, sent); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// TryWrite accepts whole messages up to what the queue takes, never blocks, and says how many.
func TestTryWrite(t *testing.T) {
	for _, client := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, p := mode{client: client, stream: small(1000)}.raw(t, conn.Config{WriteQueue: 5000})
			some := make([]*conn.Prepared, 100)
			for i := range some {
				some[i] = prepare(t, conn.Text, payload(490))
			}
			n, err := c.TryWrite(some...)
			if want := 5000 / 500; n < want-1 || n > want || err != nil {
				t.Errorf("accepted %d, %v", n, err)
			}
			synctest.Wait() // all of that is being sent
			m, err := c.TryWrite(some...)
			if want := 5000 / 500; m < want-1 || m > want || err != nil {
				t.Errorf("accepted %d, %v", m, err)
			}
			if k, err := c.TryWrite(some...); k != 0 || err != nil {
				t.Errorf("accepted %d into a full queue, %v", k, err)
			}
			for range n + m {
				p.want(fin|text, string(payload(490)))
			}
			synctest.Wait()
			if k, err := c.TryWrite(prepare(t, conn.Text, payload(100_000))); k != 1 || err != nil {
				t.Errorf("an empty queue takes a message of any size: %d, %v", k, err)
			}
			w := start(func() error {
				w, err := c.Writer(t.Context(), conn.Text)
				if err == nil {
					if k, err := c.TryWrite(some[0]); k != 0 || err != nil {
						t.Errorf("in the middle of a message: %d, %v", k, err)
					}
					err = w.Close()
				}
				return err
			})
			p.want(fin|text, string(payload(100_000)))
			if err := result(t, w); err != nil {
				t.Error(err)
			}
			p.want(fin|text, "")
			c.CloseNow()
			if k, err := c.TryWrite(some...); k != 0 || !errors.Is(err, net.ErrClosed) {
				t.Errorf("after the end: %d, %v", k, err)
			}
		})
	}
}
