package redis_test

import (
	"context"
	"testing"

	"github.com/redis/rueidis"

	"github.com/tidewire/ws/brokers/redis"
	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/hub/brokertest"
)

func TestBroker(t *testing.T) {
	s := startServer(t)
	brokertest.Run(t, brokertest.Network{Connect: s.connect(nil), Cut: s.cut})
}

// connect returns what makes brokers, each with a client of its own.
func (s *server) connect(o *redis.Options) func(t testing.TB) hub.Broker {
	return func(t testing.TB) hub.Broker {
		c := s.client(t)
		t.Cleanup(c.Close)
		return redis.New(c, o)
	}
}

func TestSharded(t *testing.T) {
	s := startServer(t, "--cluster-enabled", "yes")
	c := s.client(t)
	defer c.Close()
	slots := c.B().Arbitrary("CLUSTER", "ADDSLOTSRANGE", "0", "16383").Build()
	if err := c.Do(context.Background(), slots).Error(); err != nil {
		t.Fatal(err)
	}
	s.awaitCluster(t, c)
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
	brokertest.Benchmark(b, brokertest.Network{Connect: s.connect(nil)})
}
