package conn_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tidewire/ws/conn"
)

// TestWriteHearsLastWord has the peer say why it goes, and go, while nobody reads: a write that fails then says what the peer has said.
func TestWriteHearsLastWord(t *testing.T) {
	prepared, err := conn.NewPrepared(conn.Message{Type: conn.Text, Data: []byte("hello")})
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(ctx context.Context, c *conn.Conn) error{
		"Write":    func(ctx context.Context, c *conn.Conn) error { return c.Write(ctx, conn.Text, []byte("hello")) },
		"TryWrite": func(_ context.Context, c *conn.Conn) error { _, err := c.TryWrite(prepared); return err },
		"Writer": func(ctx context.Context, c *conn.Conn) error {
			w, err := c.Writer(ctx, conn.Text)
			if err != nil {
				return err
			}
			return w.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range []stream{overTCP, overOwn, overUnix} {
				runOver(t, s, func(t *testing.T, m mode) {
					c, peer := m.raw(t, conn.Config{})
					peer.send(fin|text, "a message that nobody has read")
					peer.send(fin|closes, closing(conn.StatusServiceRestart, "back soon"))
					peer.nc.Close()
					ctx := soon(t)
					var err error
					for err == nil { // the kernel takes something before it learns that the peer is gone
						err = write(ctx, c)
						select {
						case <-ctx.Done():
							t.Fatal("writes go on for ever")
						case <-time.After(time.Millisecond):
						}
					}
					var ce *conn.CloseError
					if !errors.As(err, &ce) || ce.Code != conn.StatusServiceRestart || ce.Reason != "back soon" {
						t.Errorf("got %v", err)
					}
				})
			}
		})
	}
}
