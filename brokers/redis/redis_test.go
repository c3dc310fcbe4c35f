package redis_test

import (
	"context"
	"testing"

	"github.com/redis/rueidis"

	"github.com/tidewire/ws/brokers/redis"
	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/hub/brokertest"
	"github.com/tidewire/ws/internal/outage"
)

func TestBroker(t *testing.T) {
	s := startServer(t, "--appendonly", "yes", "--appendfsync", "always")
	far := outage.NewProxy(t, s.addr)
	brokertest.Run(t, brokertest.Network{
		Connect: connect(s.addr, nil), Cut: s.cut,
		Troubles: []brokertest.Trouble{
			{Name: "killed", Begin: func(t testing.TB) func() {
				s.Kill()
				return func() { s.Restart(t) }
			}},
			{Name: "frozen", Begin: func(testing.TB) func() {
				s.Freeze()
				return s.Thaw
			}},
			{Name: "cut off", Connect: connect(far.Addr(), nil), Begin: func(testing.TB) func() {
				far.Cut()
				return far.Mend
			}},
		},
	})
}

// connect returns what makes brokers, each with a client of its own.
func connect(addr string, o *redis.Options) func(t testing.TB) hub.Broker {
	return func(t testing.TB) hub.Broker {
		c := dial(t, addr)
		t.Cleanup(c.Close)
		return redis.New(c, o)
	}
}

func TestSharded(t *testing.T) {
	s := startServer(t, "--cluster-enabled", "yes")
	c := dial(t, s.addr)
	defer c.Close()
	slots := c.B().Arbitrary("CLUSTER", "ADDSLOTSRANGE", "0", "16383").Build()
	if err := c.Do(context.Background(), slots).Error(); err != nil {
		t.Fatal(err)
	}
	awaitCluster(t, c)
	brokertest.Run(t, brokertest.Network{Connect: func(t testing.TB) hub.Broker {
		c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.addr}, DisableCache: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return redis.New(c, &redis.Options{Sharded: true, Prefix: "test:"})
	}})
}

func BenchmarkBroker(b *testing.B) {
	s := startServer(b)
	brokertest.Benchmark(b, brokertest.Network{Connect: connect(s.addr, nil)})
}
