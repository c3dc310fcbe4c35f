package nats

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tidewire/ws/hub"
)

// Stream is the JetStream stream with the histories of all rooms. It is made, or
// changed to be as said here, when a broker starts, so that all nodes have to say
// the same.
//
// What Publish has acknowledged is kept by as many servers as there are Replicas.
// Messages with hub.Message's ID are taken once, also if they are published again
// within two minutes, by whatever node.
type Stream struct {
	Name      string                // default "WS"
	Replicas  int                   // servers that have it; default 1
	Storage   jetstream.StorageType // default jetstream.FileStorage
	PerRoom   int64                 // messages that are kept of a room; rooms' History can't be more; default 1000
	MaxAge    time.Duration         // how long messages are kept; rooms' KeepFor can't be longer; default 24 h
	MaxBytes  int64                 // size of the stream, beyond which the oldest messages go; default no bound
	Placement *jetstream.Placement  // default anywhere
}

const (
	defaultPerRoom = 1000
	defaultMaxAge  = 24 * time.Hour
	idsFor         = 2 * time.Minute
)

// kept is a broker with histories.
//
// A topic's messages are stored with one subject and published again by the
// stream under another one, with their sequence number, which is the offset,
// and that of the subject's message before. The stream's creation is the epoch.
type kept struct {
	*broker
	cfg   Stream
	js    jetstream.JetStream
	state atomic.Pointer[streamState]
}

// streamState is the stream as it was last opened.
type streamState struct {
	nc    *nats.Conn
	name  string
	epoch string
}

var (
	_ hub.Broker  = (*kept)(nil)
	_ hub.History = (*kept)(nil)
)

func newKept(b *broker, s Stream) *kept {
	if s.Name == "" {
		s.Name = "WS"
	}
	if s.PerRoom == 0 {
		s.PerRoom = defaultPerRoom
	}
	if s.MaxAge == 0 {
		s.MaxAge = defaultMaxAge
	}
	return &kept{broker: b, cfg: s}
}

func (b *kept) Start(ctx context.Context, r hub.Receiver) error {
	var err error
	if b.js, err = jetstream.New(b.nc); err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	if err := b.openStream(ctx); err != nil {
		return err
	}
	return b.start(ctx, r, b.back)
}

const (
	openFor     = 30 * time.Second
	openTimeout = 2 * time.Second // of a try
	openPause   = 100 * time.Millisecond
)

// openStream makes the stream if it isn't there. A cluster that is just forming, or
// elects a leader, doesn't answer, or refuses for the moment.
func (b *kept) openStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openFor)
	defer cancel()
	for {
		err := b.tryOpenStream(ctx)
		if err == nil {
			return nil
		}
		if !passing(err) || ctx.Err() != nil {
			return fmt.Errorf("nats: stream %s: %w", b.cfg.Name, err)
		}
		select {
		case <-time.After(openPause):
		case <-ctx.Done():
		}
	}
}

// passing reports whether an error may be gone in a moment.
func passing(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code == http.StatusServiceUnavailable || api.ErrorCode == codeNoPeers
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders)
}

// codeNoPeers is the answer while there are fewer servers than replicas.
const codeNoPeers jetstream.ErrorCode = 10005

func (b *kept) tryOpenStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	s, err := b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:              b.cfg.Name,
		Subjects:          []string{b.subject(stored, "*")},
		RePublish:         &jetstream.RePublish{Source: b.subject(stored, "*"), Destination: b.subject(copied, "{{wildcard(1)}}")},
		Replicas:          max(1, b.cfg.Replicas),
		Storage:           b.cfg.Storage,
		MaxMsgsPerSubject: b.cfg.PerRoom,
		MaxAge:            b.cfg.MaxAge,
		MaxBytes:          b.cfg.MaxBytes,
		Duplicates:        min(idsFor, b.cfg.MaxAge),
		Placement:         b.cfg.Placement,
		AllowDirect:       true,
	})
	if err != nil {
		return err
	}
	created := s.CachedInfo().Created
	b.state.Store(&streamState{b.nc, b.cfg.Name, strconv.FormatInt(created.UnixNano(), 36)})
	return nil
}

// back finds out, after an interruption, whether the stream is still the same.
func (b *kept) back() {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	_ = b.openStream(ctx) // the next call that needs the stream will say what is wrong
	b.broker.back()
}

// check refuses what the stream is not made for.
func (b *kept) check(t hub.Topic) error {
	switch {
	case int64(t.History) > b.cfg.PerRoom:
		return fmt.Errorf("nats: a history of %d messages, but Stream.PerRoom is %d", t.History, b.cfg.PerRoom)
	case t.KeepFor > b.cfg.MaxAge:
		return fmt.Errorf("nats: a history of %v, but Stream.MaxAge is %v", t.KeepFor, b.cfg.MaxAge)
	}
	return b.started()
}

func (b *kept) Subscribe(ctx context.Context, t hub.Topic) error {
	if t.History == 0 {
		return b.broker.Subscribe(ctx, t)
	}
	if err := b.check(t); err != nil {
		return err
	}
	err := b.subscribe(ctx, t.Name, b.subject(copied, t.Name), func(m *nats.Msg) {
		offset, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
		prev, err2 := strconv.ParseUint(m.Header.Get("Nats-Last-Sequence"), 10, 64)
		if err != nil || err2 != nil {
			return // it is not the stream who says this
		}
		pos := hub.Position{Offset: offset, Epoch: b.state.Load().epoch}
		b.tell(func(r hub.Receiver) { r.Deliver(hub.Delivery{Topic: t.Name, Data: m.Data, Pos: pos, Prev: prev}) })
	})
	if err != nil {
		return err
	}
	return b.reachLeader(ctx, b.subject(stored, t.Name))
}

// reachLeader returns when the server of the stream's leader knows of this
// broker's subscriptions: when it has answered a message that took the same way,
// which API requests do not. The message is one that it refuses.
func (b *kept) reachLeader(ctx context.Context, subject string) error {
	_, err := b.js.Publish(ctx, subject, nil, jetstream.WithExpectLastSequencePerSubject(math.MaxInt64))
	var api *jetstream.APIError
	if err == nil || errors.As(err, &api) && slices.Contains(codesWrongLast, api.ErrorCode) {
		return nil
	}
	return fmt.Errorf("nats: subscribe: %w", err)
}

// codesWrongLast are the answers to a message that says what is before it, and
// is wrong.
var codesWrongLast = []jetstream.ErrorCode{jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant}

func (b *kept) Publish(ctx context.Context, t hub.Topic, id string, data []byte) (hub.Position, error) {
	if t.History == 0 {
		return b.broker.Publish(ctx, t, id, data)
	}
	if err := b.check(t); err != nil {
		return hub.Position{}, err
	}
	var opts []jetstream.PublishOpt
	if id != "" {
		opts = append(opts, jetstream.WithMsgID(t.Name+"/"+url.QueryEscape(id))) // ids are the stream's, not the room's
	}
	var ack *jetstream.PubAck
	err := retry(ctx, func() (err error) {
		ack, err = b.js.Publish(ctx, b.subject(stored, t.Name), data, opts...)
		return err
	}, codeInProcess)
	if err != nil {
		return hub.Position{}, fmt.Errorf("nats: publish: %w", err)
	}
	return hub.Position{Offset: ack.Sequence, Epoch: b.state.Load().epoch}, nil
}

// codeInProcess is a replicated stream's answer to a message while another one
// with its ID is on its way to the replicas.
const codeInProcess jetstream.ErrorCode = 10158

const (
	retries    = 10
	retryPause = 5 * time.Millisecond
)

// retry calls f, a few times while it fails with one of the codes.
func retry(ctx context.Context, f func() error, codes ...jetstream.ErrorCode) (err error) {
	for i := range retries {
		var api *jetstream.APIError
		if err = f(); !errors.As(err, &api) || !slices.Contains(codes, api.ErrorCode) {
			return err
		}
		select {
		case <-time.After(retryPause << i):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// History needs the message at a position to say that those behind it are all
// there: a room's messages go in their order.
func (b *kept) History(ctx context.Context, t hub.Topic, since hub.Position, limit int) ([]hub.Delivery, hub.Position, error) {
	if err := b.check(t); err != nil {
		return nil, hub.Position{}, err
	}
	s, subject := b.state.Load(), b.subject(stored, t.Name)
	last, err := b.last(ctx, s, subject)
	if err != nil {
		return nil, last, fmt.Errorf("nats: history: %w", err)
	}
	known := since != hub.Position{}
	if known && (since.Epoch != last.Epoch || since.Offset > last.Offset) {
		return nil, last, hub.ErrUnrecoverable
	}
	ds, err := b.read(ctx, s, t.Name, since.Offset, last.Offset, limit)
	if err == nil && known {
		var there bool
		if there, err = s.has(ctx, subject, since.Offset); err == nil && !there {
			return nil, last, hub.ErrUnrecoverable
		}
	}
	if err != nil {
		return nil, last, fmt.Errorf("nats: history: %w", err)
	}
	return ds, last, nil
}

// last returns the position of a subject's last message. In one without messages
// it stores one without data, from which can be read on.
func (b *kept) last(ctx context.Context, s *streamState, subject string) (p hub.Position, err error) {
	p.Epoch = s.epoch
	err = retry(ctx, func() error {
		m, err := s.get(ctx, getRequest{LastFor: subject})
		if err == nil {
			p.Offset = m.Seq
		}
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return err
		}
		ack, err := b.js.Publish(ctx, subject, nil, jetstream.WithExpectLastSequencePerSubject(0))
		if err == nil {
			p.Offset = ack.Sequence
		}
		return err
	}, codesWrongLast...) // somebody else was faster
	return p, err
}

// few is how many messages are asked of the leader one by one; after that many
// it is worth to ask for a batch.
const few = 4

// read reads a topic's messages behind an offset, up to another one.
func (b *kept) read(ctx context.Context, s *streamState, topic string, since, last uint64, limit int) (ds []hub.Delivery, err error) {
	subject := b.subject(stored, topic)
	for prev := since; len(ds) < limit && prev < last; {
		var more []*storedMsg
		if len(ds) == few {
			more, err = s.getMany(ctx, subject, prev+1, limit-few)
		}
		if len(more) == 0 && err == nil {
			var m *storedMsg
			m, err = s.get(ctx, getRequest{Seq: prev + 1, NextFor: subject})
			more = append(more, m)
		}
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break // they have expired meanwhile
		}
		if err != nil {
			return nil, err
		}
		for _, m := range more {
			if m.Seq > last { // all before it have expired meanwhile
				return ds, nil
			}
			ds = append(ds, hub.Delivery{Topic: topic, Data: m.Data, Pos: hub.Position{Offset: m.Seq, Epoch: s.epoch}, Prev: prev})
			prev = m.Seq
		}
	}
	return ds, nil
}

// has reports whether a subject still has a message.
func (s *streamState) has(ctx context.Context, subject string, offset uint64) (bool, error) {
	m, err := s.get(ctx, getRequest{Seq: offset})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil && m.Subject == subject, err
}
