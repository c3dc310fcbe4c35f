package hub

import (
	"fmt"

	"github.com/tidewire/ws"
)

// Policy says what happens to a message for a member whose queue is full. It
// concerns the messages of its own room only: one room never pushes out
// another's.
type Policy uint8

const (
	// DropOldest drops the oldest waiting messages of the room. It is the default.
	DropOldest Policy = iota + 1
	// DropNewest drops the message that finds the queue full.
	DropNewest
	// LatestWins has a message take the place of a waiting one with the same
	// Message.Key, whether the queue is full or not, as a price ticker wants it;
	// otherwise it is DropOldest. It excludes a history.
	LatestWins
	// Wait has Publish wait for the slowest member, until its context ends; the
	// others have the message by then. Messages that come from other nodes, and
	// those of rooms with a history, can't wait: up to as many bytes again are
	// queued for them, and then they are dropped.
	Wait
	// TryAgainLater closes the member's connection with 1013, because of ErrSlow.
	TryAgainLater
	// Violation closes the member's connection with 1008, because of ErrSlow.
	Violation
)

func (p Policy) check() error {
	if p < DropOldest || p > Violation {
		return fmt.Errorf("hub: there is no policy %d", p)
	}
	return nil
}

// closes returns the close code of a policy that closes, else 0.
func (p Policy) closes() ws.StatusCode {
	switch p {
	case TryAgainLater:
		return ws.StatusTryAgainLater
	case Violation:
		return ws.StatusPolicyViolation
	}
	return 0
}
