package conn

import (
	"context"
	"time"

	"github.com/tidewire/ws/internal/wire"
)

// Observer is told what happens to connections, for metrics and traces. Each of
// its functions may be nil, which costs nothing; they must not be changed while
// connections use it.
//
// They run where things happen, some of them with the connection's locks held.
// So they have to be quick, may be called by several goroutines at a time, and
// of the connection's methods only Context, Subprotocol, Compression, LocalAddr
// and RemoteAddr may be called.
type Observer struct {
	// Opened: a handshake is done, or, by package ws, a dial. ctx is the
	// connection's, and on the server ws.Request returns the upgrade's request for it.
	Opened func(ctx context.Context, c *Conn)
	// Refused: a server has refused an upgrade, with an HTTP status. by names what
	// refused: one of few words, fit for a metric's label. ws.Request returns the request for ctx.
	Refused func(ctx context.Context, by string, status int)
	// Closed: the connection is over, with the cause that its context has.
	Closed func(c *Conn, cause error)

	// MessageIn: a message has arrived, with n bytes of payload, unpacked.
	MessageIn func(c *Conn, t MessageType, n int)
	// MessageOut: a message has been accepted, with n bytes of payload, not packed.
	MessageOut func(c *Conn, t MessageType, n int)
	// Queued: a message has been accepted while an earlier one is still being
	// sent; n bytes wait in front of it.
	Queued func(c *Conn, n int)

	// RoundTrip: a ping, keepalive's or Ping's, was answered after d.
	RoundTrip func(c *Conn, d time.Duration)
	// WriteStalled: the peer was slow to take what was sent; it has taken d, which
	// is at least a millisecond. It comes when the peer has taken it, or never will.
	WriteStalled func(c *Conn, d time.Duration)
}

// minStall is the shortest stall that an Observer is told of.
const minStall = time.Millisecond

// observeIn is told of each piece of a message.
func (o *Observer) observeIn(c *Conn, op wire.Opcode, n int, last bool) {
	part := &c.in.part
	if *part += n; !last {
		return
	}
	n, *part = *part, 0
	if o.MessageIn != nil {
		o.MessageIn(c, MessageType(op), n)
	}
}

// observeOut is told of each message, with out.mu held.
func (o *Observer) observeOut(c *Conn, t MessageType, n int) {
	if o.Queued != nil && c.out.busy {
		o.Queued(c, int(c.out.accepted-c.out.written))
	}
	if o.MessageOut != nil {
		o.MessageOut(c, t, n)
	}
}

func (o *Observer) observeClosed(c *Conn, cause error) {
	if o != nil && o.Closed != nil {
		o.Closed(c, cause)
	}
}

// stallClock returns when sending began, the zero time if nobody wants to know.
func (o *Observer) stallClock() time.Time {
	if o == nil || o.WriteStalled == nil {
		return time.Time{}
	}
	return time.Now()
}

// observeStall ends what stallClock began.
func (o *Observer) observeStall(c *Conn, since time.Time) {
	if since.IsZero() {
		return
	}
	if d := time.Since(since); d >= minStall {
		o.WriteStalled(c, d)
	}
}

// roundTrip notes that a ping was answered.
func (c *Conn) roundTrip(d time.Duration) {
	c.watch.rtt.Store(uint32(min(max(d.Microseconds(), 1), 1<<32-1)))
	if o := c.observer; o != nil && o.RoundTrip != nil {
		o.RoundTrip(c, d)
	}
}
