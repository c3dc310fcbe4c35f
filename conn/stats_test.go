package conn_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/tidewire/ws/conn"
)

// TestStats sends messages in every way and receives them in every way.
func TestStats(t *testing.T) {
	runAll(t, func(t *testing.T, m mode) {
		c, peer := m.pair(t, conn.Config{}, conn.Config{})
		ctx := soon(t)
		sizes := []int{0, 5, 125, 70_000, 300_000, 1000}
		var want conn.Traffic
		sent := start(func() error {
			for i, n := range sizes {
				if err := sendStat(ctx, c, i, []byte(strings.Repeat("a", n))); err != nil {
					return err
				}
			}
			return nil
		})
		for i, n := range sizes {
			if got := receiveStat(ctx, t, peer, i); got != n {
				t.Fatalf("message %d has %d bytes, want %d", i, got, n)
			}
			want.Messages++
			want.Bytes += int64(n)
			if s := peer.Stats(); s.In != want || s.Out != (conn.Traffic{}) {
				t.Errorf("after %d messages: %+v, want in %+v", i+1, s, want)
			}
		}
		if err := result(t, sent); err != nil {
			t.Fatal(err)
		}
		if err := c.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if s := c.Stats(); s.Out != want || s.In != (conn.Traffic{}) || s.Queued != 0 {
			t.Errorf("sender: %+v, want out %+v", s, want)
		}
	})
}

func sendStat(ctx context.Context, c *conn.Conn, i int, p []byte) error {
	prepared, err := conn.NewPrepared(conn.Message{Type: conn.Text, Data: p})
	if err != nil {
		return err
	}
	switch i % 3 {
	case 0:
		return c.Write(ctx, conn.Text, p)
	case 1:
		return c.WritePrepared(ctx, prepared)
	}
	w, err := c.Writer(ctx, conn.Text)
	if err == nil {
		_, err = w.Write(p)
	}
	if err == nil {
		err = w.Close()
	}
	return err
}

func receiveStat(ctx context.Context, t *testing.T, c *conn.Conn, i int) int {
	t.Helper()
	if i%2 == 0 {
		_, p, err := c.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return len(p)
	}
	_, r, err := c.Reader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	p, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return len(p)
}

// TestStatsWhileWaiting checks that what a waiting read has taken is known.
func TestStatsWhileWaiting(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, peer := m.raw(t, conn.Config{})
		ctx, cancel := context.WithCancel(soon(t))
		got := make(chan int, 10)
		ended := start(func() error {
			for m, err := range c.Messages(ctx) {
				if err != nil {
					return err
				}
				got <- len(m.Data)
			}
			return nil
		})
		peer.write(append(peer.frame(fin|text, "one"), peer.frame(fin|text, "three")...))
		<-got
		<-got
		peer.send(fin|ping, "")
		peer.want(fin|pong, "") // the reader has been behind both messages since
		cancel()
		result(t, ended)
		if s := c.Stats(); s.In != (conn.Traffic{Messages: 2, Bytes: 8}) {
			t.Errorf("got %+v", s)
		}
	})
}

// TestStatsAtTheEnd asks at the very moment of the connection's end, while the read that has seen it is under way.
func TestStatsAtTheEnd(t *testing.T) {
	for _, end := range []struct {
		name  string
		frame func(p *rawPeer) []byte
	}{
		{"closed", func(p *rawPeer) []byte { return p.frame(fin|closes, "") }},
		{"violated", func(p *rawPeer) []byte { return p.frame(fin|rsv1|text, "") }},
	} {
		t.Run(end.name, func(t *testing.T) {
			run(t, func(t *testing.T, m mode) {
				c, peer := m.raw(t, conn.Config{})
				stats := make(chan conn.Stats, 1)
				context.AfterFunc(c.Context(), func() { stats <- c.Stats() })
				peer.write(append(peer.frame(fin|text, "hello"), end.frame(peer)...))
				for range c.Messages(soon(t)) {
				}
				if s := result(t, stats); s.In != (conn.Traffic{Messages: 1, Bytes: 5}) {
					t.Errorf("got %+v", s)
				}
			})
		})
	}
}

func TestStatsQueued(t *testing.T) {
	runOver(t, overTCP, func(t *testing.T, m mode) {
		c, peer := m.raw(t, conn.Config{WriteQueue: 1 << 20})
		prepared, err := conn.NewPrepared(conn.Message{Type: conn.Binary, Data: make([]byte, 64<<10)})
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 { // more than the kernel takes
			n, err := c.TryWrite(prepared)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
		}
		if s := c.Stats(); s.Queued < 512<<10 || s.Queued > 64<<20 {
			t.Errorf("queued %d", s.Queued)
		}
		peer.nc.Close()
	})
}
