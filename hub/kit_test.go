package hub_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/wstest"
)

// peer is a connection as the hub has it, and the client at its other end.
type peer struct {
	*ws.Conn
	t      testing.TB
	client *ws.Conn
	writes *atomic.Int64 // of the hub's side
}

// setup is how a peer is connected.
type setup struct {
	principal string
	buffer    int // of the stream, each way; 0: 64 KiB
	queue     int // ws.Options.WriteQueue
	codec     codec.Codec
}

type principalKey struct{}

func principalOf(ctx context.Context) string {
	p, _ := ctx.Value(principalKey{}).(string)
	return p
}

func connect(t testing.TB, s setup) peer {
	if s.buffer == 0 {
		s.buffer = 64 << 10
	}
	a, b := wstest.PipeSize(s.buffer)
	counted := &countingConn{Conn: a}
	quiet := conn.Config{PingInterval: -1, PongTimeout: -1, IdleTimeout: -1, MessageTimeout: -1, WriteTimeout: -1}
	server, client := quiet, quiet
	server.Parent = context.WithValue(context.Background(), principalKey{}, s.principal)
	server.WriteQueue, server.Codec = s.queue, s.codec
	client.Client, client.ReadLimit = true, -1
	p := peer{conn.New(conn.NetTransport(counted), server), t, conn.New(conn.NetTransport(b), client), &counted.writes}
	p.CloseRead(context.Background())
	t.Cleanup(p.close)
	return p
}

func (p peer) close() {
	_ = p.client.CloseNow()
	_ = p.CloseNow()
}

type countingConn struct {
	net.Conn
	writes atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// gets reads messages, which have to be these.
func (p peer) gets(want ...string) {
	p.t.Helper()
	for _, w := range want {
		if got := p.next(); got != w {
			p.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

func (p peer) next() string {
	p.t.Helper()
	_, b, err := p.client.Read(context.Background())
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	return string(b)
}

// all reads messages up to one that begins with "end".
func (p peer) all() (got []string) {
	p.t.Helper()
	for {
		m := p.next()
		if strings.HasPrefix(m, "end") {
			return got
		}
		got = append(got, m)
	}
}

func text(format string, args ...any) hub.Message {
	return hub.Message{Type: ws.Text, Data: fmt.Appendf(nil, format, args...)}
}

func join(t testing.TB, h *hub.Hub, room string, ps ...peer) {
	t.Helper()
	for _, p := range ps {
		if _, err := h.Join(context.Background(), p.Conn, room, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func publish(t testing.TB, h *hub.Hub, room string, ms ...hub.Message) hub.Position {
	t.Helper()
	pos, err := h.Publish(context.Background(), room, ms...)
	if err != nil {
		t.Fatal(err)
	}
	return pos
}
