package wire_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"unicode/utf8"

	"github.com/tidewire/ws/internal/wire"
)

// event is a control frame or a whole message.
type event struct {
	op   wire.Opcode
	rsv1 bool
	data string
}

func (e event) String() string {
	name := map[wire.Opcode]string{wire.Text: "text", wire.Binary: "binary",
		wire.Close: "close", wire.Ping: "ping", wire.Pong: "pong"}[e.op]
	if e.rsv1 {
		name = "compressed " + name
	}
	return fmt.Sprintf("%s %q", name, e.data)
}

// meaning is what bytes meant.
type meaning struct {
	events  []event
	partial string // of a message that has begun
	open    bool   // one has
	loose   bool   // a frame or header has begun
	left    int64  // payload bytes that the data frame in progress lacks
	err     *wire.Error
}

// twin is a parser that is slow and obviously right. It looks at all that has arrived, from the start, and takes frame
// after frame by the text of RFC 6455 5.2 to 5.5; what isn't there yet can't be wrong yet.
type twin struct {
	server, deflate bool
	fragments       int32
	max             int64
}

func (tw twin) parse(b []byte) (m meaning) {
	var msg event
	var count int32
	for {
		if len(b) < 2 {
			m.loose = len(b) > 0
			return m
		}
		b0, b1 := b[0], b[1]
		op, masked, n := wire.Opcode(b0&15), b1&0x80 != 0, uint64(b1&0x7f)
		if m.err = tw.checkFirst(b0, b1, m.open); m.err != nil {
			return m
		}
		size := 2 + map[uint64]int{126: 2, 127: 8}[n]
		head := size
		if masked {
			head += 4
		}
		if len(b) < head {
			m.loose = true
			return m
		}
		if m.err = checkLength(b[2:size], &n); m.err != nil {
			return m
		}
		data := op < wire.Close
		if data {
			if op != wire.Continuation {
				msg, count, m.open = event{op: op, rsv1: b0&rsv1 != 0}, 0, true
			}
			if count++; tw.max > 0 && uint64(len(msg.data))+n > uint64(tw.max) {
				m.err = wire.ErrTooBig
				return m
			}
			if tw.fragments > 0 && count > tw.fragments {
				m.err = wire.ErrTooManyFragments
				return m
			}
		}
		payload := bytes.Clone(b[head:min(uint64(len(b)), uint64(head)+n)])
		if masked {
			for i := range payload {
				payload[i] ^= b[size+i%4]
			}
		}
		whole := uint64(len(payload)) == n
		b = b[head+len(payload):]
		if !data {
			if !whole {
				m.loose = true
				return m
			}
			m.events = append(m.events, event{op: op, data: string(payload)})
			continue
		}
		msg.data += string(payload)
		m.partial = msg.data
		last := whole && b0&fin != 0
		if msg.op == wire.Text && !msg.rsv1 && !validText(msg.data, last) {
			m.err = wire.ErrUTF8
			return m
		}
		if last {
			m.events, m.open, m.partial = append(m.events, msg), false, ""
		}
		if !whole {
			m.loose, m.left = true, int64(n)-int64(len(payload))
			return m
		}
	}
}

// checkFirst checks what the first two bytes of a frame say: first the frame by itself, then whether it may come here.
func (tw twin) checkFirst(b0, b1 byte, open bool) *wire.Error {
	op, n := wire.Opcode(b0&15), b1&0x7f
	control := op >= 8
	for _, rule := range []struct {
		broken  bool
		code    uint16
		section string
	}{
		{b0&(rsv2|rsv3) != 0, 1002, "5.2"},
		{op >= 3 && op <= 7 || op >= 11, 1002, "5.2"},
		{control && b0&fin == 0, 1002, "5.5"},
		{control && n > 125, 1002, "5.5"},
		{control && b0&rsv1 != 0, 1002, "5.2"},
		{(b1&0x80 != 0) != tw.server, 1002, "5.1"},
		{!control && op == wire.Continuation && !open, 1002, "5.4"},
		{!control && op != wire.Continuation && open, 1002, "5.4"},
		{b0&rsv1 != 0 && (!tw.deflate || op == wire.Continuation), 1002, "5.2"},
	} {
		if rule.broken {
			return &wire.Error{Code: rule.code, Section: rule.section}
		}
	}
	return nil
}

// checkLength reads an extended length, which must be in its shortest form.
func checkLength(b []byte, n *uint64) *wire.Error {
	broken := false
	switch len(b) {
	case 2:
		*n = uint64(binary.BigEndian.Uint16(b))
		broken = *n < 126
	case 8:
		*n = binary.BigEndian.Uint64(b)
		broken = *n < 1<<16 || *n >= 1<<63
	}
	if broken {
		return &wire.Error{Code: 1002, Section: "5.2"}
	}
	return nil
}

// validText reports whether s is UTF-8 or, if it isn't complete, can become so.
func validText(s string, complete bool) bool {
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			return !complete && !utf8.FullRuneInString(s)
		}
		s = s[n:]
	}
	return true
}

// feeder feeds a Parser and collects what it finds, checking each call's promises.
type feeder struct {
	p     wire.Parser
	quick bool // what Message takes is not left to Next
	got   meaning
	msg   event
}

// feed gives b to the parser in pieces of the given sizes, in turn; nil is all at once.
func (f *feeder) feed(t *testing.T, b []byte, sizes []byte) meaning {
	t.Helper()
	for i := 0; len(b) > 0 && f.got.err == nil; i++ {
		n := len(b)
		if len(sizes) > 0 {
			n = min(n, 1+int(sizes[i%len(sizes)]))
		}
		f.piece(t, bytes.Clone(b[:n]))
		b = b[n:]
	}
	f.got.open = f.p.InMessage() != 0
	f.got.left = f.p.Remaining()
	return f.got
}

// piece feeds one piece that has arrived.
func (f *feeder) piece(t *testing.T, b []byte) {
	t.Helper()
	for at := 0; ; {
		if n := f.message(t, b[at:]); n > 0 {
			at += n
			continue
		}
		ev, n, err := f.p.Next(b[at:])
		if n < 0 || n > len(b)-at || ev.Kind == wire.More && err == nil && n != len(b)-at {
			t.Fatalf("Next took %d of %d bytes with %+v", n, len(b)-at, ev)
		}
		if err != nil {
			if ev.Kind != wire.More || ev.Data != nil {
				t.Fatalf("%v with %+v", err, ev)
			}
			f.got.err = err
			return
		}
		if at += n; ev.Kind == wire.More {
			return
		}
		if ev.Kind == wire.Piece {
			checkPlace(t, ev.Data, b[:at])
		}
		f.event(t, ev)
	}
}

// message takes a message from b the quick way, if there is one, and says how many bytes that took.
func (f *feeder) message(t *testing.T, b []byte) int {
	t.Helper()
	if !f.quick {
		return 0
	}
	before := bytes.Clone(b)
	op, data, n := f.p.Message(b)
	if n > 0 {
		checkPlace(t, data, b[:n])
		f.event(t, wire.Event{Kind: wire.Piece, Opcode: op, First: true, Last: true, Data: data})
	} else if op != 0 || data != nil || !bytes.Equal(b, before) {
		t.Fatalf("Message took nothing of % x, returned %d, % x and left % x", before, op, data, b)
	}
	return n
}

// checkPlace checks that a piece is the end of what was taken, and can't grow into what follows.
func checkPlace(t *testing.T, piece, taken []byte) {
	t.Helper()
	if len(piece) > 0 && &piece[0] != &taken[len(taken)-len(piece)] {
		t.Fatalf("piece %q is not in the bytes fed", piece)
	}
	if len(piece) != cap(piece) {
		t.Fatalf("appending to the piece %q would overwrite what follows", piece)
	}
}

func (f *feeder) event(t *testing.T, ev wire.Event) {
	t.Helper()
	if ev.Kind == wire.Control {
		f.got.events = append(f.got.events, event{op: ev.Opcode, data: string(ev.Data)})
		return
	}
	if ev.First != (f.msg.op == 0) {
		t.Fatalf("First is %v inside of %v", ev.First, f.msg)
	}
	if ev.First {
		f.msg = event{op: ev.Opcode, rsv1: ev.RSV1}
	}
	if ev.Opcode != f.msg.op || ev.RSV1 != f.msg.rsv1 || len(ev.Data) == 0 && !ev.Last {
		t.Fatalf("%+v inside of %v", ev, f.msg)
	}
	if !ev.Last && f.p.Opcode() != ev.Opcode || f.p.Compressed() != (ev.RSV1 && !ev.Last) {
		t.Fatalf("Opcode %d, Compressed %v inside of %v", f.p.Opcode(), f.p.Compressed(), f.msg)
	}
	f.msg.data += string(ev.Data)
	f.got.partial = f.msg.data
	if ev.Last {
		f.got.events = append(f.got.events, f.msg)
		f.msg, f.got.partial = event{}, ""
	}
}
