package conformance

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"
)

// script is what happens in a case: what is sent, what may come back, and how the connection is to end.
type script struct {
	phases []phase
	want   []outcome // the first one that equals what happened is the verdict on behaviour
	close  closing
	limit  seconds // how long the peer may take after the last phase
	// onLimit: what then happens. By default the connection is closed without a status; with kill it is failed (1001).
	kill bool
	// hold: the script sends its own close frame, or none at all; seeing what was wanted doesn't trigger one.
	hold          bool
	informational bool // report what happened, judge nothing
	codeMatters   bool // a wrong status code is a failure of behaviour as well
	tolerated     bool // if the outcome is NonStrict, the connection need not be failed

	echo *echoTest // instead of phases and want
	// deflate is what to offer and to accept of permessage-deflate; nil: nothing.
	deflate *deflateTest
}

// closesEarly reports whether the suite closes the connection as soon as the outcome is known.
func (sc *script) closesEarly() bool { return sc.close.byUs && !sc.hold || sc.tolerated }

// seconds are the suite's own, see Options.Second.
type seconds float64

// phase is a batch of frames, written at once, and a wait during which the connection should stay open, unless it is the
// last phase, which ends with the script's limit.
type phase struct {
	send []frame
	mark string // recorded as an event if the connection is still open after the wait
	wait seconds
	// reaction: the peer is to react during the wait. It lasts until the connection is closed or so many events have
	// been recorded as answers says, and with patience.
	reaction bool
	answers  int
}

// outcome is a sequence of events and the verdict that it earns.
type outcome struct {
	verdict Verdict
	events  []event
}

// closing is how a connection should end.
type closing struct {
	byUs    bool     // the suite sends the first close frame
	codes   []uint16 // what the peer's close frame may say, if it has a code
	clean   bool     // the closing handshake must be complete and the server must end the TCP connection
	byFatal bool     // if the peer did not fail the connection, that fails the case
}

var (
	normally = closing{byUs: true, codes: []uint16{1000}, clean: true}
	refused  = closing{codes: []uint16{1002}}
	notUTF8  = closing{codes: []uint16{1007}, byFatal: true}
)

type eventKind string

const (
	messageText   eventKind = "text"
	messageBinary eventKind = "binary"
	pongReceived  eventKind = "pong"
	stillOpen     eventKind = "still open"
)

// event is something that the peer sent, or a wait that it survived.
type event struct {
	kind eventKind
	data []byte
}

func (e event) equal(o event) bool { return e.kind == o.kind && bytes.Equal(e.data, o.data) }

func (e event) String() string {
	const shown = 40
	data, more := e.data, ""
	if len(data) > shown {
		data, more = data[:shown], "..."
	}
	if e.kind != messageBinary && utf8.Valid(data) {
		return fmt.Sprintf("%s(%d) %q%s", e.kind, len(e.data), data, more)
	}
	return fmt.Sprintf("%s(%d) %x%s", e.kind, len(e.data), data, more)
}

func events(e ...event) []event { return e }

func gotText(s string) event   { return event{messageText, []byte(s)} }
func gotPong(s string) event   { return event{pongReceived, []byte(s)} }
func survived(m string) event  { return event{stillOpen, []byte(m)} }
func ok(e ...event) outcome    { return outcome{OK, e} }
func loose(e ...event) outcome { return outcome{NonStrict, e} }

// message is the echo that f, an unfragmented data frame, should bring.
func (f frame) message() event {
	if f.op == opBinary {
		return event{messageBinary, f.payload}
	}
	return event{messageText, f.payload}
}

func text(s string) frame { return frame{op: opText, fin: true, payload: []byte(s)} }
func bin(b []byte) frame  { return frame{op: opBinary, fin: true, payload: b} }
func cont(s string) frame { return frame{op: opContinuation, fin: true, payload: []byte(s)} }
func ping(s string) frame { return frame{op: opPing, fin: true, payload: []byte(s)} }
func pong(s string) frame { return frame{op: opPong, fin: true, payload: []byte(s)} }
func closeWith(code uint16, reason string) frame {
	return frame{op: opClose, fin: true, payload: append([]byte{byte(code >> 8), byte(code)}, reason...)}
}

func reserved(op opcode, payload string) frame {
	return frame{op: op, fin: true, payload: []byte(payload)}
}

func (f frame) more() frame             { f.fin = false; return f }
func (f frame) withRSV(bits byte) frame { f.rsv = bits; return f }
func (f frame) chopped(n int) frame     { f.chop = n; return f }
func (f frame) part(from, to int) frame {
	f.from, f.to = from, to
	return f
}

func bytewise(fs ...frame) []frame  { return mapFrames(fs, func(f *frame) { f.chop = 1 }) }
func framewise(fs ...frame) []frame { return mapFrames(fs, func(f *frame) { f.alone = true }) }

func mapFrames(fs []frame, change func(*frame)) []frame {
	for i := range fs {
		change(&fs[i])
	}
	return fs
}

// fragments cuts one message into frames of at most size bytes. Compressed messages carry RSV1 on the first one.
func fragments(op opcode, rsv byte, payload []byte, size int) []frame {
	if size <= 0 || len(payload) <= size {
		return []frame{{op: op, fin: true, rsv: rsv, payload: payload}}
	}
	fs := make([]frame, 0, len(payload)/size+1)
	for piece := range slices.Chunk(payload, size) {
		fs = append(fs, frame{op: opContinuation, payload: piece})
	}
	fs[0].op, fs[0].rsv = op, rsv
	fs[len(fs)-1].fin = true
	return fs
}

// once is a script of a single phase.
func once(fs ...frame) []phase { return []phase{{send: fs}} }

func fixed(sc script) func(int) *script {
	return func(int) *script { c := sc; return &c }
}

// writes turns frames into the pieces that are to be written one by one: neighbours together, unless a frame is to be
// written alone or in pieces.
func writes(fs []frame, client bool) [][]byte {
	var out [][]byte
	var batch []byte
	flush := func() {
		if len(batch) > 0 {
			out = append(out, batch)
			batch = nil
		}
	}
	for i := range fs {
		f := &fs[i]
		if f.chop == 0 && !f.alone {
			batch = f.append(batch, client)
			continue
		}
		flush()
		b := f.append(nil, client)
		if f.chop == 0 {
			out = append(out, b)
			continue
		}
		out = slices.AppendSeq(out, slices.Chunk(b, f.chop))
	}
	flush()
	return out
}
