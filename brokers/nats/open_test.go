package nats_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	wsnats "github.com/tidewire/ws/brokers/nats"
	"github.com/tidewire/ws/hub"
)

// While a cluster elects a leader its servers refuse at once. Start waits for
// them, but not longer than it may.
func TestStartWhileElecting(t *testing.T) {
	const electing = `{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}`
	c := startCluster(t, 1, false) // without JetStream: the test answers for it
	nc, err := c.servers[0].Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	var refusals atomic.Int64
	if _, err := nc.Subscribe("$JS.API.STREAM.>", func(m *nats.Msg) {
		answer := electing
		if refusals.Add(-1) < 0 {
			answer = `{"config":{"name":"WS"},"created":"2026-01-01T00:00:00Z","state":{}}`
		}
		_ = m.Respond([]byte(answer))
	}); err != nil {
		t.Fatal(err)
	}
	start := func(ctx context.Context) error {
		b := wsnats.New(nc, inMemory(1))
		defer b.Close(ctx)
		return b.Start(ctx, receiver{})
	}
	refusals.Store(18)
	if err := start(t.Context()); err != nil {
		t.Error(err)
	}
	refusals.Store(1_000_000)
	ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
	defer cancel()
	if err := start(ctx); err == nil {
		t.Error("started without a stream")
	}
}

type receiver struct{}

func (receiver) Deliver(hub.Delivery) {}
func (receiver) Lost([]string)        {}
