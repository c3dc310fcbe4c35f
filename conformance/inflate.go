package conformance

import (
	"errors"
	"fmt"
	"math/bits"
)

// inflater decompresses the DEFLATE blocks (RFC 1951) of one message after the other. Unlike others it insists on the
// window that was agreed on: a distance beyond it, which a peer with a bigger window would resolve, is an error.
type inflater struct {
	window  int
	forget  bool // no context takeover: a message refers to nothing before it
	history []byte
}

var (
	errTruncated = errors.New("compressed data end within a block")
	errCode      = errors.New("invalid Huffman code in compressed data")
)

// syncTail is what a sender cuts off a message's end (RFC 7692 7.2.1).
const syncTail = "\x00\x00\xff\xff"

// message returns the plain form of one message. The result is valid until the next call.
func (d *inflater) message(compressed []byte) ([]byte, error) {
	if d.forget {
		d.history = d.history[:0]
	}
	if n := len(d.history); n > d.window {
		d.history = d.history[:copy(d.history, d.history[n-d.window:])]
	}
	b := &blocks{in: bitReader{src: append(compressed[:len(compressed):len(compressed)], syncTail...)}, out: d.history, window: d.window}
	start := len(d.history)
	for !b.in.atEnd() {
		if err := b.next(); err != nil {
			return nil, err
		}
	}
	d.history = b.out
	return b.out[start:], nil
}

// blocks decodes blocks from in, appending to out, which begins with the history.
type blocks struct {
	in     bitReader
	out    []byte
	window int
}

func (b *blocks) next() error {
	final, kind := b.in.bits(1) == 1, b.in.bits(2)
	err := error(nil)
	switch kind {
	case 0:
		err = b.stored()
	case 1:
		err = b.compressed(fixedLiterals, fixedDistances)
	case 2:
		var literals, distances *huffman
		if literals, distances, err = b.readCodes(); err == nil {
			err = b.compressed(literals, distances)
		}
	default:
		err = errors.New("reserved block type in compressed data")
	}
	if final {
		b.in.align() // RFC 7692 7.2.3.4: another block may follow a final one
	}
	if err == nil && b.in.short {
		err = errTruncated
	}
	return err
}

func (b *blocks) stored() error {
	b.in.align()
	n, inverse := b.in.bits(16), b.in.bits(16)
	if n != ^inverse&0xffff {
		return errors.New("length of a stored block and its complement differ")
	}
	for range n {
		b.out = append(b.out, byte(b.in.bits(8)))
	}
	return nil
}

func (b *blocks) compressed(literals, distances *huffman) error {
	for !b.in.short {
		symbol := literals.decode(&b.in)
		switch {
		case symbol < 0 || symbol > 285:
			return errCode
		case symbol < 256:
			b.out = append(b.out, byte(symbol))
		case symbol == 256:
			return nil
		default:
			if err := b.copyMatch(symbol-257, distances); err != nil {
				return err
			}
		}
	}
	return errTruncated
}

// lengthBase and distanceBase have the extra bits of each symbol in the low 4 bits (RFC 1951 3.2.5).
var lengthBase, distanceBase = func() (l [29]int, d [30]int) {
	base := 3
	for i := range l[:28] {
		extra := max(0, i/4-1)
		l[i] = base<<4 | extra
		base += 1 << extra
	}
	l[28] = 258 << 4
	base = 1
	for i := range d {
		extra := max(0, i/2-1)
		d[i] = base<<4 | extra
		base += 1 << extra
	}
	return l, d
}()

func (b *blocks) copyMatch(lengthSymbol int, distances *huffman) error {
	l := lengthBase[lengthSymbol]
	length := l>>4 + b.in.bits(l&15)
	symbol := distances.decode(&b.in)
	if symbol < 0 || symbol >= len(distanceBase) {
		return errCode
	}
	d := distanceBase[symbol]
	distance := d>>4 + b.in.bits(d&15)
	switch {
	case distance > b.window:
		return fmt.Errorf("a match at distance %d in a window of %d", distance, b.window)
	case distance > len(b.out):
		return fmt.Errorf("a match at distance %d after %d bytes", distance, len(b.out))
	case len(b.out)+length > maxFrame:
		return fmt.Errorf("a message of more than %d bytes", maxFrame)
	}
	for range length {
		b.out = append(b.out, b.out[len(b.out)-distance])
	}
	return nil
}

// codeLengthOrder is in which order the lengths of the code for code lengths come (RFC 1951 3.2.7).
var codeLengthOrder = [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// readCodes reads the codes at the start of a dynamic block.
func (b *blocks) readCodes() (literals, distances *huffman, err error) {
	nl, nd, nc := 257+b.in.bits(5), 1+b.in.bits(5), 4+b.in.bits(4)
	var meta [19]byte
	for i := range nc {
		meta[codeLengthOrder[i]] = byte(b.in.bits(3))
	}
	metaCode, err := newHuffman(meta[:])
	if err != nil {
		return nil, nil, err
	}
	lengths := make([]byte, 0, nl+nd)
	for len(lengths) < nl+nd && !b.in.short {
		symbol := metaCode.decode(&b.in)
		value, times := byte(0), 1
		switch {
		case symbol < 0:
			return nil, nil, errCode
		case symbol < 16:
			value = byte(symbol)
		case symbol == 16:
			if len(lengths) == 0 {
				return nil, nil, errCode
			}
			value, times = lengths[len(lengths)-1], 3+b.in.bits(2)
		case symbol == 17:
			times = 3 + b.in.bits(3)
		default:
			times = 11 + b.in.bits(7)
		}
		for range times {
			lengths = append(lengths, value)
		}
	}
	if b.in.short {
		return nil, nil, errTruncated
	}
	if len(lengths) != nl+nd {
		return nil, nil, errCode
	}
	if literals, err = newHuffman(lengths[:nl]); err != nil {
		return nil, nil, err
	}
	distances, err = newHuffman(lengths[nl:])
	return literals, distances, err
}

var fixedLiterals, fixedDistances = func() (*huffman, *huffman) {
	var l [288]byte
	for i := range l {
		switch {
		case i < 144:
			l[i] = 8
		case i < 256:
			l[i] = 9
		case i < 280:
			l[i] = 7
		default:
			l[i] = 8
		}
	}
	var d [32]byte
	for i := range d {
		d[i] = 5
	}
	literals, err1 := newHuffman(l[:])
	distances, err2 := newHuffman(d[:])
	if err := errors.Join(err1, err2); err != nil {
		panic(err)
	}
	return literals, distances
}()

const (
	maxCode  = 15 // bits of the longest code
	fastBits = 9  // bits of the codes that are looked up at once
)

// huffman decodes a canonical code: short codes by table, longer ones bit by bit.
type huffman struct {
	fast    [1 << fastBits]uint16 // symbol<<4 | length by the next bits; 0: a longer code
	count   [maxCode + 1]int      // of codes by length
	symbols []uint16              // in the order of their codes
}

func newHuffman(lengths []byte) (*huffman, error) {
	h := &huffman{}
	for _, n := range lengths {
		h.count[n]++
	}
	h.count[0] = 0
	left, used := 1, 0
	var first, offset [maxCode + 2]int // code and index of the first symbol of a length
	for n := 1; n <= maxCode; n++ {
		left = left<<1 - h.count[n]
		if left < 0 {
			return nil, errCode
		}
		used += h.count[n]
		first[n+1] = (first[n] + h.count[n]) << 1
		offset[n+1] = used
	}
	if left > 0 && used > 1 {
		return nil, errCode // incomplete, which only a single code may be
	}
	h.symbols = make([]uint16, used)
	for symbol, n := range lengths {
		if n == 0 {
			continue
		}
		code := first[n]
		first[n]++
		h.symbols[offset[n]] = uint16(symbol)
		offset[n]++
		if n <= fastBits {
			h.fill(code, int(n), symbol)
		}
	}
	return h, nil
}

// fill enters a short code at all places whose low bits are the code's, the first of which is its highest.
func (h *huffman) fill(code, n, symbol int) {
	at := int(bits.Reverse16(uint16(code)) >> (16 - n))
	for ; at < len(h.fast); at += 1 << n {
		h.fast[at] = uint16(symbol<<4 | n)
	}
}

// decode returns the next symbol, or -1 for a code that stands for none.
func (h *huffman) decode(in *bitReader) int {
	if e := h.fast[in.peek(fastBits)]; e != 0 {
		in.skip(int(e & 15))
		return int(e >> 4)
	}
	code, first, index := 0, 0, 0
	for n := 1; n <= maxCode; n++ {
		code |= in.bits(1)
		if code-first < h.count[n] {
			return int(h.symbols[index+code-first])
		}
		index += h.count[n]
		first = (first + h.count[n]) << 1
		code <<= 1
	}
	return -1
}

// bitReader reads bits, the lowest of each byte first. Beyond the end it reads zeros and notes that it was short.
type bitReader struct {
	src   []byte
	acc   uint64
	n     int // bits in acc
	short bool
}

// peek returns the next bits without consuming them.
func (r *bitReader) peek(n int) int {
	for r.n < n && len(r.src) > 0 {
		r.acc |= uint64(r.src[0]) << r.n
		r.src = r.src[1:]
		r.n += 8
	}
	return int(r.acc & (1<<n - 1))
}

func (r *bitReader) skip(n int) {
	if n > r.n {
		r.short = true
		n = r.n
	}
	r.acc >>= n
	r.n -= n
}

func (r *bitReader) bits(n int) int {
	v := r.peek(n)
	r.skip(n)
	return v
}

// align drops what is left of a byte.
func (r *bitReader) align() { r.skip(r.n & 7) }

func (r *bitReader) atEnd() bool { return r.n == 0 && len(r.src) == 0 }
