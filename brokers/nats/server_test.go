package nats_test

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	wsnats "github.com/tidewire/ws/brokers/nats"
	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/hub/brokertest"
	"github.com/tidewire/ws/internal/outage"
)

// A server that is installed: killed, frozen, and not to be reached.
func TestServer(t *testing.T) {
	path := outage.Look(t, "nats-server")
	addr, dir := outage.FreeAddr(t), t.TempDir()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	s := outage.Start(t, addr, path, "-a", host, "-p", port, "-js", "-sd", dir, "-l", filepath.Join(dir, "log"))
	far := outage.NewProxy(t, addr)
	brokertest.Run(t, brokertest.Network{
		Connect: connect(addr),
		Troubles: []brokertest.Trouble{
			{Name: "killed", Begin: func(t testing.TB) func() {
				s.Kill()
				return func() { s.Restart(t) }
			}},
			{Name: "frozen", Begin: func(testing.TB) func() {
				s.Freeze()
				return s.Thaw
			}},
			{Name: "cut off", Connect: connect(far.Addr()), Begin: func(testing.TB) func() {
				far.Cut()
				return far.Mend
			}},
		},
	})
}

func connect(addr string) func(t testing.TB) hub.Broker {
	return func(t testing.TB) hub.Broker {
		nc, err := nats.Connect(addr, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return wsnats.New(nc, &wsnats.Options{JetStream: &wsnats.Stream{PerRoom: 20_000}})
	}
}
