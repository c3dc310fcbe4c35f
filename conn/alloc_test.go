package conn_test

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/tidewire/ws/conn"
)

// allocsPerRun is testing.AllocsPerRun without the collector, which would empty the pools in the middle of it.
func allocsPerRun(runs int, f func()) float64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for range 3 {
		f() // AllocsPerRun warms up once, but there are several pools
	}
	return testing.AllocsPerRun(runs, f)
}

// contexts are those with which calls must not allocate: none that can end, the connection's own, and any other that is used
// again.
func contexts(t *testing.T, c *conn.Conn) map[string]context.Context {
	again, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return map[string]context.Context{"background": context.Background(), "own": c.Context(), "again": again}
}

// Once warm, no message up to 64 KiB costs an allocation, in either direction. (TLS has its own.)
func TestNoAllocations(t *testing.T) {
	if race {
		t.Skip("the race detector empties pools")
	}
	for _, s := range []stream{overTCP, overOwn, overUnix, small(1 << 20)} {
		runOver(t, s, func(t *testing.T, m mode) {
			for _, n := range []int{10, 1000, 20_000, 64 << 10} {
				c, p := m.raw(t, conn.Config{ControlRate: -1})
				for name, ctx := range contexts(t, c) {
					what := fmt.Sprintf("%d bytes, context %s", n, name)
					checkNoAllocations(t, what, ctx, c, p, n, s.name == overTCP.name || s.name == overUnix.name)
				}
			}
		})
	}
}

func checkNoAllocations(t *testing.T, what string, ctx context.Context, c *conn.Conn, p *rawPeer, n int, socket bool) {
	frame, pinging := p.frame(fin|binry, string(payload(n))), p.frame(fin|ping, "12345678")
	data, buf, drain := payload(n), make([]byte, 0, n), drainer(t, p)
	prepared, err := conn.NewPrepared(conn.Message{Type: conn.Binary, Data: data})
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	check(err)
	send := func(b []byte) {
		_, err := p.nc.Write(b)
		check(err)
	}
	read := func() {
		_, b, err := c.AppendRead(ctx, buf[:0])
		if check(err); len(b) != n {
			t.Fatal(len(b))
		}
	}
	pingCost := 1.0 // the goroutine that sends the pong
	if socket {
		pingCost = 0
	}
	for _, a := range []struct {
		name string
		most float64
		f    func()
	}{
		{"Write", 0, func() { check(c.Write(ctx, conn.Binary, data)); drain(n) }},
		{"WritePrepared", 0, func() { check(c.WritePrepared(ctx, prepared)); drain(n) }},
		{"AppendRead", 0, func() { send(frame); read() }},
		{"AppendRead, with a ping", pingCost, func() { send(pinging); send(frame); read(); drain(8) }},
	} {
		if got := allocsPerRun(50, a.f); got > a.most {
			t.Errorf("%s, %s: %v allocations", a.name, what, got)
		}
	}
	if got := messagesAllocs(t, c, ctx, n, func() { send(frame) }); got >= 0.5 {
		t.Errorf("a step of Messages, %s: %v allocations", what, got)
	}
}

// drainer returns a function that reads the next frame, with n bytes of payload, and allocates nothing.
func drainer(t *testing.T, p *rawPeer) func(n int) {
	trash := make([]byte, 128<<10)
	return func(n int) {
		size := n + 2
		switch {
		case n > 65535:
			size += 8
		case n > 125:
			size += 2
		}
		if !p.client {
			size += 4
		}
		for size > 0 {
			k, err := p.nc.Read(trash[:min(size, len(trash))])
			if size -= k; err != nil {
				t.Fatal(err)
			}
		}
	}
}

// messagesAllocs is allocsPerRun for the steps of one loop.
func messagesAllocs(t *testing.T, c *conn.Conn, ctx context.Context, n int, send func()) float64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	const warm, runs = 5, 50
	var before, after runtime.MemStats
	steps := 0
	send()
	for m, err := range c.Messages(ctx) {
		if len(m.Data) != n || err != nil {
			t.Fatal(len(m.Data), err)
		}
		switch steps++; steps {
		case warm:
			runtime.ReadMemStats(&before)
		case warm + runs:
			runtime.ReadMemStats(&after)
			return float64(after.Mallocs-before.Mallocs) / runs
		}
		send()
	}
	t.Fatal("the loop ended")
	return 0
}

// Memory grows with what has arrived, never with a length that was announced.
func TestAnnouncedLengthTakesNoMemory(t *testing.T) {
	payload(0) // what it takes is not counted
	run(t, func(t *testing.T, m mode) {
		for name, read := range readers {
			for _, arrived := range []int{0, 1, 100_000} {
				c, p := m.raw(t, conn.Config{ReadLimit: -1})
				ctx, cancel := context.WithCancel(t.Context())
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				given := start(func() error { _, _, err := read(ctx, c); return err })
				p.write(append(p.header(fin|binry, 1<<40), payload(arrived)...))
				for p.send(fin|binry, ""); c.Stats().In.Bytes < int64(arrived); runtime.Gosched() {
				}
				cancel()
				if err := result(t, given); err == nil {
					t.Error("read a message that isn't there")
				}
				runtime.ReadMemStats(&after)
				if got := after.TotalAlloc - before.TotalAlloc; got > uint64(1<<20+10*arrived) {
					t.Errorf("%s: %d bytes allocated for %d that arrived", name, got, arrived)
				}
				c.CloseNow()
			}
		}
	})
}

// A connection that waits holds next to nothing, also after it was used.
func TestWaitingConnectionIsSmall(t *testing.T) {
	if race {
		t.Skip("the race detector takes memory of its own")
	}
	const n, most = 200, 2048 // bytes a connection
	var k conn.Keeper
	conns := make([]*conn.Conn, n)
	peers := make([]*rawPeer, n)
	for i := range n {
		conns[i], peers[i] = mode{stream: overTCP}.raw(t, conn.Config{Keeper: &k})
	}
	before := heap()
	for i, c := range conns {
		for range 2 {
			peers[i].send(fin|text, string(payload(100)))
			if _, _, err := c.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		go c.Read(context.Background())
		for !c.Listening() {
			runtime.Gosched()
		}
	}
	if grown := int64(heap()) - int64(before); grown > n*most {
		t.Errorf("%d bytes a waiting connection", grown/n)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // empties the pools
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// Every handler's return closes the connection, which most of the time is over and gone by then.
func TestCloseAgainAllocations(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, _ := m.raw(t, conn.Config{})
		c.CloseNow()
		n := testing.AllocsPerRun(100, func() {
			if err := c.Close(context.Background(), conn.StatusNormal, ""); err != nil {
				t.Error(err)
			}
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
