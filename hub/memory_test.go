package hub_test

import (
	"testing"

	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/hub/brokertest"
)

func TestMemoryBroker(t *testing.T) {
	net := hub.NewMemory()
	brokertest.Run(t, brokertest.Network{Connect: func(testing.TB) hub.Broker { return net.Connect() }})
}

func BenchmarkMemoryBroker(b *testing.B) {
	net := hub.NewMemory()
	brokertest.Benchmark(b, brokertest.Network{Connect: func(testing.TB) hub.Broker { return net.Connect() }})
}
