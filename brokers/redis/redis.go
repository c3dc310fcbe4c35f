// Package redis lets hubs on many nodes talk through Redis, or what speaks its
// protocol, with histories in streams.
//
//	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{"127.0.0.1:6379"}})
//	h := hub.New(&hub.Options{Broker: redis.New(client, nil)})
//
// In a room without a history delivery is at most once, as Redis's publish and
// subscribe is. A message to a room with a history is added to the room's stream
// and published by one script, and when Publish returns Redis has it: that is as
// durable as Redis is configured to be. A failover may lose what the new primary
// had not yet got; positions from before are then of another epoch, or are taken
// by other messages if the new primary has lost only the last ones.
//
// Redis 6.2 is needed, and 7.0 for Options.Sharded.
package redis

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/tidewire/ws/hub"
)

// Options are a broker's settings.
type Options struct {
	// Prefix is what all keys and channels begin with; default "ws:".
	Prefix string

	// Sharded uses sharded publish and subscribe: on a Redis Cluster a message
	// goes to the nodes of one shard then, and not to all.
	Sharded bool
}

// New returns a broker, for one hub. o may be nil. The client stays the
// caller's, to be closed after the hub.
func New(client rueidis.Client, o *Options) hub.Broker {
	b := &broker{client: client, prefix: "ws:", topics: make(map[string]*subscription)}
	if o != nil {
		b.sharded = o.Sharded
		if o.Prefix != "" {
			b.prefix = o.Prefix
		}
	}
	b.publish = rueidis.NewLuaScript(strings.Replace(publishScript, "$PUBLISH", b.command("PUBLISH"), 1))
	b.history = rueidis.NewLuaScript(historyScript)
	return b
}

type broker struct {
	client           rueidis.Client
	prefix           string
	sharded          bool
	publish, history *rueidis.Lua

	telling sync.RWMutex // held while the receiver is told of something; Close waits for it
	to      hub.Receiver // nil: not started, or closed; telling guards it

	mu     sync.Mutex
	topics map[string]*subscription // guarded by mu
}

var (
	_ hub.Broker  = (*broker)(nil)
	_ hub.History = (*broker)(nil)
)

// command is a publish or subscribe command, sharded or not.
func (b *broker) command(name string) string {
	if b.sharded {
		return "S" + name
	}
	return name
}

// key is a topic's key, or its channel. On a cluster all of a topic's are in one slot.
func (b *broker) key(topic, kind string) string { return b.prefix + "{" + topic + "}" + kind }

func (b *broker) Start(ctx context.Context, r hub.Receiver) error {
	if err := b.client.Do(ctx, b.client.B().Ping().Build()).Error(); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	b.telling.Lock()
	defer b.telling.Unlock()
	b.to = r
	return nil
}

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
		return fmt.Errorf("redis: %w", hub.ErrClosed)
	}
	return nil
}

func (b *broker) Publish(ctx context.Context, t hub.Topic, id string, data []byte) (hub.Position, error) {
	if err := b.started(); err != nil {
		return hub.Position{}, err
	}
	if t.History > 0 {
		return b.publishKept(ctx, t, id, data)
	}
	channel, text := b.key(t.Name, ""), rueidis.BinaryString(data)
	cmd := b.client.B().Arbitrary(b.command("PUBLISH")).Keys(channel).Args(text).Build()
	if err := b.client.Do(ctx, cmd).Error(); err != nil {
		return hub.Position{}, fmt.Errorf("redis: publish: %w", err)
	}
	return hub.Position{}, nil
}

// publishScript adds a message to a stream and publishes it. A topic's epoch and
// the offset of its last message are in a hash that outlives the stream, so that
// a room that was quiet for long is still known to have had no messages.
const publishScript = `
local seen = KEYS[4] ~= KEYS[1] and redis.call('GET', KEYS[4])
if seen then return seen end
redis.call('HSETNX', KEYS[2], 'epoch', ARGV[4])
local epoch = redis.call('HGET', KEYS[2], 'epoch')
local n = string.format('%.0f', redis.call('HINCRBY', KEYS[2], 'last', 1))
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[2], n .. '-0', 'd', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
local pos = n .. ':' .. epoch
if KEYS[4] ~= KEYS[1] then redis.call('SET', KEYS[4], pos, 'PX', ARGV[6]) end
redis.call('$PUBLISH', KEYS[3], pos .. ':' .. ARGV[1])
return pos`

const (
	// epochFor is how long a topic's epoch is kept beyond its last use.
	epochFor = 7 * 24 * time.Hour
	// idsFor is how long ids of messages are remembered.
	idsFor = 2 * time.Minute
)

func (b *broker) publishKept(ctx context.Context, t hub.Topic, id string, data []byte) (hub.Position, error) {
	stream := b.key(t.Name, ":stream")
	keys := []string{stream, b.key(t.Name, ":meta"), b.key(t.Name, ""), stream}
	if id != "" {
		keys[3] = b.key(t.Name, ":id:"+id)
	}
	pos, err := b.publish.Exec(ctx, b.client, keys, []string{
		rueidis.BinaryString(data), strconv.Itoa(t.History), millis(t.KeepFor),
		rand.Text()[:10], millis(t.KeepFor + epochFor), millis(idsFor),
	}).ToString()
	if err != nil {
		return hub.Position{}, fmt.Errorf("redis: publish: %w", err)
	}
	p, _, err := parsePosition(pos + ":")
	return p, err
}

func millis(d time.Duration) string { return strconv.FormatInt(max(1, d.Milliseconds()), 10) }

// parsePosition takes the position off what the script has published.
func parsePosition(s string) (p hub.Position, rest string, err error) {
	n, rest, ok := strings.Cut(s, ":")
	epoch, rest, ok2 := strings.Cut(rest, ":")
	p.Epoch = epoch
	if p.Offset, err = strconv.ParseUint(n, 10, 64); err != nil || !ok || !ok2 {
		return hub.Position{}, "", fmt.Errorf("redis: a message begins with %.40q and no position", s)
	}
	return p, rest, nil
}

// historyScript returns epoch, last offset, and the messages from an offset on.
const historyScript = `
redis.call('HSETNX', KEYS[2], 'epoch', ARGV[3])
local meta = redis.call('HMGET', KEYS[2], 'epoch', 'last')
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
local all = {}
if ARGV[2] ~= '0' then all = redis.call('XRANGE', KEYS[1], ARGV[1] .. '-0', '+', 'COUNT', ARGV[2]) end
return {meta[1], meta[2] or '0', all}`

func (b *broker) History(ctx context.Context, t hub.Topic, since hub.Position, limit int) ([]hub.Delivery, hub.Position, error) {
	if err := b.started(); err != nil {
		return nil, hub.Position{}, err
	}
	keys := []string{b.key(t.Name, ":stream"), b.key(t.Name, ":meta")}
	reply, err := b.history.Exec(ctx, b.client, keys, []string{
		strconv.FormatUint(since.Offset+1, 10), strconv.Itoa(limit), rand.Text()[:10], millis(t.KeepFor + epochFor),
	}).ToArray()
	if err != nil {
		return nil, hub.Position{}, fmt.Errorf("redis: history: %w", err)
	}
	if len(reply) != 3 {
		return nil, hub.Position{}, fmt.Errorf("redis: history: a reply of %d values", len(reply))
	}
	last, err := position(reply[0], reply[1])
	if err != nil {
		return nil, last, err
	}
	ds, err := deliveries(t.Name, last.Epoch, reply[2])
	if err != nil {
		return nil, last, err
	}
	if (since != hub.Position{}) && !continues(since, last, ds, limit) {
		return nil, last, hub.ErrUnrecoverable
	}
	return ds, last, nil
}

// continues reports whether ds is all that came since.
func continues(since, last hub.Position, ds []hub.Delivery, limit int) bool {
	switch {
	case since.Epoch != last.Epoch || since.Offset > last.Offset:
		return false
	case since.Offset == last.Offset || limit == 0:
		return true
	}
	return len(ds) > 0 && ds[0].Pos.Offset == since.Offset+1
}

func position(epoch, offset rueidis.RedisMessage) (p hub.Position, err error) {
	if p.Epoch, err = epoch.ToString(); err != nil {
		return p, fmt.Errorf("redis: history: %w", err)
	}
	n, err := offset.ToString()
	if err == nil {
		p.Offset, err = strconv.ParseUint(n, 10, 64)
	}
	if err != nil {
		return p, fmt.Errorf("redis: history: %w", err)
	}
	return p, nil
}

func deliveries(topic, epoch string, m rueidis.RedisMessage) ([]hub.Delivery, error) {
	entries, err := m.AsXRange()
	if err != nil {
		return nil, fmt.Errorf("redis: history: %w", err)
	}
	ds := make([]hub.Delivery, len(entries))
	for i, e := range entries {
		n, err := strconv.ParseUint(strings.TrimSuffix(e.ID, "-0"), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("redis: history: the stream has an entry %q of somebody else's", e.ID)
		}
		ds[i] = hub.Delivery{
			Topic: topic, Data: []byte(e.FieldValues["d"]),
			Pos: hub.Position{Offset: n, Epoch: epoch}, Prev: n - 1,
		}
	}
	return ds, nil
}

func (b *broker) Close(context.Context) error {
	b.telling.Lock()
	b.to = nil
	b.telling.Unlock()
	b.mu.Lock()
	topics := b.topics
	b.topics = nil
	b.mu.Unlock()
	for _, s := range topics {
		s.end()
	}
	for _, s := range topics {
		<-s.over
	}
	return nil
}
