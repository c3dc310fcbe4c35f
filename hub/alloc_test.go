//go:build !race

package hub_test

import (
	"context"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/hub"
)

// sinks returns connections over TCP whose peers read and drop everything.
func sinks(t testing.TB, n int) []*ws.Conn {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	all := make([]*ws.Conn, n)
	for i := range all {
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		go io.Copy(io.Discard, client)
		c := conn.New(conn.NetTransport(server), conn.Config{PingInterval: -1, IdleTimeout: -1, WriteTimeout: -1, MessageTimeout: -1, PongTimeout: -1})
		all[i] = c
		t.Cleanup(func() {
			c.CloseNow()
			client.Close()
		})
	}
	return all
}

// Publishing allocates as much for a hundred members as for one.
func TestPublishAllocs(t *testing.T) {
	ctx := context.Background()
	for _, n := range []int{1, 100} {
		h := hub.New(nil)
		for _, c := range sinks(t, n) {
			if _, err := h.Join(ctx, c, "red", nil); err != nil {
				t.Fatal(err)
			}
		}
		m := text("hello")
		got := testing.AllocsPerRun(100, func() { h.Publish(ctx, "red", m) })
		if got > 12 {
			t.Errorf("%v allocations for %d members", got, n)
		}
		t.Logf("%v allocations for %d members", got, n)
	}
}

// What arrives from another node is taken apart and framed once for all members.
func TestArrivalAllocs(t *testing.T) {
	ctx := context.Background()
	for _, n := range []int{1, 100} {
		net := hub.NewMemory()
		var hubs []*hub.Hub
		for range 2 {
			h := hub.New(&hub.Options{Broker: net.Connect(), Heartbeat: time.Hour})
			if err := h.Start(ctx); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = h.Close(ctx) })
			hubs = append(hubs, h)
		}
		for _, c := range sinks(t, n) {
			if _, err := hubs[1].Join(ctx, c, "red", nil); err != nil {
				t.Fatal(err)
			}
		}
		m := text("hello")
		got := testing.AllocsPerRun(100, func() {
			goal := hubs[1].Stats().Sent + uint64(n)
			hubs[0].Publish(ctx, "red", m)
			for hubs[1].Stats().Sent < goal {
				runtime.Gosched()
			}
		})
		if got > 30 {
			t.Errorf("%v allocations for %d members", got, n)
		}
		t.Logf("%v allocations for %d members", got, n)
	}
}

// Fan-out to members that keep up: beside the loop that one would write by hand.
func BenchmarkFanout(b *testing.B) {
	const members = 200
	conns := sinks(b, members)
	ctx := context.Background()
	h := hub.New(nil)
	for _, c := range conns {
		if _, err := h.Join(ctx, c, "red", nil); err != nil {
			b.Fatal(err)
		}
	}
	for _, burst := range []int{1, 16} {
		ms := make([]hub.Message, burst)
		for i := range ms {
			ms[i] = hub.Message{Type: ws.Text, Data: make([]byte, 128)}
		}
		name := map[int]string{1: "single", 16: "burst"}[burst]
		b.Run(name+"/hub", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.Publish(ctx, "red", ms...)
			}
			perDelivery(b, members*burst)
		})
		b.Run(name+"/hand", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ps := make([]*ws.Prepared, len(ms))
				for i, m := range ms {
					ps[i], _ = ws.NewPrepared(ws.Message{Type: m.Type, Data: m.Data})
				}
				for _, c := range conns {
					c.WritePrepared(ctx, ps...)
				}
			}
			perDelivery(b, members*burst)
		})
	}
}

func perDelivery(b *testing.B, deliveries int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*deliveries), "ns/delivery")
}
