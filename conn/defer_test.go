package conn_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/conn"
)

// counting counts the writes of a stream.
type counting struct {
	net.Conn
	writes *atomic.Int64
}

func (c counting) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// counted is a stream in memory whose first end's writes are counted.
func counted() (stream, *atomic.Int64) {
	writes := new(atomic.Int64)
	return stream{name: "memory", ends: func(t testing.TB) (a, b net.Conn) {
		a, b = overMemory.ends(t)
		return counting{a, writes}, b
	}}, writes
}

// request is one of many messages. It is longer than what a stream is waited on with.
func request(i int) string { return fmt.Sprintf("request %020d", i) }

// requests are n of them in one piece.
func requests(p *rawPeer, n int) (b []byte) {
	for i := range n {
		b = append(b, p.frame(fin|text, request(i))...)
	}
	return b
}

// echo answers every message until the connection ends.
func echo(ctx context.Context, c *conn.Conn) error {
	for m, err := range c.Messages(ctx) {
		if err == nil {
			err = c.Write(ctx, m.Type, m.Data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// While requests wait in the buffer, replies wait for each other: many requests in one piece are answered in one. With
// NoDeferral each is answered by itself. Every call that has to send what waits does so.
func TestDeferral(t *testing.T) {
	const n = 100
	for _, client := range []bool{false, true} {
		for _, never := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				s, writes := counted()
				c, p := mode{client: client, stream: s}.raw(t, conn.Config{NoDeferral: never})
				p.write(requests(p, n))
				echoed := start(func() error { return echo(t.Context(), c) })
				synctest.Wait() // and no time has passed
				for i := range n {
					p.want(fin|text, request(i))
				}
				if got := writes.Load(); never && got != n || !never && got > 2 {
					t.Errorf("NoDeferral %v: %d writes for %d replies", never, got, n)
				}
				c.CloseNow()
				if err := result(t, echoed); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// The same with system calls. (More than one, because a read gets what its buffer holds.)
func TestDeferralOnSockets(t *testing.T) {
	const n = 200
	for _, s := range []stream{overTCP, overOwn, overUnix} {
		runOver(t, s, func(t *testing.T, m mode) {
			c, p := m.raw(t, conn.Config{})
			p.write(requests(p, n))
			before := systemWrites(t)
			echoed := start(func() error { return echo(context.Background(), c) })
			for i := range n {
				p.want(fin|text, request(i))
			}
			if got := systemWrites(t) - before; got > n/10 {
				t.Errorf("%d writes for %d replies", got, n)
			}
			c.CloseNow()
			if err := result(t, echoed); err != nil {
				t.Error(err)
			}
		})
	}
}

// systemWrites is how many writes this process has asked the kernel for.
func systemWrites(t *testing.T) (n int) {
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip(err)
	}
	_, rest, _ := strings.Cut(string(b), "syscw: ")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A reply that waits for the next one goes out although the handler never writes or reads again, or blocks, or closes.
func TestDeferredReplyGoesOut(t *testing.T) {
	for name, then := range map[string]func(c *conn.Conn){
		"nothing": func(c *conn.Conn) { time.Sleep(time.Second) },
		"Flush": func(c *conn.Conn) {
			if took := elapsed(func() { c.Flush(context.Background()) }); took != 0 {
				panic(took)
			}
		},
		"Close": func(c *conn.Conn) { c.Close(context.Background(), 1000, "") },
	} {
		synctest.Test(t, func(t *testing.T) {
			c, p := mode{stream: overMemory}.raw(t, conn.Config{})
			p.write(requests(p, 3))
			if _, _, err := c.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.send(fin|closes, closing(1000, ""))
			handled := start(func() bool {
				for _, reply := range []string{"one", "two"} {
					if err := c.Write(t.Context(), conn.Text, []byte(reply)); err != nil {
						t.Error(err)
					}
				}
				then(c)
				return true
			})
			if took := elapsed(func() { p.want(fin|text, "one") }); took > time.Millisecond {
				t.Errorf("%s: the reply came after %v", name, took)
			}
			p.want(fin|text, "two")
			<-handled
		})
	}
}

// While one writer is held up, what the others have to say is collected, and goes out together.
func TestWritersCombine(t *testing.T) {
	for _, client := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			writes := new(atomic.Int64)
			m := mode{client: client, stream: stream{name: "memory", ends: func(t testing.TB) (a, b net.Conn) {
				a, b = small(1000).ends(t)
				return counting{a, writes}, b
			}}}
			c, p := m.raw(t, conn.Config{})
			first := start(func() error { return c.Write(t.Context(), conn.Text, payload(5000)) })
			synctest.Wait()
			const n = 50
			for i := range n {
				if err := c.Write(t.Context(), conn.Text, fmt.Append(nil, i)); err != nil {
					t.Fatal(err)
				}
			}
			p.want(fin|text, string(payload(5000)))
			for i := range n {
				p.want(fin|text, fmt.Sprint(i))
			}
			if err := result(t, first); err != nil || writes.Load() != 2 {
				t.Errorf("%d writes, %v", writes.Load(), err)
			}
		})
	}
}

// A message's header and payload go out together, whatever its size and whoever writes it, up to 64 KiB.
func TestOneWriteAMessage(t *testing.T) {
	for name, write := range writers {
		for _, n := range []int{0, 125, 126, 10_000} {
			s, writes := counted()
			c, p := mode{stream: s}.raw(t, conn.Config{})
			if err := write(t.Context(), c, conn.Message{Type: conn.Binary, Data: payload(n)}); err != nil {
				t.Fatal(err)
			}
			p.want(fin|binry, string(payload(n)))
			if got := writes.Load(); got != 1 {
				t.Errorf("%s of %d: %d writes", name, n, got)
			}
		}
	}
	for _, s := range []stream{overTCP, overOwn, overUnix} {
		for name, write := range writers {
			for _, n := range []int{0, 125, 126, 10_000, 64<<10 - 14, 100_000} {
				if name == "Writer" && n > 60_000 {
					continue
				}
				c, p := mode{stream: s}.raw(t, conn.Config{})
				before := systemWrites(t)
				if err := write(t.Context(), c, conn.Message{Type: conn.Binary, Data: payload(n)}); err != nil {
					t.Fatal(err)
				}
				if got := systemWrites(t) - before; got > 2 { // the runtime may have one of its own
					t.Errorf("%s of %d over %s: %d writes", name, n, s.name, got)
				}
				if op, got := p.message(); op != binry || len(got) != n {
					t.Errorf("%s of %d: %d", name, n, len(got))
				}
			}
		}
	}
}
