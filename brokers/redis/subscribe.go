package redis

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/tidewire/ws/hub"
)

// subscription is a topic that is being listened to, by a goroutine of its own.
type subscription struct {
	topic hub.Topic
	end   context.CancelFunc
	ready chan struct{} // closed when it is in effect
	over  chan struct{} // closed when its goroutine has ended
	times atomic.Int64  // that Redis has confirmed it
}

// retry is the pause before listening again after a failure.
const retry = 100 * time.Millisecond

func (b *broker) Subscribe(ctx context.Context, t hub.Topic) error {
	if err := b.started(); err != nil {
		return err
	}
	s := b.subscription(t)
	if s == nil {
		return fmt.Errorf("redis: %w", hub.ErrClosed)
	}
	select {
	case <-s.ready:
		return nil
	case <-s.over:
		return fmt.Errorf("redis: subscribe: %w", hub.ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("redis: subscribe: %w", ctx.Err())
	}
}

// subscription returns a topic's, which is begun if there is none; nil: the
// broker is closed.
func (b *broker) subscription(t hub.Topic) *subscription {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.topics == nil {
		return nil
	}
	s := b.topics[t.Name]
	if s == nil {
		ctx, end := context.WithCancel(context.Background())
		s = &subscription{topic: t, end: end, ready: make(chan struct{}), over: make(chan struct{})}
		b.topics[t.Name] = s
		go b.listen(ctx, s)
	}
	return s
}

// listen receives the topic's messages until ctx ends.
func (b *broker) listen(ctx context.Context, s *subscription) {
	defer close(s.over)
	channel := b.key(s.topic.Name, "")
	hooked := rueidis.WithOnSubscriptionHook(ctx, func(p rueidis.PubSubSubscription) { b.confirmed(s, p) })
	hooked = rueidis.WithOnReceiveReturnHook(hooked, func(err error, c rueidis.CommandClient) error {
		if ctx.Err() != nil { // the connection goes on
			c.Do(context.Background(), b.unsubscribe(c.B(), channel))
		}
		return err
	})
	for ctx.Err() == nil {
		// Whatever the error is, being subscribed again is what helps.
		_ = b.client.Receive(hooked, b.subscribe(channel), func(m rueidis.PubSubMessage) { b.received(s, m.Message) })
		select {
		case <-time.After(retry):
		case <-ctx.Done():
		}
	}
}

func (b *broker) subscribe(channel string) rueidis.Completed {
	if b.sharded {
		return b.client.B().Ssubscribe().Channel(channel).Build()
	}
	return b.client.B().Subscribe().Channel(channel).Build()
}

func (b *broker) unsubscribe(c rueidis.Builder, channel string) rueidis.Completed {
	if b.sharded {
		return c.Sunsubscribe().Channel(channel).Build()
	}
	return c.Unsubscribe().Channel(channel).Build()
}

// confirmed is called on the client's own goroutine, and must not block it.
func (b *broker) confirmed(s *subscription, p rueidis.PubSubSubscription) {
	switch {
	case !strings.HasSuffix(p.Kind, "subscribe") || strings.Contains(p.Kind, "unsub"):
	case s.times.Add(1) == 1:
		close(s.ready)
	default: // after an interruption
		go b.tell(func(r hub.Receiver) { r.Lost([]string{s.topic.Name}) })
	}
}

func (b *broker) received(s *subscription, text string) {
	d := hub.Delivery{Topic: s.topic.Name}
	if s.topic.History > 0 {
		var err error
		if d.Pos, text, err = parsePosition(text); err != nil {
			return // somebody else publishes in our channel
		}
		d.Prev = d.Pos.Offset - 1
	}
	d.Data = []byte(text)
	b.tell(func(r hub.Receiver) { r.Deliver(d) })
}

func (b *broker) Unsubscribe(ctx context.Context, t hub.Topic) error {
	b.mu.Lock()
	s := b.topics[t.Name]
	delete(b.topics, t.Name)
	b.mu.Unlock()
	if s == nil {
		return nil
	}
	s.end()
	select {
	case <-s.over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("redis: unsubscribe: %w", ctx.Err())
	}
}
