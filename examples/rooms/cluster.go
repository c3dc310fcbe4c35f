package main

import (
	"os"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tidewire/ws/brokers/nats"
	"github.com/tidewire/ws/brokers/nats/embedded"
	"github.com/tidewire/ws/hub"
)

// connect starts the node's server and returns a broker, nil if there are no
// other nodes, and what ends both.
func (n node) connect() (hub.Broker, func(), error) {
	if n.cluster == "" {
		return nil, func() {}, nil
	}
	dir := n.dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "rooms"); err != nil {
			return nil, nil, err
		}
	}
	cleanUp := func() {
		if n.dir == "" {
			_ = os.RemoveAll(dir) // it is in the system's directory for such things
		}
	}
	s, err := embedded.Start(embedded.Options{Name: n.cluster, Cluster: n.cluster, Routes: n.routes, Dir: dir})
	if err != nil {
		cleanUp()
		return nil, nil, err
	}
	nc, err := s.Connect()
	if err != nil {
		s.Stop()
		cleanUp()
		return nil, nil, err
	}
	b := nats.New(nc, &nats.Options{JetStream: &nats.Stream{Replicas: len(n.routes), Storage: jetstream.FileStorage, PerRoom: kept}})
	return b, func() {
		nc.Close()
		s.Stop()
		cleanUp()
	}, nil
}
