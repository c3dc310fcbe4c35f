// Package nats lets hubs on many nodes talk through NATS: rooms without a history
// by plain publish and subscribe, rooms with one by JetStream.
//
//	nc, err := nats.Connect("nats://127.0.0.1:4222")      // github.com/nats-io/nats.go
//	h := hub.New(&hub.Options{Broker: wsnats.New(nc, nil)})
//
// Package embedded has a server that runs inside the program.
package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/tidewire/ws/hub"
)

// Options are a broker's settings.
type Options struct {
	// Prefix is the first token of all subjects; default "ws".
	Prefix string

	// JetStream is the stream in which histories are kept; nil: rooms can't have any.
	JetStream *Stream
}

// New returns a broker, for one hub. o may be nil. nc stays the caller's, to be
// closed after the hub.
//
// Messages to rooms without a history, and everything else that hubs tell each
// other, are delivered at most once: what is published while a node has lost its
// server doesn't reach that node's members. Where servers form a cluster,
// Subscribe waits until all brokers of that prefix have answered, a second at
// most, so that what they publish afterwards finds its way.
func New(nc *nats.Conn, o *Options) hub.Broker {
	b := &broker{nc: nc, prefix: "ws", id: nats.NewInbox(), topics: make(map[string]*nats.Subscription)}
	b.peers.init()
	if o == nil {
		return b
	}
	if o.Prefix != "" {
		b.prefix = o.Prefix
	}
	if o.JetStream != nil {
		return newKept(b, *o.JetStream)
	}
	return b
}

type broker struct {
	nc     *nats.Conn
	prefix string
	id     string // among the brokers
	peers  peers

	telling sync.RWMutex // held while the receiver is told of something; Close waits for it
	to      hub.Receiver // nil: not started, or closed; telling guards it

	mu     sync.Mutex
	topics map[string]*nats.Subscription // guarded by mu
	end    func()                        // of what Start has begun; guarded by mu
}

var _ hub.Broker = (*broker)(nil)

var errNoHistory = errors.New("nats: rooms with a history need Options.JetStream")

// subject is where a topic's messages are published; a topic's name is one token.
func (b *broker) subject(kind, topic string) string { return b.prefix + "." + kind + "." + topic }

const (
	live   = "m" // messages that are not kept
	stored = "h" // messages to the stream
	copied = "d" // messages as the stream publishes them again
)

func (b *broker) Start(ctx context.Context, r hub.Receiver) error { return b.start(ctx, r, b.back) }

// start begins; back is called when the connection is there again.
func (b *broker) start(ctx context.Context, r hub.Receiver, back func()) error {
	b.telling.Lock()
	b.to = r
	b.telling.Unlock()
	sub, err := b.nc.Subscribe(b.prefix+".sync", b.answer)
	if err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	status := b.nc.StatusChanged(nats.CONNECTED)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for range status {
			back()
		}
	}()
	b.mu.Lock()
	b.end = func() {
		b.nc.RemoveStatusListener(status)
		<-over
		_ = sub.Unsubscribe() // fails if the connection is closed, and then it has ended
	}
	b.mu.Unlock()
	return b.settle(ctx, true)
}

// back tells the receiver of an interruption.
func (b *broker) back() { b.tell(func(r hub.Receiver) { r.Lost(nil) }) }

// tell calls f unless the broker is closed.
func (b *broker) tell(f func(hub.Receiver)) {
	b.telling.RLock()
	defer b.telling.RUnlock()
	if b.to != nil {
		f(b.to)
	}
}

func (b *broker) started() error {
	b.telling.RLock()
	defer b.telling.RUnlock()
	if b.to == nil {
		return fmt.Errorf("nats: %w", hub.ErrClosed)
	}
	return nil
}

func (b *broker) Subscribe(ctx context.Context, t hub.Topic) error {
	if t.History > 0 {
		return errNoHistory
	}
	err := b.subscribe(ctx, t.Name, b.subject(live, t.Name), func(m *nats.Msg) {
		b.tell(func(r hub.Receiver) { r.Deliver(hub.Delivery{Topic: t.Name, Data: m.Data}) })
	})
	if err != nil {
		return err
	}
	return b.settle(ctx, false)
}

// subscribe returns when the server has the subscription.
func (b *broker) subscribe(ctx context.Context, topic, subject string, f nats.MsgHandler) error {
	if err := b.started(); err != nil {
		return err
	}
	b.mu.Lock()
	if b.topics[topic] == nil {
		sub, err := b.nc.Subscribe(subject, f)
		if err != nil {
			b.mu.Unlock()
			return fmt.Errorf("nats: subscribe: %w", err)
		}
		b.topics[topic] = sub
	}
	b.mu.Unlock()
	return b.flush(ctx)
}

func (b *broker) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout) // nats.go wants a deadline
	defer cancel()
	if err := b.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	return nil
}

func (b *broker) Unsubscribe(_ context.Context, t hub.Topic) error {
	b.mu.Lock()
	sub := b.topics[t.Name]
	delete(b.topics, t.Name)
	b.mu.Unlock()
	if sub == nil {
		return nil
	}
	if err := sub.Unsubscribe(); err != nil {
		return fmt.Errorf("nats: unsubscribe: %w", err)
	}
	return nil
}

func (b *broker) Publish(_ context.Context, t hub.Topic, _ string, data []byte) (hub.Position, error) {
	if t.History > 0 {
		return hub.Position{}, errNoHistory
	}
	err := b.started()
	if err == nil {
		err = b.nc.Publish(b.subject(live, t.Name), data)
	}
	if err != nil {
		return hub.Position{}, fmt.Errorf("nats: publish: %w", err)
	}
	return hub.Position{}, nil
}

func (b *broker) Close(context.Context) error {
	b.telling.Lock()
	b.to = nil
	b.telling.Unlock()
	b.mu.Lock()
	topics, end := b.topics, b.end
	b.topics, b.end = make(map[string]*nats.Subscription), nil
	b.mu.Unlock()
	for _, sub := range topics {
		_ = sub.Unsubscribe() // fails if the connection is closed, and then it has ended
	}
	if end != nil {
		end()
	}
	if err := b.nc.FlushTimeout(flushTimeout); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("nats: what was published last may not have been sent: %w", err)
	}
	return nil
}
