package main

import (
	"os"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/rueidis"

	"github.com/tidewire/ws/brokers/nats"
	"github.com/tidewire/ws/brokers/nats/embedded"
	"github.com/tidewire/ws/brokers/redis"
	"github.com/tidewire/ws/examples/chat/app"
	"github.com/tidewire/ws/hub"
)

// engine is what connects the nodes; one of the first three is set, or none.
type engine struct {
	nats, redis, cluster string
	routes               []string // of the cluster
	dir                  string   // of the cluster's node
}

// connect returns a broker, nil if there are no other nodes, and what is to be
// called after it has been closed.
func (e engine) connect() (hub.Broker, func(), error) {
	switch {
	case e.nats != "":
		nc, err := natsgo.Connect(e.nats, natsgo.MaxReconnects(-1))
		if err != nil {
			return nil, nil, err
		}
		return onNATS(nc, 1, jetstream.MemoryStorage), nc.Close, nil
	case e.redis != "":
		client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{e.redis}, DisableCache: true})
		if err != nil {
			return nil, nil, err
		}
		return redis.New(client, nil), client.Close, nil
	case e.cluster != "":
		return e.embed()
	}
	return nil, func() {}, nil
}

// embed starts the node's own server.
func (e engine) embed() (hub.Broker, func(), error) {
	dir, cleanUp := e.dir, func() {}
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "chat"); err != nil {
			return nil, nil, err
		}
		cleanUp = func() { _ = os.RemoveAll(dir) } // it is in the system's directory for such things
	}
	s, err := embedded.Start(embedded.Options{Name: e.cluster, Cluster: e.cluster, Routes: e.routes, Dir: dir})
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
	return onNATS(nc, len(e.routes), jetstream.FileStorage), func() {
		nc.Close()
		s.Stop()
		cleanUp()
	}, nil
}

func onNATS(nc *natsgo.Conn, replicas int, storage jetstream.StorageType) hub.Broker {
	return nats.New(nc, &nats.Options{JetStream: &nats.Stream{Replicas: replicas, Storage: storage, PerRoom: app.History}})
}
