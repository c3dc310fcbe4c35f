package wire

import (
	"encoding/binary"

	"github.com/tidewire/ws/internal/mask"
	"github.com/tidewire/ws/internal/utf8"
)

// Kind is what Parser.Next found.
type Kind byte

const (
	// More: everything was consumed and nothing is complete; feed what arrives next.
	More Kind = iota
	// Piece: a piece of a data message's payload, possibly empty.
	Piece
	// Control: a whole control frame.
	Control
)

// Event is one thing that the bytes meant.
type Event struct {
	Kind   Kind
	Opcode Opcode // Piece: Text or Binary, the message's type. Control: Ping, Pong or Close.
	First  bool   // Piece: the first of its message
	Last   bool   // Piece: the message is complete
	RSV1   bool   // Piece: the message is compressed (RFC 7692 6)
	// Data is the payload, unmasked. A piece lies in the bytes that were fed;
	// a control frame's payload is valid until the next call of Next.
	Data []byte
}

// Parser turns the bytes that a peer sends into events. It can stop and go on
// at any byte: all that it needs to remember is in it, and it holds no more
// than one header and one control payload. It is not safe for concurrent use.
type Parser struct {
	// Settings, fixed before the first call of Next.
	Server    bool  // the peer is a client: its frames must be masked (RFC 6455 5.1)
	Deflate   bool  // permessage-deflate was negotiated: RSV1 may be set on a message's first frame
	Fragments int32 // most frames a message; 0: no limit

	// MaxMessage is the most payload bytes a message may have on the wire; 0:
	// no limit. It may change between calls.
	MaxMessage int64

	// What is in progress.
	payload bool  // a frame: its header has been read
	open    bool  // a message: its first frame has begun and its last has not ended
	part    *part // an unfinished header or control payload; nil: there has been none

	// The frame in progress; valid with payload.
	frame Opcode
	fin   bool
	key   uint32 // the mask key, rotated to the next byte
	left  int64  // payload bytes still to come

	// The message in progress.
	number    uint32 // counts messages; never 0 while one is open
	begun     bool   // its first piece has been reported
	rsv1      bool
	opcode    Opcode
	fragments int32
	size      int64
	text      utf8.Validator
}

// Remaining is the number of payload bytes that the data frame in progress
// still lacks, and 0 between frames or in a control frame. A caller with a
// place for the payload may read up to so many bytes straight into it and feed
// Next with just these: the event is then one Piece over the same memory.
func (p *Parser) Remaining() int64 {
	if !p.payload || p.frame.IsControl() {
		return 0
	}
	return p.left
}

// InMessage numbers the data message that has begun and is not complete; 0 is none.
func (p *Parser) InMessage() uint32 {
	if !p.open {
		return 0
	}
	return p.number
}

// Opcode is the type of the message that InMessage numbers.
func (p *Parser) Opcode() Opcode { return p.opcode }

// Compressed reports whether that message is compressed.
func (p *Parser) Compressed() bool { return p.open && p.rsv1 }

// Partial reports whether anything has begun that is not complete: a header, a
// control frame or a message.
func (p *Parser) Partial() bool { return p.open || p.payload || p.kept() > 0 }

// Whole reports whether b, which is to be fed next, begins with a complete
// message of one frame, without checking it any further.
func (p *Parser) Whole(b []byte) bool {
	_, end := p.whole(b)
	return end > 0
}

// whole finds the payload b[at:end] of a message of one frame that b holds
// completely; end is 0 if it doesn't begin with one, or with one of more than
// 64 KiB.
func (p *Parser) whole(b []byte) (at, end int) {
	if len(b) < 2 || p.Partial() {
		return 0, 0
	}
	if op := Opcode(b[0] &^ rsvBits); op != finBit|Text && op != finBit|Binary {
		return 0, 0
	}
	at, n := 2, int(b[1]&^maskBit)
	if n > MaxControl {
		if n == 127 || len(b) < 4 {
			return 0, 0
		}
		at, n = 4, int(b[2])<<8|int(b[3])
	}
	if b[1]&maskBit != 0 {
		at += 4
	}
	if at+n > len(b) {
		return 0, 0
	}
	return at, at + n
}

// Message is the quick way for what comes most: if b, which is what Next would be
// fed, begins with a message of one frame, all there and not compressed, it
// returns that, unmasked in place, and how many bytes it took. If there is
// anything unusual about it, n is 0 and nothing has changed: then it is for Next,
// which knows every rule.
func (p *Parser) Message(b []byte) (op Opcode, data []byte, n int) {
	at, end := p.whole(b)
	if end == 0 {
		return 0, nil, 0
	}
	masked := b[1]&maskBit != 0
	data = b[at:end:end]
	switch {
	case b[0]&rsvBits != 0, masked != p.Server:
		return 0, nil, 0
	case b[1]&^maskBit == 126 && len(data) <= MaxControl: // not the shortest form
		return 0, nil, 0
	case p.MaxMessage > 0 && int64(len(data)) > p.MaxMessage:
		return 0, nil, 0
	}
	op = Opcode(b[0] &^ finBit)
	var key uint32
	if masked {
		key = binary.LittleEndian.Uint32(b[at-4:])
		mask.Bytes(data, key)
	}
	if op == Text && !utf8.Valid(data) {
		if masked {
			mask.Bytes(data, key)
		}
		return 0, nil, 0
	}
	return op, data, end
}

// Next reads from b, unmasking payload in place, up to the end of the first
// event, and says how many bytes that took: all of them with More. After an
// error the parser must not be used any more.
func (p *Parser) Next(b []byte) (ev Event, n int, err *Error) {
	for {
		if !p.payload {
			took, ok, err := p.header(b[n:])
			if n += took; err != nil || !ok {
				return Event{}, n, err
			}
		}
		if p.frame.IsControl() {
			ev, took, ok := p.control(b[n:])
			if n += took; !ok {
				return Event{}, n, nil
			}
			return ev, n, nil
		}
		rest := b[n:]
		if len(rest) == 0 && p.left > 0 {
			return Event{}, n, nil
		}
		ev, took, err := p.piece(rest)
		n += took
		if err != nil {
			return Event{}, n, err
		}
		if len(ev.Data) > 0 || ev.Last {
			return ev, n, nil
		}
	}
}

// header reads one header, from b alone or from what was left of the last
// call and b; ok says whether it is complete. An incomplete one fails as soon
// as what there is of it breaks a rule.
func (p *Parser) header(b []byte) (n int, ok bool, err *Error) {
	src, before := b, p.kept()
	if before > 0 {
		src = p.keep(b[:min(len(b), MaxHeader-before)])
	}
	h, size, err := ParseHeader(src)
	switch {
	case err == errLengthForm, err == errLengthTop:
		// These show last, unless everything has come at once: which rule is
		// named must not depend on how the bytes were cut.
		if first := p.check(h); first != nil {
			err = first
		}
		return 0, false, err
	case err != nil:
		return 0, false, err
	case size > 0:
		p.drop()
		return size - before, true, p.begin(h)
	case before == 0:
		p.keep(b)
	}
	if len(src) >= 2 {
		err = p.check(h)
	}
	return len(b), false, err
}

// part is an unfinished header or control payload.
type part struct {
	n int
	b [MaxControl]byte
}

// kept is how much there is of what is unfinished.
func (p *Parser) kept() int {
	if p.part == nil {
		return 0
	}
	return p.part.n
}

// keep adds b to what is unfinished, and returns all of that.
func (p *Parser) keep(b []byte) []byte {
	if len(b) == 0 && p.part == nil {
		return nil
	}
	if p.part == nil {
		p.part = new(part)
	}
	p.part.n += copy(p.part.b[p.part.n:], b)
	return p.part.b[:p.part.n]
}

// drop forgets it; the bytes stay until keep is called again.
func (p *Parser) drop() {
	if p.part != nil {
		p.part.n = 0
	}
}

// check holds a header against the rules that need the state.
func (p *Parser) check(h Header) *Error {
	switch {
	case h.Masked != p.Server:
		if p.Server {
			return errUnmasked
		}
		return errMasked
	case h.Opcode.IsControl():
		return nil
	case h.Opcode == Continuation && !p.open:
		return errContinuation
	case h.Opcode != Continuation && p.open:
		return errInterleaved
	case h.RSV1 && (!p.Deflate || h.Opcode == Continuation):
		return errReservedBit
	}
	return nil
}

// begin enters the payload of a frame, or refuses it.
func (p *Parser) begin(h Header) *Error {
	if err := p.check(h); err != nil {
		return err
	}
	if !h.Opcode.IsControl() {
		if h.Opcode != Continuation {
			p.open, p.begun = true, false
			p.number = max(p.number+1, 1)
			p.opcode, p.rsv1 = h.Opcode, h.RSV1
			p.size, p.fragments = 0, 0
			p.text.Reset()
		}
		if p.MaxMessage > 0 && h.Length > p.MaxMessage-p.size {
			return ErrTooBig
		}
		p.size += h.Length
		if p.fragments++; p.Fragments > 0 && p.fragments > p.Fragments {
			return ErrTooManyFragments
		}
	}
	p.frame, p.fin, p.left, p.key, p.payload = h.Opcode, h.Fin, h.Length, h.Key, true
	return nil
}

// control reads a control frame's payload; ok says whether it is complete.
func (p *Parser) control(b []byte) (ev Event, n int, ok bool) {
	n = int(min(p.left, int64(len(b))))
	piece := b[:n]
	if p.Server {
		p.key = mask.Bytes(piece, p.key)
	}
	if p.left -= int64(n); p.left > 0 || p.kept() > 0 {
		piece = p.keep(piece)
	}
	if p.left > 0 {
		return Event{}, n, false
	}
	p.payload = false
	p.drop()
	return Event{Kind: Control, Opcode: p.frame, Data: piece}, n, true
}

// piece reads what b has of a data frame's payload.
func (p *Parser) piece(b []byte) (ev Event, n int, err *Error) {
	n = int(min(p.left, int64(len(b))))
	data := b[:n:n]
	if p.Server {
		p.key = mask.Bytes(data, p.key)
	}
	p.left -= int64(n)
	end := p.left == 0
	last := end && p.fin
	if p.opcode == Text && !p.rsv1 {
		if !p.valid(data, last) {
			return Event{}, n, ErrUTF8
		}
	}
	ev = Event{Kind: Piece, Opcode: p.opcode, First: !p.begun, Last: last, RSV1: p.rsv1, Data: data}
	if len(data) > 0 || last {
		p.begun = true
	}
	if end {
		p.payload = false
	}
	if last {
		p.open = false
	}
	return ev, n, nil
}

// valid checks the next piece of a text message, failing as soon as the bytes
// are wrong (RFC 6455 8.1).
func (p *Parser) valid(data []byte, last bool) bool {
	if last && !p.begun {
		return utf8.Valid(data)
	}
	return p.text.Write(data) && (!last || p.text.Done())
}
