// Package wire holds the rules of RFC 6455 as pure functions over bytes: frame
// headers, close payloads, and a Parser that takes whatever bytes have arrived
// and says what they mean. Nothing here blocks, keeps time or knows a network.
package wire

import (
	"encoding/binary"
)

// Opcode is the meaning of a frame (RFC 6455 5.2).
type Opcode byte

// The opcodes of RFC 6455 11.8; every other one is reserved.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

// IsControl reports whether frames of this opcode are control frames (RFC 6455 5.5).
func (o Opcode) IsControl() bool { return o&0x8 != 0 }

const (
	// MaxHeader is the size of the longest frame header: 2 bytes, a 64-bit length, a mask key.
	MaxHeader = 14
	// MaxControl is the longest payload of a control frame (RFC 6455 5.5).
	MaxControl = 125
)

const (
	finBit  = 0x80
	rsv1Bit = 0x40
	rsvBits = 0x70
	maskBit = 0x80
)

// Header is a frame header (RFC 6455 5.2).
type Header struct {
	Opcode Opcode
	Fin    bool
	RSV1   bool // "compressed" on the first frame of a message (RFC 7692 6)
	Masked bool
	Key    uint32 // the mask key as a little-endian word; meaningful if Masked
	Length int64
}

// Len is the number of bytes that Append adds.
func (h Header) Len() int {
	n := 2
	switch {
	case h.Length > 0xFFFF:
		n += 8
	case h.Length > MaxControl:
		n += 2
	}
	if h.Masked {
		n += 4
	}
	return n
}

// Append appends the header to b, its length in the shortest form.
func (h Header) Append(b []byte) []byte {
	b0 := byte(h.Opcode)
	if h.Fin {
		b0 |= finBit
	}
	if h.RSV1 {
		b0 |= rsv1Bit
	}
	var b1 byte
	if h.Masked {
		b1 = maskBit
	}
	switch {
	case h.Length <= MaxControl:
		b = append(b, b0, b1|byte(h.Length))
	case h.Length <= 0xFFFF:
		b = append(b, b0, b1|126, byte(h.Length>>8), byte(h.Length))
	default:
		b = append(b, b0, b1|127)
		b = binary.BigEndian.AppendUint64(b, uint64(h.Length))
	}
	if h.Masked {
		b = binary.LittleEndian.AppendUint32(b, h.Key)
	}
	return b
}

// headerLen is the size of the header that starts with the bytes b0, b1.
func headerLen(b1 byte) int {
	n := 2
	switch b1 &^ maskBit {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if b1&maskBit != 0 {
		n += 4
	}
	return n
}

// ParseHeader decodes the header at the start of b and says how many bytes it
// took; n is 0 if b holds only a part of it. It checks what can be checked of
// one frame alone: reserved bits other than RSV1, reserved opcodes, the form of
// the length, and the rules for control frames. The rest is the Parser's.
func ParseHeader(b []byte) (h Header, n int, err *Error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	b0, b1 := b[0], b[1]
	h.Opcode = Opcode(b0 & 0x0F)
	h.Fin = b0&finBit != 0
	h.RSV1 = b0&rsv1Bit != 0
	h.Masked = b1&maskBit != 0
	h.Length = int64(b1 &^ maskBit)
	if err := checkFirst(b0, h); err != nil {
		return h, 0, err
	}
	n = headerLen(b1)
	if len(b) < n {
		return h, 0, nil
	}
	switch h.Length {
	case 126:
		h.Length = int64(b[2])<<8 | int64(b[3])
		if h.Length < 126 {
			return h, 0, errLengthForm
		}
	case 127:
		u := binary.BigEndian.Uint64(b[2:])
		if u>>63 != 0 {
			return h, 0, errLengthTop
		}
		if u <= 0xFFFF {
			return h, 0, errLengthForm
		}
		h.Length = int64(u)
	}
	if h.Masked {
		h.Key = binary.LittleEndian.Uint32(b[n-4:])
	}
	return h, n, nil
}

// checkFirst checks what the first two bytes of a header give away, so that a
// broken frame fails before its length or payload has been waited for.
func checkFirst(b0 byte, h Header) *Error {
	switch {
	case b0&(rsvBits&^rsv1Bit) != 0:
		return errReservedBit
	case h.Opcode > Binary && h.Opcode < Close || h.Opcode > Pong:
		return errOpcode
	case !h.Opcode.IsControl():
		return nil
	case !h.Fin:
		return errControlFragmented
	case h.Length > MaxControl:
		return errControlLong
	case h.RSV1:
		return errReservedBit
	}
	return nil
}
