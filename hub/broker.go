package hub

import (
	"context"
	"errors"
	"time"

	"github.com/tidewire/ws/codec"
)

// Broker carries messages between nodes, and may keep some of them for a while
// (History). Package brokertest says by tests what is expected of one.
//
// Methods may be called from any goroutine. A Broker belongs to one Hub.
type Broker interface {
	// Start connects, and has r told of what arrives from then on. It returns
	// when messages can be published. After an interruption the broker
	// reconnects and subscribes again by itself.
	Start(ctx context.Context, r Receiver) error

	// Subscribe has r told of the topic's messages: of all that are published
	// after it has returned.
	Subscribe(ctx context.Context, t Topic) error

	// Unsubscribe is Subscribe's end. A few messages may still be delivered.
	Unsubscribe(ctx context.Context, t Topic) error

	// Publish sends data, which it does not keep, to every subscriber of the
	// topic, this one included. Messages of one goroutine arrive in its order, if
	// they do: without a history they may get lost, at every node on its own.
	//
	// In a topic with a history nil means that the message is kept; the result is
	// its position. If id is not empty, and a message with that id was published in the topic
	// lately (2 minutes, say), Publish returns that one's position and does nothing.
	Publish(ctx context.Context, t Topic, id string, data []byte) (Position, error)

	// Close unsubscribes from everything and lets go of what Start has taken.
	// When it has returned r is told of nothing more.
	Close(ctx context.Context) error
}

// Receiver is what a Broker tells of what arrives. Its methods return soon.
type Receiver interface {
	// Deliver hands over a message. Those of a topic come one at a time, and
	// with a history in the order of their positions, unless they were published
	// at the same moment: d.Prev shows what has not come yet, and what comes late
	// or again is dropped. Nobody changes d.Data any more.
	Deliver(d Delivery)

	// Lost says that messages of some topics, nil means all of them, may not
	// have been delivered, in an interruption for instance. A loss that shows in
	// Delivery.Prev need not be told.
	Lost(topics []string)
}

// Topic is a stream of messages. Its name is of ASCII letters, digits,
// and the characters - _ % and :, at most 400 of them.
type Topic struct {
	Name string

	// History is how many of its last messages are kept, at least while they
	// are younger than KeepFor; 0: none are. A Broker without History refuses.
	History int
	KeepFor time.Duration
}

// Delivery is a message that has arrived. Without a history the positions are zero.
type Delivery struct {
	Topic string
	Data  []byte
	Pos   Position
	Prev  uint64 // offset of the topic's message before it, 0 if none is kept
}

// Position is a place in a topic's history; see codec.Position.
type Position = codec.Position

// History is a Broker that keeps messages.
type History interface {
	// History returns the messages after a position, in order, limit of them at
	// most, and the position of the topic's last message. The zero position
	// means all that are kept. The error is ErrUnrecoverable, and last set
	// nevertheless, if it is not certain that all messages since are still there.
	//
	// last is never the zero position: it is a place from which can be read on,
	// also in a topic without messages.
	History(ctx context.Context, t Topic, since Position, limit int) (ds []Delivery, last Position, err error)
}

var (
	// ErrUnrecoverable means that messages since a position are gone, or that
	// the position means nothing any more.
	ErrUnrecoverable = errors.New("hub: messages since that position are not kept any more")

	// ErrSlow is the cause of connections that are closed because they read too slowly.
	ErrSlow = errors.New("hub: connection reads too slowly")

	// ErrKicked is the cause of connections that are closed by Hub.Kick.
	ErrKicked = errors.New("hub: connection was kicked")

	// ErrClosed is returned by calls to a Hub that has been closed, or has a
	// Broker and has not been started.
	ErrClosed = errors.New("hub: not running")
)
