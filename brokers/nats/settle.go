package nats

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// A server of a cluster tells the others of a subscription when it has it, and
// goes on at once: what is published at another server just then may go astray.
// But servers tell each other things in order. So a broker that has subscribed
// asks all others to answer, and when they have, their servers know.

const (
	// answerTimeout is how long the answers of brokers are waited for, and
	// strangersTimeout how long the next one of a broker not heard of before.
	answerTimeout    = time.Second
	strangersTimeout = 100 * time.Millisecond
	flushTimeout     = 10 * time.Second
)

// peers are the brokers of the same prefix, this one included, as far as it has
// heard of them.
type peers struct {
	mu    sync.Mutex
	known map[string]bool // guarded by mu
}

func (p *peers) init() { p.known = make(map[string]bool) }

func (p *peers) add(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[id] = true
}

// missing returns how many are not among those that have answered.
func (p *peers) missing(answered map[string]bool) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.known {
		if !answered[id] {
			n++
		}
	}
	return n
}

// forget forgets those that have not answered.
func (p *peers) forget(answered map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.known {
		if !answered[id] {
			delete(p.known, id)
		}
	}
}

// answer answers another broker's question, or this one's own.
func (b *broker) answer(m *nats.Msg) {
	b.peers.add(string(m.Data))
	_ = m.Respond([]byte(b.id)) // who asks waits no longer than answerTimeout
}

// settle returns when all brokers know of this one's subscriptions. With all it
// waits for brokers, too, of which it has not heard yet.
func (b *broker) settle(ctx context.Context, all bool) error {
	if err := b.flush(ctx); err != nil {
		return err
	}
	if b.nc.ConnectedClusterName() == "" {
		return nil
	}
	inbox := nats.NewInbox()
	sub, err := b.nc.SubscribeSync(inbox)
	if err == nil {
		defer func() { _ = sub.Unsubscribe() }() // fails only with the connection
		err = b.nc.PublishRequest(b.prefix+".sync", inbox, []byte(b.id))
	}
	if err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	b.peers.add(b.id)
	answered := make(map[string]bool)
	b.collect(ctx, sub, answered, answerTimeout, func() bool { return b.peers.missing(answered) > 0 })
	if all {
		b.collect(ctx, sub, answered, strangersTimeout, func() bool { return true })
	}
	if ctx.Err() != nil {
		return fmt.Errorf("nats: subscribe: %w", ctx.Err())
	}
	b.peers.forget(answered)
	return nil
}

// collect takes in answers for some time, or while more are wanted.
func (b *broker) collect(ctx context.Context, sub *nats.Subscription, answered map[string]bool, d time.Duration, more func() bool) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for more() {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return
		}
		answered[string(m.Data)] = true
		b.peers.add(string(m.Data))
	}
}
