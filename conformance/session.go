package conformance

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
	"unicode/utf8"
)

// session runs one script on an open connection. It belongs to one goroutine; only the writer has one of its own.
type session struct {
	conn   net.Conn
	client bool
	clock  clock
	in     parser
	out    *writer
	codec  *deflateCodec // nil: no compression

	// The message that is being received.
	messageOp  opcode // 0: none
	compressed bool
	message    []byte

	received []event
	onData   func(op opcode, payload []byte) // instead of recording messages

	closeSent, closeReceived bool
	ended                    bool // the TCP connection is over, or given up
	closedByUs               bool // the first close frame was the suite's
	killed                   bool // by the limit
	droppedByUs              bool // the TCP connection was ended from here
	timedOut                 string
	remoteCode               int // 0: none
	remoteReason             string
	violated                 error // what the peer did that nobody may
}

func newSession(conn net.Conn, client bool, early []byte, codec *deflateCodec, clock clock) *session {
	s := &session{conn: conn, client: client, codec: codec, clock: clock, out: newWriter(conn)}
	s.in = parser{masked: !client, compressed: codec != nil, buf: early}
	return s
}

// run plays the script and ends the connection.
func (s *session) run(sc *script) {
	defer s.out.stop()
	defer s.conn.Close()
	switch {
	case sc.deflate != nil && s.codec == nil:
		s.sendClose(1000) // nothing to test
	case sc.echo != nil:
		s.runEcho(sc)
	default:
		s.runPhases(sc)
	}
	s.finish()
}

func (s *session) runPhases(sc *script) {
	for _, ph := range sc.phases[:len(sc.phases)-1] {
		wait := s.clock.pause(ph.wait)
		if ph.reaction {
			wait = s.clock.limit(ph.wait)
		}
		s.send(ph.send)
		s.readUntil(wait, func() bool { return !s.open() || ph.answers > 0 && len(s.received) >= ph.answers })
		if !s.open() {
			return
		}
		s.record(survived(ph.mark))
	}
	s.send(sc.phases[len(sc.phases)-1].send)
	s.readUntil(s.clock.limit(sc.limit), func() bool {
		if s.open() && sc.closesEarly() && s.decided(sc) {
			s.sendClose(1000)
		}
		return !s.open()
	})
	if s.open() {
		s.limitReached(sc)
	}
}

// decided reports whether what was received is one of the wanted outcomes, or can't become one any more.
func (s *session) decided(sc *script) bool {
	if len(s.received) == 0 {
		return false
	}
	possible := false
	for _, w := range sc.want {
		if sameEvents(s.received, w.events) {
			return true
		}
		possible = possible || len(s.received) < len(w.events) && sameEvents(s.received, w.events[:len(s.received)])
	}
	return !possible
}

func sameEvents(a, b []event) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].equal(b[i]) {
			return false
		}
	}
	return true
}

func (s *session) limitReached(sc *script) {
	if sc.kill {
		s.killed = true
		s.sendClose(1001)
		return
	}
	s.sendClose()
}

// finish waits for what is left of the closing handshake and ends the connection. A server ends TCP as soon as both
// close frames have passed, a client gives the server a second to do it.
func (s *session) finish() {
	second := s.clock.limit(1)
	s.readUntil(second, func() bool { return s.closeReceived })
	if !s.closeReceived && !s.ended {
		s.timedOut = "the peer did not answer the close frame in time"
	}
	if s.client && s.closeReceived && s.violated == nil {
		s.readUntil(second, func() bool { return false })
		if !s.ended {
			s.timedOut = "the server did not end the TCP connection in time"
		}
	}
	if !s.ended {
		s.droppedByUs = true
		s.out.drain(second)
	}
}

func (s *session) open() bool { return !s.ended && !s.closeSent && !s.closeReceived }

// send queues frames. A frame of type close among them is the suite's close, unless reserved bits make it a mere error.
func (s *session) send(fs []frame) {
	for i := range fs {
		if fs[i].op == opClose && fs[i].rsv == 0 {
			s.closeSent, s.closedByUs = true, true
		}
	}
	s.out.queue(writes(fs, s.client))
}

// sendClose starts or answers the closing handshake.
func (s *session) sendClose(code ...uint16) {
	if s.closeSent || s.ended {
		return
	}
	s.closeSent, s.closedByUs = true, !s.closeReceived
	f := frame{op: opClose, fin: true}
	if len(code) > 0 {
		f = closeWith(code[0], "")
	}
	s.out.queue(writes([]frame{f}, s.client))
}

// readUntil handles what arrives until stop says so, the connection ends or the time is up.
func (s *session) readUntil(wait time.Duration, stop func() bool) {
	s.setDeadline(wait)
	for late := false; !s.ended; {
		if stop() {
			return
		}
		f, whole, err := s.in.next()
		switch {
		case err != nil:
			s.violation(err)
		case whole:
			s.handle(f)
		default:
			err := s.in.fill(s.conn)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				if late {
					return
				}
				late = true
				s.setDeadline(overslept)
			} else if err != nil {
				s.ended = true
			}
		}
	}
}

// overslept is how long it is tried, when a deadline has passed, to read what came before it: a deadline hides it, and on
// a busy machine this process may have been late itself.
const overslept = time.Millisecond

func (s *session) setDeadline(wait time.Duration) {
	if err := s.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		s.ended = true
	}
}

// violation fails the connection: what the peer says from now on has no meaning.
func (s *session) violation(err error) {
	s.violated = err
	s.sendClose(1002)
	s.out.drain(s.clock.limit(1))
	s.droppedByUs, s.ended = true, true
}

func (s *session) handle(f frame) {
	if s.closeReceived {
		s.violation(violation("5.5.1", "a frame after the close frame"))
		return
	}
	switch f.op {
	case opClose:
		s.handleClose(f.payload)
	case opPing:
		if s.open() {
			s.out.queue(writes([]frame{pong(string(f.payload))}, s.client))
		}
	case opPong:
		s.record(event{pongReceived, bytes.Clone(f.payload)})
	default:
		s.handleData(f)
	}
}

func (s *session) handleClose(payload []byte) {
	s.closeReceived = true
	if len(payload) == 1 {
		s.violation(violation("5.5.1", "a close frame with one byte"))
		return
	}
	if len(payload) >= 2 {
		s.remoteCode = int(binary.BigEndian.Uint16(payload))
		s.remoteReason = string(payload[2:])
		if !validCode(s.remoteCode) {
			s.violation(violation("7.4", "status code %d in a close frame", s.remoteCode))
			return
		}
		if !utf8.ValidString(s.remoteReason) {
			s.violation(violation("5.5.1", "a close reason that is no UTF-8"))
			return
		}
	}
	s.sendClose(1000)
	if !s.client {
		s.out.drain(s.clock.limit(1))
		s.droppedByUs, s.ended = true, true
	}
}

// validCode reports whether a close frame may carry the code (RFC 6455 7.4 and the registry that it opened).
func validCode(code int) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code < 1000 || code > 1014:
		return false
	}
	return code != 1004 && code != 1005 && code != 1006
}

func (s *session) handleData(f frame) {
	if (f.op == opContinuation) != (s.messageOp != 0) {
		s.violation(violation("5.4", "opcode %d, %t that a message is unfinished", f.op, s.messageOp != 0))
		return
	}
	if f.op != opContinuation {
		s.messageOp, s.compressed = f.op, f.rsv&rsv1 != 0
		s.message = s.message[:0]
	}
	if len(s.message)+len(f.payload) > maxFrame {
		s.violation(fmt.Errorf("the peer sent a message of more than %d bytes", maxFrame))
		return
	}
	s.message = append(s.message, f.payload...)
	if f.fin {
		op := s.messageOp
		s.messageOp = 0
		s.handleMessage(op, s.message)
	}
}

func (s *session) handleMessage(op opcode, payload []byte) {
	if s.codec != nil {
		var err error
		if payload, err = s.codec.decode(payload, s.compressed); err != nil {
			s.violation(fmt.Errorf("%w: %w (RFC 7692 7.2)", errViolation, err))
			return
		}
	}
	if op == opText && !utf8.Valid(payload) {
		s.violation(violation("5.6", "a text message that is no UTF-8"))
		return
	}
	if s.onData != nil {
		s.onData(op, payload)
		return
	}
	s.record(frame{op: op, payload: bytes.Clone(payload)}.message())
}

// record notes an event, except what arrives after the suite has given up.
func (s *session) record(e event) {
	if !s.killed {
		s.received = append(s.received, e)
	}
}

// endReason describes a connection that did not end cleanly.
func (s *session) endReason() string {
	switch {
	case s.violated != nil:
		return s.violated.Error()
	case s.timedOut != "":
		return s.timedOut
	case !s.closeReceived:
		return "the peer ended the TCP connection without a close frame"
	}
	return ""
}

// clean reports whether both close frames passed and whoever should end the TCP connection did.
func (s *session) clean() bool {
	return s.closeSent && s.closeReceived && s.timedOut == "" && s.violated == nil
}
