package hub

import (
	"context"
	"time"
)

// subscription is whether the node is subscribed to a room. turn is its lock, on
// which one can wait with a context.
type subscription struct {
	turn chan struct{} // holds a token while somebody has the lock
	done bool
}

func (s *subscription) lock(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *subscription) unlock() { <-s.turn }

// subscribe sees to it that the room's messages arrive at the node.
func (r *room) subscribe(ctx context.Context) error {
	if r.h.alone && r.opts.History == 0 {
		return nil
	}
	if err := r.subscribing.lock(ctx); err != nil {
		return err
	}
	defer r.subscribing.unlock()
	if r.subscribing.done {
		return nil
	}
	if err := r.subscribeTopics(ctx); err != nil {
		r.unsubscribe()
		return err
	}
	r.subscribing.done = true
	return nil
}

func (r *room) subscribeTopics(ctx context.Context) error {
	if err := r.h.broker.Subscribe(ctx, r.topic); err != nil {
		return err
	}
	if r.opts.History > 0 {
		_, last, err := r.h.kept.History(ctx, r.topic, Position{}, 0)
		if err != nil {
			return err
		}
		r.startFeed(last)
	}
	if !r.opts.Presence || r.h.alone {
		return nil
	}
	if err := r.h.broker.Subscribe(ctx, r.presenceTopic); err != nil {
		return err
	}
	return r.askWho(ctx)
}

// unsubscribe takes back all of subscribe, which may have failed halfway. The
// lock is held.
func (r *room) unsubscribe() {
	r.subscribing.done = false
	r.stopFeed()
	ctx, cancel := context.WithTimeout(context.Background(), brokerTimeout)
	defer cancel()
	topics := []Topic{r.topic}
	if r.opts.Presence && !r.h.alone {
		topics = append(topics, r.presenceTopic)
	}
	for _, t := range topics {
		if err := r.h.broker.Unsubscribe(ctx, t); err != nil {
			r.h.opts.Logger.Warn("hub: unsubscribe failed", "room", r.name, "error", err)
		}
	}
}

// brokerTimeout is for what the hub asks of the broker by itself.
const brokerTimeout = 10 * time.Second
