package ws

import (
	"errors"
	"maps"
	"net"
	"strconv"
	"time"

	"github.com/tidewire/ws/conn"
)

// Traffic counts the data messages of one direction; see conn.Traffic.
type Traffic = conn.Traffic

// Stats are the figures of a Handler or a Group at one time.
type Stats struct {
	Live     int              // connections
	Opened   int64            // connections ever
	Refused  int64            // upgrades ever; a Handler's own refusals, not those of middleware
	In, Out  Traffic          // of all connections ever
	Closed   map[string]int64 // connections that have ended, by CauseLabel
	Last     []Closing        // the latest 16 of these, the latest first
	Draining bool             // Shutdown has been called
}

// Closing is a connection that has ended.
type Closing struct {
	Time   time.Time
	Remote string        // its address
	Age    time.Duration // that it reached
	Cause  error
}

// Stats returns the handler's figures. It looks at every live connection.
func (h *Handler) Stats() Stats { return h.live.Stats() }

// Stats returns the group's figures. It looks at every live connection.
func (g *Group) Stats() Stats {
	live := g.connections()
	g.mu.Lock()
	s := g.totals.stats()
	s.Live, s.Draining = len(g.conns), g.empty != nil
	g.mu.Unlock()
	for _, l := range live {
		stats := l.conn.Stats()
		s.In, s.Out = sum(s.In, stats.In), sum(s.Out, stats.Out)
	}
	return s
}

func sum(a, b Traffic) Traffic {
	return Traffic{Messages: a.Messages + b.Messages, Bytes: a.Bytes + b.Bytes}
}

// liveConn is a connection and when it was opened.
type liveConn struct {
	conn   *Conn
	opened time.Time
}

// connections returns the live connections in no order.
func (g *Group) connections() []liveConn {
	g.mu.Lock()
	defer g.mu.Unlock()
	live := make([]liveConn, 0, len(g.conns))
	for c, opened := range g.conns {
		live = append(live, liveConn{c, time.Unix(0, opened)})
	}
	return live
}

// totals are what a group remembers of connections that have ended.
type totals struct {
	opened, refused int64
	in, out         Traffic
	closed          map[string]int64
	last            [16]closing
	count           int // ever put into last
}

// closing is a Closing whose address is put into words when somebody asks.
type closing struct {
	time   time.Time
	remote net.Addr // may be nil
	age    time.Duration
	cause  error
}

func (e closing) public() Closing {
	c := Closing{Time: e.time, Age: e.age, Cause: e.cause}
	if e.remote != nil {
		c.Remote = e.remote.String()
	}
	return c
}

func (t *totals) stats() Stats {
	s := Stats{Opened: t.opened, Refused: t.refused, In: t.in, Out: t.out, Closed: make(map[string]int64, len(t.closed))}
	maps.Copy(s.Closed, t.closed)
	for i := range min(t.count, len(t.last)) {
		s.Last = append(s.Last, t.last[(t.count-1-i)%len(t.last)].public())
	}
	return s
}

// ended adds a connection that has.
func (t *totals) ended(c *Conn, opened int64, cause error) {
	stats, now := c.Stats(), time.Now()
	t.in, t.out = sum(t.in, stats.In), sum(t.out, stats.Out)
	if t.closed == nil {
		t.closed = make(map[string]int64)
	}
	t.closed[CauseLabel(cause)]++
	t.last[t.count%len(t.last)] = closing{now, c.RemoteAddr(), now.Sub(time.Unix(0, opened)), cause}
	t.count++
}

// causes are the labels of a connection's own ends.
var causes = []struct {
	err   error
	label string
}{
	{conn.ErrIdle, "idle"},
	{conn.ErrPongTimeout, "pong_timeout"},
	{conn.ErrWriteStalled, "write_stalled"},
	{conn.ErrReadLimit, "read_limit"},
	{conn.ErrFragments, "fragments"},
	{conn.ErrControlFlood, "control_flood"},
	{conn.ErrRateLimit, "rate_limit"},
	{conn.ErrMessageTimeout, "message_timeout"},
	{conn.ErrCloseTimeout, "close_timeout"},
	{conn.ErrWriteCut, "write_cut"},
	{conn.ErrUnexpectedMessage, "unexpected_message"},
	{conn.ErrExpired, "expired"},
	{conn.ErrLifetime, "lifetime"},
	{conn.ErrShutdown, "shutdown"},
}

// CauseLabel is a word for why a connection ended, for metrics: one of about
// forty, whatever peers send. It is "close_1000" and so on by the peer's close
// code, with "close_3xxx" and "close_4xxx" for those that are not registered,
// "close_1006" for an end without a close frame; "protocol" for a peer that broke
// the protocol; the name of the error for one of package conn's, such as
// "idle" or "shutdown"; and "other".
func CauseLabel(cause error) string {
	closed, isClose := errors.AsType[*CloseError](cause)
	if isClose && closed.Err == nil { // as most connections end
		return closeLabel(closed.Code)
	}
	for _, c := range causes {
		if errors.Is(cause, c.err) {
			return c.label
		}
	}
	if isClose {
		return closeLabel(closed.Code)
	}
	if _, ok := errors.AsType[*ProtocolError](cause); ok {
		return "protocol"
	}
	return "other"
}

func closeLabel(code StatusCode) string {
	switch {
	case code == StatusNormal:
		return "close_1000"
	case code == StatusGoingAway:
		return "close_1001"
	case code >= 1000 && code < 1016 || code == statusUnauthorized:
		return "close_" + strconv.Itoa(int(code))
	case code >= 3000 && code < 5000:
		return "close_" + strconv.Itoa(int(code)/1000) + "xxx"
	}
	return "close_other"
}
