package hub

import (
	"context"
	"crypto/rand"
	"sync"
	"time"
)

// Memory is a network of brokers in one process: for a hub alone, for tests, and
// for several hubs in one program. It keeps histories, in memory.
type Memory struct {
	mu     sync.Mutex
	topics map[string]*memoryTopic // guarded by mu
	limit  int                     // topics at which the deserted ones are looked for; guarded by mu
}

// NewMemory returns a network without brokers.
func NewMemory() *Memory {
	return &Memory{topics: make(map[string]*memoryTopic), limit: minSweep}
}

const (
	// minSweep is how many topics there may be before it is worth looking for
	// deserted ones.
	minSweep = 64
	// idsFor is how long ids of messages are remembered, and maxIDs how many a topic.
	idsFor = 2 * time.Minute
	maxIDs = 4096
)

// Connect returns a Broker, for one Hub, in touch with all others of the network.
func (n *Memory) Connect() Broker {
	return &memoryBroker{net: n, topics: make(map[string]*memoryTopic)}
}

// memoryTopic is a topic: its subscribers and its history.
type memoryTopic struct {
	mu sync.Mutex
	// mu guards all below.
	subs  []*memoryBroker
	out   []Delivery // on its way to the subscribers
	busy  bool       // somebody delivers
	epoch string
	last  uint64 // offset
	kept  []Delivery
	times []time.Time // when each of kept expires
	ids   map[string]Position
	queue []memoryID // the ids, oldest first
}

type memoryID struct {
	id string
	at time.Time
}

type memoryBroker struct {
	net *Memory

	mu sync.Mutex
	// mu guards all below.
	to     Receiver // nil: closed, or not started
	topics map[string]*memoryTopic
}

var (
	_ Broker  = (*memoryBroker)(nil)
	_ History = (*memoryBroker)(nil)
)

// topic returns a topic, locked.
func (n *Memory) topic(name string) *memoryTopic {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.topics[name]
	if t == nil {
		if len(n.topics) >= n.limit {
			n.sweep()
		}
		t = &memoryTopic{epoch: rand.Text()[:8]}
		n.topics[name] = t
	}
	t.mu.Lock()
	return t
}

// sweep lets go of topics that have neither subscribers nor messages. mu is held.
func (n *Memory) sweep() {
	now := time.Now()
	for name, t := range n.topics {
		t.mu.Lock()
		t.expire(now)
		if len(t.subs)+len(t.kept)+len(t.ids)+len(t.out) == 0 && !t.busy {
			delete(n.topics, name)
		}
		t.mu.Unlock()
	}
	n.limit = max(minSweep, 2*len(n.topics))
}

func (b *memoryBroker) Start(_ context.Context, r Receiver) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.to = r
	return nil
}

func (b *memoryBroker) receiver() Receiver {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.to
}

func (b *memoryBroker) Subscribe(_ context.Context, topic Topic) error {
	if b.receiver() == nil {
		return ErrClosed
	}
	t := b.net.topic(topic.Name)
	defer t.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.topics[topic.Name] == nil {
		b.topics[topic.Name] = t
		t.subs = append(t.subs[:len(t.subs):len(t.subs)], b)
	}
	return nil
}

func (b *memoryBroker) Unsubscribe(_ context.Context, topic Topic) error {
	b.mu.Lock()
	t := b.topics[topic.Name]
	delete(b.topics, topic.Name)
	b.mu.Unlock()
	if t != nil {
		t.remove(b)
	}
	return nil
}

func (t *memoryTopic) remove(b *memoryBroker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var subs []*memoryBroker
	for _, s := range t.subs {
		if s != b {
			subs = append(subs, s)
		}
	}
	t.subs = subs
}

func (b *memoryBroker) Publish(_ context.Context, topic Topic, id string, data []byte) (Position, error) {
	if b.receiver() == nil {
		return Position{}, ErrClosed
	}
	t := b.net.topic(topic.Name)
	d := Delivery{Topic: topic.Name, Data: append([]byte(nil), data...)}
	if topic.History > 0 {
		if pos, again := t.keep(&d, topic, id); again {
			t.mu.Unlock()
			return pos, nil
		}
	}
	if len(t.subs) > 0 {
		t.out = append(t.out, d)
	}
	t.deliver()
	return d.Pos, nil
}

// keep adds a message to the history, unless there was one with its id. mu is held.
func (t *memoryTopic) keep(d *Delivery, topic Topic, id string) (Position, bool) {
	now := time.Now()
	t.expire(now)
	if pos, again := t.ids[id]; again {
		return pos, true
	}
	d.Prev = t.last
	t.last++
	d.Pos = Position{Offset: t.last, Epoch: t.epoch}
	if len(t.kept) >= topic.History {
		t.forget(len(t.kept) - topic.History + 1)
	}
	t.kept = append(t.kept, *d)
	t.times = append(t.times, now.Add(topic.KeepFor))
	if id != "" {
		if t.ids == nil {
			t.ids = make(map[string]Position)
		}
		t.ids[id] = d.Pos
		t.queue = append(t.queue, memoryID{id, now.Add(idsFor)})
	}
	return d.Pos, false
}

// expire forgets what is too old. mu is held.
func (t *memoryTopic) expire(now time.Time) {
	n := 0
	for n < len(t.times) && now.After(t.times[n]) {
		n++
	}
	t.forget(n)
	for len(t.queue) > 0 && (now.After(t.queue[0].at) || len(t.queue) > maxIDs) {
		delete(t.ids, t.queue[0].id)
		t.queue = t.queue[1:]
	}
}

// forget forgets the n oldest messages.
func (t *memoryTopic) forget(n int) {
	clear(t.kept[:n])
	t.kept, t.times = t.kept[n:], t.times[n:]
}

// deliver hands over what is on its way, unless somebody does. mu is held, and
// no longer when deliver returns.
func (t *memoryTopic) deliver() {
	if t.busy {
		t.mu.Unlock()
		return
	}
	t.busy = true
	for len(t.out) > 0 {
		out, subs := t.out, t.subs
		t.out = nil
		t.mu.Unlock()
		for _, d := range out {
			for _, b := range subs {
				if r := b.receiver(); r != nil {
					r.Deliver(d)
				}
			}
		}
		t.mu.Lock()
	}
	t.busy = false
	t.mu.Unlock()
}

func (b *memoryBroker) History(_ context.Context, topic Topic, since Position, limit int) ([]Delivery, Position, error) {
	if b.receiver() == nil {
		return nil, Position{}, ErrClosed
	}
	t := b.net.topic(topic.Name)
	defer t.mu.Unlock()
	t.expire(time.Now())
	last := Position{Offset: t.last, Epoch: t.epoch}
	first := t.last + 1 // of what is kept
	if len(t.kept) > 0 {
		first = t.kept[0].Pos.Offset
	}
	at := 0
	if since != (Position{}) {
		if since.Epoch != t.epoch || since.Offset > t.last || since.Offset+1 < first {
			return nil, last, ErrUnrecoverable
		}
		at = int(since.Offset + 1 - first)
	}
	ds := append([]Delivery(nil), t.kept[at:]...)
	return ds[:min(limit, len(ds))], last, nil
}

func (b *memoryBroker) Close(context.Context) error {
	b.mu.Lock()
	topics := b.topics
	b.to, b.topics = nil, make(map[string]*memoryTopic)
	b.mu.Unlock()
	for _, t := range topics {
		t.remove(b)
	}
	return nil
}
