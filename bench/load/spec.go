//go:build linux

// Package load is the bench's load generator: it speaks WebSocket over raw sockets with frames built beforehand, checks every
// byte that comes back, and reads the server's CPU clock around each window. It shares no code with any server under test.
package load

import "time"

// Kind is what the load generator does.
type Kind string

const (
	Echo    Kind = "echo"    // each connection sends InFlight messages in one write, waits for all replies, and begins again
	Fan     Kind = "fan"     // the first connection sends one message, and each connection waits for Fan messages
	Idle    Kind = "idle"    // connections that are opened, say one message each, and then only stay
	Upgrade Kind = "upgrade" // connect, shake hands, close, again and again
)

// Payload is what messages consist of.
type Payload string

const (
	Binary Payload = "binary" // random bytes, in binary messages
	ASCII  Payload = "ascii"  // printable ASCII, in text messages
	CJK    Payload = "cjk"    // three-byte characters, in text messages
	JSON   Payload = "json"   // records of a chat and a ticker, all different, in text messages
)

// Spec says what load to put on which server. It travels to the load generator's process as JSON.
type Spec struct {
	Kind     Kind
	Addr     string  // host:port on the loopback
	PID      int     // the process whose CPU time is read; 0: the caller's own
	Raw      bool    // the server echoes bytes and knows no WebSocket
	TLS      bool    // Idle only
	Conns    int     // connections; for Upgrade, how many at a time
	Payload  Payload //
	Size     int     // bytes a message
	InFlight int     // Echo: messages a connection sends before it waits
	Fan      int     // Fan: messages that each connection gets for one message of the first one
	Stalled  int     // Fan: so many of the connections, the last ones, read nothing
	Numbered bool    // Fan: the first byte of the k-th of them is k, not the payload's
	Deflate  bool    // offer permessage-deflate, and fail unless the server takes it
	Takeover bool    // with Deflate: fail unless both sides keep their context; without: unless both give it up
	Mixed    bool    // Fan: in turn, connections offer no permessage-deflate, offer it without context takeover, and as browsers do
	Window   int     // with Deflate: offer this many window bits for both sides; 0: offer as browsers do
}

// of returns the spec of the i-th connection.
func (s Spec) of(i int) Spec {
	if s.Mixed {
		s.Deflate, s.Takeover = i%s.kinds() > 0, i%s.kinds() > 1
	}
	return s
}

// readers is how many connections read.
func (s Spec) readers() int { return s.Conns - s.Stalled }

// kinds is how many connections in a row differ.
func (s Spec) kinds() int {
	if s.Mixed {
		return 3
	}
	return 1
}

// Result is what one window saw.
type Result struct {
	Messages int           // replies that came back whole and right; for Upgrade: connections
	CPU      time.Duration // of process PID, over the window
	Load     time.Duration // CPU of the load generator itself
	Wall     time.Duration // length of the window, up to the last reply
	P50, P99 time.Duration // Fan: from sending a message to its last copy, over all connections that read
	In, Out  int64         // bytes received and sent
}
