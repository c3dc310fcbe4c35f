package conn_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/tidewire/ws/conn"
)

// Everything may be called at any time by anybody: nothing panics or hangs, and what fails says that its context is over, that
// the connection is, or that a Reader is not read to its end.
func TestEverythingAtOnce(t *testing.T) {
	prepared, err := conn.NewPrepared(conn.Message{Type: conn.Text, Data: payload(200)})
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(ctx context.Context, c *conn.Conn) error{
		"Read":       func(ctx context.Context, c *conn.Conn) error { _, _, err := c.Read(ctx); return err },
		"AppendRead": func(ctx context.Context, c *conn.Conn) error { _, _, err := c.AppendRead(ctx, nil); return err },
		"Messages": func(ctx context.Context, c *conn.Conn) error {
			for _, err := range c.Messages(ctx) {
				return err
			}
			return nil
		},
		"Reader": func(ctx context.Context, c *conn.Conn) error {
			_, r, err := c.Reader(ctx)
			if err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			return err
		},
		"Reader, abandoned": func(ctx context.Context, c *conn.Conn) error { _, _, err := c.Reader(ctx); return err },
		"Write":             func(ctx context.Context, c *conn.Conn) error { return c.Write(ctx, conn.Text, payload(100)) },
		"Write, long":       func(ctx context.Context, c *conn.Conn) error { return c.Write(ctx, conn.Binary, payload(200_000)) },
		"WritePrepared":     func(ctx context.Context, c *conn.Conn) error { return c.WritePrepared(ctx, prepared, prepared) },
		"TryWrite":          func(_ context.Context, c *conn.Conn) error { _, err := c.TryWrite(prepared, prepared); return err },
		"Flush":             func(ctx context.Context, c *conn.Conn) error { return c.Flush(ctx) },
		"Ping":              func(ctx context.Context, c *conn.Conn) error { return c.Ping(ctx) },
		"OnWritable":        func(_ context.Context, c *conn.Conn) error { c.OnWritable(func() {}); return nil },
		"figures and limits": func(_ context.Context, c *conn.Conn) error {
			c.Stats()
			c.SetReadLimit(1 << 20)
			c.Context()
			return nil
		},
		"NetConn": func(ctx context.Context, c *conn.Conn) error {
			nc := c.NetConn(context.Background(), conn.Text)
			_ = nc.SetDeadline(time.Now().Add(time.Millisecond))
			_, err := nc.Write(payload(10))
			return err
		},
	}
	ends := map[string]func(ctx context.Context, c *conn.Conn) error{
		"Close":      func(ctx context.Context, c *conn.Conn) error { _ = c.Close(ctx, 1000, ""); return nil },
		"CloseNow":   func(_ context.Context, c *conn.Conn) error { return c.CloseNow() },
		"CloseCause": func(_ context.Context, c *conn.Conn) error { c.CloseCause(4000, "", conn.ErrShutdown); return nil },
		"CloseRead":  func(ctx context.Context, c *conn.Conn) error { c.CloseRead(ctx); return nil },
	}
	runAll(t, func(t *testing.T, m mode) {
		for name, end := range ends {
			cfg := conn.Config{ControlRate: -1, CloseTimeout: time.Second}
			c, peer := m.pair(t, cfg, cfg)
			var wg sync.WaitGroup
			for _, side := range []*conn.Conn{c, peer} {
				for called, call := range calls {
					wg.Go(func() {
						for range 20 {
							ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
							err := call(ctx, side)
							cancel()
							var late interface{ Timeout() bool }
							if err != nil && !errors.Is(err, net.ErrClosed) && err != conn.ErrUnfinished && !(errors.As(err, &late) && late.Timeout()) &&
								err.Error() != "ws: read: the connection is only written to (CloseRead)" && err.Error() != "ws: read: the message is over" {
								t.Errorf("%s: %v", called, err)
							}
						}
					})
				}
			}
			wg.Go(func() {
				<-time.After(5 * time.Millisecond)
				if err := end(soon(t), c); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
			result(t, start(func() bool { wg.Wait(); return true }))
			if err := c.CloseNow(); err != nil {
				t.Error(err)
			}
		}
	})
}
