package ws_test

import (
	"bufio"
	"context"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
)

type echoEvents struct{ closed chan error }

func (e echoEvents) Message(ctx context.Context, c *ws.Conn, m ws.Message) error {
	return c.Write(ctx, m.Type, m.Data)
}

func (e echoEvents) Closed(c *ws.Conn, cause error) { e.closed <- cause }

func rawDial(t testing.TB, addr string) *conn.Conn {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	nc.Write([]byte("GET / HTTP/1.1\r\nHost: " + addr + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
	br := bufio.NewReader(nc)
	for {
		l, err := br.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if l == "\r\n" {
			break
		}
	}
	return conn.New(conn.NetTransport(nc), conn.Config{Client: true})
}

func TestEvents(t *testing.T) {
	e := echoEvents{make(chan error, 1)}
	h := &ws.Handler{Events: e}
	srv := httptest.NewServer(h)
	defer srv.Close()
	c := rawDial(t, srv.Listener.Addr().String())
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, n := range []int{0, 1, 1000, 100000, 500000} {
		p := make([]byte, n)
		if err := c.Write(ctx, ws.Binary, p); err != nil {
			t.Fatal(err)
		}
		_, got, err := c.Read(ctx)
		if err != nil || len(got) != n {
			t.Fatal(n, len(got), err)
		}
	}
	if err := c.Close(ctx, 1000, ""); err != nil {
		t.Fatal(err)
	}
	t.Log(<-e.closed)
}
