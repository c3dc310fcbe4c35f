package conn_test

import (
	"bytes"
	"errors"
	"net"
	"testing"

	"github.com/tidewire/ws/conn"
)

// A message of exactly the limit is read, by every way; one of a byte more ends the connection, and the peer is told.
func TestReadLimit(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for by, read := range readers {
			for _, c := range []struct{ option, set, limit int }{{0, 0, 1 << 20}, {100, 0, 100}, {-1, 100, 100}, {20_000, 0, 20_000}} {
				if c.option == 0 && race && by != "Read" {
					continue
				}
				cn, p := m.raw(t, conn.Config{ReadLimit: int64(c.option)})
				if c.set != 0 {
					cn.SetReadLimit(int64(c.set))
				}
				half := c.limit / 2
				sent := start(func() error {
					_, err := p.nc.Write(bytes.Join([][]byte{p.frame(fin|binry, string(payload(c.limit))),
						p.frame(binry, string(payload(half))), p.frame(fin|cont, string(payload(c.limit-half))),
						p.frame(binry, string(payload(half))), p.header(fin|cont, uint64(c.limit-half+1))}, nil))
					return err
				})
				for range 2 {
					if _, b, err := read(soon(t), cn); len(b) != c.limit || err != nil {
						t.Fatalf("%s, limit %d: %d bytes, %v", by, c.limit, len(b), err)
					}
				}
				if _, _, err := read(soon(t), cn); err != conn.ErrReadLimit {
					t.Errorf("%s, limit %d: %v", by, c.limit, err)
				}
				if err := result(t, sent); err != nil {
					t.Error(err)
				}
				checkOver(t, cn, conn.ErrReadLimit)
				p.wantClosed(conn.StatusTooBig)
			}
		}
	})
}

func TestNoReadLimit(t *testing.T) {
	c, peer := mode{stream: overTCP}.pair(t, conn.Config{ReadLimit: 10}, conn.Config{})
	for _, n := range []int64{0, -1} {
		c.SetReadLimit(n)
		sent := start(func() error { return peer.Write(soon(t), conn.Binary, payload(3<<20)) })
		if _, b, err := c.Read(soon(t)); len(b) != 3<<20 || err != nil {
			t.Errorf("SetReadLimit(%d): %d bytes, %v", n, len(b), err)
		}
		if err := result(t, sent); err != nil {
			t.Error(err)
		}
	}
}

// The limit is also on what a message inflates to: a bomb ends the connection before it has unpacked.
func TestReadLimitDeflated(t *testing.T) {
	for _, client := range []bool{false, true} {
		for by, read := range readers {
			m := mode{client: client, stream: overTCP, deflate: true}
			for _, n := range []int{1000, 300_000} {
				c, peer := m.pair(t, conn.Config{ReadLimit: 1000}, conn.Config{})
				sent := start(func() error {
					return errors.Join(peer.Write(soon(t), conn.Text, bytes.Repeat([]byte("a"), 1000)),
						peer.Write(soon(t), conn.Text, bytes.Repeat([]byte("a"), n+1)))
				})
				if _, b, err := read(soon(t), c); len(b) != 1000 || err != nil {
					t.Fatalf("%s: %d bytes, %v", by, len(b), err)
				}
				if _, _, err := read(soon(t), c); err != conn.ErrReadLimit {
					t.Errorf("%s: %v", by, err)
				}
				if err := result(t, sent); err != nil {
					t.Error(err)
				}
				if _, _, err := peer.Read(soon(t)); closeError(t, err).Code != conn.StatusTooBig {
					t.Errorf("%s: the peer was told %v", by, err)
				}
			}
		}
	}
}

// As many fragments as allowed are a message; one more is not.
func TestMaxFragments(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for _, c := range []struct{ option, most int }{{0, 10_000}, {1, 1}, {10, 10}} {
			cn, p := m.raw(t, conn.Config{MaxFragments: c.option})
			fragments := func(n int) (b []byte) {
				for i := range n {
					b0 := byte(cont)
					if i == 0 {
						b0 = text
					}
					if i == n-1 {
						b0 |= fin
					}
					b = append(b, p.frame(b0, "x")...)
				}
				return b
			}
			sent := start(func() error { _, err := p.nc.Write(append(fragments(c.most), fragments(c.most+1)...)); return err })
			if _, b, err := cn.Read(soon(t)); len(b) != c.most || err != nil {
				t.Errorf("%d: %d bytes, %v", c.most, len(b), err)
			}
			if _, _, err := cn.Read(soon(t)); err != conn.ErrFragments {
				t.Errorf("%d: %v", c.most, err)
			}
			<-sent
			p.wantClosed(conn.StatusPolicyViolation)
		}
		cn, p := m.raw(t, conn.Config{MaxFragments: -1})
		sent := start(func() error {
			b := p.frame(text, "")
			for range 20_000 {
				b = append(b, p.frame(cont, "")...)
			}
			_, err := p.nc.Write(append(b, p.frame(fin|cont, "end")...))
			return err
		})
		if _, b, err := cn.Read(soon(t)); string(b) != "end" || err != nil {
			t.Errorf("no limit: %q, %v", b, err)
		}
		if err := result(t, sent); err != nil {
			t.Error(err)
		}
	})
}

// What Config says is what the getters return.
func TestGetters(t *testing.T) {
	local, remote := &net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2}
	agreed := conn.Compression{ServerMaxWindowBits: 10, ClientMaxWindowBits: 11, ClientNoContextTakeover: true}
	c, _ := mode{stream: overMemory}.raw(t, conn.Config{Subprotocol: "chat", LocalAddr: local, RemoteAddr: remote, Compression: agreed})
	if c.Subprotocol() != "chat" || c.LocalAddr() != local || c.RemoteAddr() != remote || c.Compression() != agreed {
		t.Errorf("%q %v %v %+v", c.Subprotocol(), c.LocalAddr(), c.RemoteAddr(), c.Compression())
	}
	if name := c.Codec().Name(); name != "json" {
		t.Errorf("codec %q", name)
	}
	run(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{})
		if c.Compression().Enabled() || c.LocalAddr().String() != p.nc.RemoteAddr().String() || c.RemoteAddr().String() != p.nc.LocalAddr().String() {
			t.Errorf("%+v %v %v", c.Compression(), c.LocalAddr(), c.RemoteAddr())
		}
	})
	if c := conn.New(bare{}, conn.Config{}); c.LocalAddr() != nil || c.RemoteAddr() != nil {
		t.Errorf("%v %v", c.LocalAddr(), c.RemoteAddr())
	} else {
		c.CloseNow()
	}
}

// bare is a transport without addresses, which ends at once.
type bare struct{ conn.Transport }

func (bare) Close() error { return nil }
