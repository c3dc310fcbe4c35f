package nats_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	wsnats "github.com/tidewire/ws/brokers/nats"
	"github.com/tidewire/ws/brokers/nats/embedded"
	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/hub/brokertest"
)

// cluster is servers in this process, to which brokers connect in turn.
type cluster struct {
	servers []*embedded.Server

	mu    sync.Mutex
	next  int          // guarded by mu
	conns []*nats.Conn // guarded by mu
}

// startCluster starts n servers, which know each other.
func startCluster(t testing.TB, n int, dir bool) *cluster {
	t.Helper()
	addrs := freeAddrs(t, n)
	c := &cluster{servers: make([]*embedded.Server, n)}
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		o := embedded.Options{Name: fmt.Sprintf("n%d", i)}
		if n > 1 {
			o.Cluster, o.Routes, o.Secret = addrs[i], addrs, "se/cret"
		}
		if dir {
			o.Dir = t.TempDir()
		}
		wg.Go(func() { c.servers[i], errs[i] = embedded.Start(o) })
	}
	wg.Wait()
	for i, s := range c.servers {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		t.Cleanup(s.Stop)
	}
	return c
}

func freeAddrs(t testing.TB, n int) []string {
	addrs := make([]string, n)
	for i := range addrs {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		addrs[i] = ln.Addr().String()
	}
	return addrs
}

func (c *cluster) connect(o *wsnats.Options) func(t testing.TB) hub.Broker {
	return func(t testing.TB) hub.Broker {
		t.Helper()
		c.mu.Lock()
		defer c.mu.Unlock()
		s := c.servers[c.next%len(c.servers)]
		c.next++
		nc, err := s.Connect(nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		c.conns = append(c.conns, nc)
		return wsnats.New(nc, o)
	}
}

// cut makes all clients lose their connections and connect again.
func (c *cluster) cut(t testing.TB) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, nc := range c.conns {
		if nc.IsClosed() {
			continue
		}
		if err := nc.ForceReconnect(); err != nil {
			t.Fatal(err)
		}
	}
}

func inMemory(replicas int) *wsnats.Options {
	return &wsnats.Options{JetStream: &wsnats.Stream{Replicas: replicas, Storage: jetstream.MemoryStorage, PerRoom: 20_000}}
}

func TestCore(t *testing.T) {
	c := startCluster(t, 1, false)
	brokertest.Run(t, brokertest.Network{Connect: c.connect(nil), Cut: c.cut})
}

func TestJetStream(t *testing.T) {
	c := startCluster(t, 1, true)
	brokertest.Run(t, brokertest.Network{Connect: c.connect(inMemory(1)), Cut: c.cut})
}

func TestClusterJetStream(t *testing.T) {
	c := startCluster(t, 3, true)
	brokertest.Run(t, brokertest.Network{Connect: c.connect(inMemory(3)), Cut: c.cut})
}

func TestMisfits(t *testing.T) {
	c := startCluster(t, 1, true)
	small := c.connect(&wsnats.Options{JetStream: &wsnats.Stream{PerRoom: 10, MaxAge: time.Minute}})(t)
	core := c.connect(nil)(t)
	ctx := context.Background()
	for name, test := range map[string]struct {
		b hub.Broker
		t hub.Topic
	}{
		"too many":   {small, hub.Topic{Name: "x", History: 11, KeepFor: time.Second}},
		"too long":   {small, hub.Topic{Name: "x", History: 10, KeepFor: time.Hour}},
		"no history": {core, hub.Topic{Name: "x", History: 1}},
	} {
		if err := test.b.Subscribe(ctx, test.t); err == nil {
			t.Errorf("%s: subscribed", name)
		}
		if _, err := test.b.Publish(ctx, test.t, "", nil); err == nil {
			t.Errorf("%s: published", name)
		}
	}
}

func BenchmarkBroker(b *testing.B) {
	for name, n := range map[string]int{"one": 1, "three": 3} {
		b.Run(name, func(b *testing.B) {
			c := startCluster(b, n, true)
			brokertest.Benchmark(b, brokertest.Network{Connect: c.connect(inMemory(n))})
		})
	}
}
