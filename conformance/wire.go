package conformance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
)

type opcode byte

const (
	opContinuation opcode = 0
	opText         opcode = 1
	opBinary       opcode = 2
	opClose        opcode = 8
	opPing         opcode = 9
	opPong         opcode = 10
)

const (
	rsv1 = 4 // the bits as the number that the three of them make
	rsv2 = 2
	rsv3 = 1
)

// frame is a frame to send, however wrong, or one received. The second group is only for sending.
type frame struct {
	op      opcode
	fin     bool
	rsv     byte
	payload []byte

	length    lengthForm
	wrongMask bool // masked by a server, unmasked by a client
	chop      int  // write the frame in pieces of so many bytes; 0: together with its neighbours
	alone     bool // write the frame by itself
	from, to  int  // if to > 0: only payload[from:to], with the header if from is 0
}

// lengthForm selects how the payload length is written (RFC 6455 5.2).
type lengthForm int

const (
	shortest lengthForm = iota
	in16Bits
	in64Bits
	topBit // 64 bits, the most significant one set
)

// partKey masks frames that are sent in several parts, which need to agree on a key.
var partKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// append writes f to b as a client (masked) or a server sends it.
func (f *frame) append(b []byte, client bool) []byte {
	mask := client != f.wrongMask
	start := len(b)
	b = f.appendHeader(b, mask)
	if mask {
		key := partKey
		if f.to == 0 {
			binary.LittleEndian.PutUint32(key[:], rand.Uint32())
		}
		b = append(b, key[:]...)
		n := len(b)
		b = append(b, f.payload...)
		xor(b[n:], key)
	} else {
		b = append(b, f.payload...)
	}
	if f.to == 0 {
		return b
	}
	header := len(b) - start - len(f.payload)
	if f.from > 0 {
		b = slices.Delete(b, start, start+header+f.from)
		header = -f.from
	}
	return b[:start+header+f.to]
}

func (f *frame) appendHeader(b []byte, mask bool) []byte {
	first, second := byte(f.op)|f.rsv<<4, byte(0)
	if f.fin {
		first |= 0x80
	}
	if mask {
		second = 0x80
	}
	n := len(f.payload)
	switch {
	case f.length == topBit:
		b = append(b, first, second|127)
		return binary.BigEndian.AppendUint64(b, 1<<63|uint64(n))
	case f.length == in64Bits || n > 0xffff:
		b = append(b, first, second|127)
		return binary.BigEndian.AppendUint64(b, uint64(n))
	case f.length == in16Bits || n > 125:
		b = append(b, first, second|126)
		return binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		return append(b, first, second|byte(n))
	}
}

func xor(b []byte, key [4]byte) {
	for i := range b {
		b[i] ^= key[i&3]
	}
}

// maxFrame bounds what a peer can make the suite buffer; the largest message of any case has 16 MiB.
const maxFrame = 64 << 20

// parser cuts what the peer sends into frames and refuses those that break a rule.
type parser struct {
	masked     bool // the peer is a client
	compressed bool // RSV1 has a meaning

	buf   []byte // received and not yet consumed; the tail of store
	store []byte
}

var errViolation = errors.New("protocol violation by the peer")

// violation is an error that says which rule the peer broke.
func violation(section, format string, args ...any) error {
	return fmt.Errorf("%w: %s (RFC 6455 %s)", errViolation, fmt.Sprintf(format, args...), section)
}

// fill reads once from r.
func (p *parser) fill(r io.Reader) error {
	if len(p.buf) == 0 {
		p.buf = p.store[:0]
	}
	if cap(p.buf)-len(p.buf) < 4096 {
		p.buf = slices.Grow(p.buf, max(64<<10, len(p.buf)))
		p.store = p.buf
	}
	n, err := r.Read(p.buf[len(p.buf):cap(p.buf)])
	p.buf = p.buf[:len(p.buf)+n]
	if n > 0 {
		return nil // an error comes again with the next read
	}
	return err
}

// next returns the next frame if it is there whole. Its payload is valid until the next fill.
func (p *parser) next() (f frame, ok bool, err error) {
	b := p.buf
	if len(b) < 2 {
		return f, false, nil
	}
	f = frame{op: opcode(b[0] & 15), fin: b[0]&0x80 != 0, rsv: b[0] >> 4 & 7}
	if err := p.checkHeader(f, b[1]); err != nil {
		return f, false, err
	}
	n, header, err := payloadLength(b)
	if err != nil || header == 0 {
		return f, false, err
	}
	if p.masked {
		header += 4
	}
	if len(b) < header+n {
		return f, false, nil
	}
	f.payload = b[header : header+n : header+n]
	if p.masked {
		xor(f.payload, [4]byte(b[header-4:header]))
	}
	p.buf = b[header+n:]
	return f, true, nil
}

func (p *parser) checkHeader(f frame, second byte) error {
	control := f.op >= 8
	allowed := byte(0)
	if p.compressed && (f.op == opText || f.op == opBinary) {
		allowed = rsv1
	}
	switch {
	case f.rsv&^allowed != 0:
		return violation("5.2", "reserved bits %03b on opcode %d", f.rsv, f.op)
	case f.op > opBinary && !control || f.op > opPong:
		return violation("5.2", "reserved opcode %d", f.op)
	case (second&0x80 != 0) != p.masked:
		return violation("5.1", "frame masked: %t", !p.masked)
	case control && !f.fin:
		return violation("5.5", "fragmented control frame")
	case control && second&0x7f > 125:
		return violation("5.5", "control frame of more than 125 bytes")
	}
	return nil
}

// payloadLength returns the payload's length and the header's without the mask key, or a header of 0 if b is too short.
func payloadLength(b []byte) (n, header int, err error) {
	var length, least uint64
	switch short := b[1] & 0x7f; {
	case short < 126:
		return int(short), 2, nil
	case short == 126 && len(b) >= 4:
		length, least, header = uint64(binary.BigEndian.Uint16(b[2:])), 126, 4
	case short == 127 && len(b) >= 10:
		length, least, header = binary.BigEndian.Uint64(b[2:]), 1<<16, 10
	default:
		return 0, 0, nil
	}
	if length < least {
		return 0, 0, violation("5.2", "length %d not in its shortest form", length)
	}
	if length > maxFrame {
		return 0, 0, fmt.Errorf("the peer announced a frame of %d bytes, more than any case needs", length)
	}
	return int(length), header, nil
}
