package conformance

import (
	"bytes"
	"fmt"
	"time"
)

// echoTest sends messages one after the other, each when the echo of the last one has arrived.
type echoTest struct {
	op       opcode
	count    int
	limit    time.Duration
	next     func() []byte // the next message; the result is kept until its echo is there
	fragment int           // cut messages into fragments of so many bytes; 0: don't
	chop     int           // write frames in pieces of so many bytes; 0: don't

	verdict Verdict
	why     string
}

// runEcho plays sc.echo and closes the connection, whatever came of it.
func (s *session) runEcho(sc *script) {
	e := sc.echo
	defer s.sendClose(1000)
	e.verdict, e.why = Failed, fmt.Sprintf("not all of %d messages were echoed in %v", e.count, e.limit)
	sent, last := 0, []byte(nil)
	send := func() {
		last = e.next()
		sent++
		s.sendMessage(e, last)
	}
	done := false
	s.onData = func(op opcode, payload []byte) {
		switch {
		case done:
		case op != e.op || !bytes.Equal(payload, last):
			done = true
			e.why = fmt.Sprintf("echo %d is a message of opcode %d and %d bytes, other than what was sent (%d and %d)",
				sent, op, len(payload), e.op, len(last))
		case sent < e.count:
			send()
		default:
			done = true
			e.verdict, e.why = OK, ""
		}
	}
	send()
	s.readUntil(e.limit, func() bool { return done || !s.open() })
	if !done && !s.open() {
		e.why = fmt.Sprintf("the peer ended the connection before echo %d of %d", sent, e.count)
	}
}

// sendMessage sends a message as e wants it, compressed if that was agreed on.
func (s *session) sendMessage(e *echoTest, payload []byte) {
	rsv := byte(0)
	if s.codec != nil {
		payload, rsv = s.codec.encode(payload), rsv1
	}
	fs := fragments(e.op, rsv, payload, e.fragment)
	s.out.queue(writes(mapFrames(fs, func(f *frame) { f.chop = e.chop }), s.client))
}
