package hub_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/hub"
)

// counted is a broker in memory that counts what arrives.
type counted struct {
	hub.Broker
	arrived atomic.Int64
}

func (b *counted) Start(ctx context.Context, r hub.Receiver) error {
	return b.Broker.Start(ctx, counter{r, b})
}

type counter struct {
	hub.Receiver
	b *counted
}

func (c counter) Deliver(d hub.Delivery) {
	c.b.arrived.Add(1)
	c.Receiver.Deliver(d)
}

// countingCodec is JSON that counts how often a message is put into an envelope,
// and taken out of one.
type countingCodec struct {
	codec.Codec
	in, out *atomic.Int64
}

func (c countingCodec) AppendEnvelope(b []byte, e *codec.Envelope, v any) ([]byte, error) {
	c.in.Add(1)
	return codec.InJSON(c.Codec).AppendEnvelope(b, e, v)
}

func (c countingCodec) ScanEnvelope(p []byte, e *codec.Envelope) error {
	c.out.Add(1)
	return codec.InJSON(c.Codec).ScanEnvelope(p, e)
}

// counts is a node with its costs.
type counts struct {
	*hub.Hub
	broker  counted
	in, out atomic.Int64
}

func countingNode(t *testing.T, net *hub.Memory) *counts {
	n := &counts{broker: counted{Broker: net.Connect()}}
	n.Hub = hub.New(&hub.Options{
		Broker: &n.broker, Heartbeat: 24 * time.Hour, // nodes have nothing else to say
		Codecs: []codec.Codec{countingCodec{codec.JSON, &n.in, &n.out}},
	})
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close(context.Background()) })
	return n
}

// A message is encoded once, on the node where it is published, arrives once at
// each node with members, however many, and costs the others nothing.
func TestMessagesCostANodeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := hub.NewMemory()
		one, two, none := countingNode(t, net), countingNode(t, net), countingNode(t, net)
		const members, messages = 20, 50
		var all []peer
		for range members {
			for _, n := range []*counts{one, two} {
				p := connect(t, setup{})
				join(t, n.Hub, "red", p)
				all = append(all, p)
			}
		}
		join(t, none.Hub, "blue", connect(t, setup{}))
		synctest.Wait()
		for _, n := range []*counts{one, two, none} {
			n.broker.arrived.Store(0)
		}
		for i := range messages {
			publish(t, one.Hub, "red", hub.Typed(tested, i))
			for _, p := range all {
				p.next()
			}
		}
		synctest.Wait()
		for name, test := range map[string]struct {
			node                           *counts
			arrived, encoded, decoded, out int64
		}{
			"the publisher's": {one, messages, messages, 0, members * messages}, // its own echoes arrive, and go no further
			"with members":    {two, messages, 0, 0, members * messages},
			"without members": {none, 0, 0, 0, 0},
		} {
			n := test.node
			got := [4]int64{n.broker.arrived.Load(), n.in.Load(), n.out.Load(), int64(n.Stats().Sent)}
			if want := [4]int64{test.arrived, test.encoded, test.decoded, test.out}; got != want {
				t.Errorf("the node %s: arrived, encoded, decoded, sent are %v, want %v", name, got, want)
			}
		}
	})
}
