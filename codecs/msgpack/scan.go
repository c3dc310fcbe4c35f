package msgpack

import (
	"encoding/binary"
	"math"
)

// The scanner finds out where a value ends, before the library is given it: that
// one takes memory for as many elements as a message announces, and goes as deep
// as it is nested.

// maxDepth is how deep arrays and maps may be nested.
const maxDepth = 1000

// skip returns the offset behind the value at p[i], or -1: it is cut short, too
// deep, or none.
func skip(p []byte, i, depth int) int {
	if i < 0 || i >= len(p) || depth > maxDepth {
		return -1
	}
	c := p[i]
	switch i++; {
	case c < 0x80 || c >= 0xe0: // a small integer
		return i
	case c < 0x90:
		return skipValues(p, i, 2*uint64(c&0x0f), depth)
	case c < 0xa0:
		return skipValues(p, i, uint64(c&0x0f), depth)
	case c < 0xc0:
		return skipBytes(p, i, uint64(c&0x1f))
	case c >= 0xdc:
		return skipMany(p, i, c, depth)
	}
	switch c {
	case 0xc0, 0xc2, 0xc3: // nil, false, true
		return i
	case 0xc1: // never used
		return -1
	}
	f := formats[c-0xc4]
	n, i := number(p, i, f.length)
	return skipBytes(p, i, n+uint64(f.bytes))
}

// formats are those from 0xc4 to 0xdb: how many bytes their length takes, and how
// many follow beyond that.
var formats = [...]struct{ length, bytes int }{
	{1, 0}, {2, 0}, {4, 0}, // bin
	{1, 1}, {2, 1}, {4, 1}, // ext
	{0, 4}, {0, 8}, // float
	{0, 1}, {0, 2}, {0, 4}, {0, 8}, // uint
	{0, 1}, {0, 2}, {0, 4}, {0, 8}, // int
	{0, 2}, {0, 3}, {0, 5}, {0, 9}, {0, 17}, // fixext
	{1, 0}, {2, 0}, {4, 0}, // str
}

// skipMany skips an array or a map whose length is a number of its own.
func skipMany(p []byte, i int, c byte, depth int) int {
	n, i := number(p, i, 2+2*int(c&1))
	if c >= 0xde {
		n *= 2
	}
	return skipValues(p, i, n, depth)
}

func skipValues(p []byte, i int, n uint64, depth int) int {
	if i < 0 || n > uint64(len(p)-i) { // each takes a byte at least
		return -1
	}
	for ; n > 0 && i >= 0; n-- {
		i = skip(p, i, depth+1)
	}
	return i
}

func skipBytes(p []byte, i int, n uint64) int {
	if i < 0 || n > uint64(len(p)-i) {
		return -1
	}
	return i + int(n)
}

// number reads a big-endian number of so many bytes, and returns the offset behind it.
func number(p []byte, i, size int) (uint64, int) {
	if i < 0 || len(p)-i < size {
		return 0, -1
	}
	var n uint64
	for _, c := range p[i : i+size] {
		n = n<<8 | uint64(c)
	}
	return n, i + size
}

// whole reports whether p is one value.
func whole(p []byte) bool { return skip(p, 0, 0) == len(p) }

// mapHead returns how many members the map at the beginning of p has, and the
// offset of the first.
func mapHead(p []byte) (n uint64, i int, ok bool) {
	switch {
	case len(p) == 0:
		return 0, 0, false
	case p[0]&0xf0 == 0x80:
		return uint64(p[0] & 0x0f), 1, true
	case p[0] == 0xde || p[0] == 0xdf:
		n, i = number(p, 1, 2+2*int(p[0]&1))
		return n, i, i > 0
	}
	return 0, 0, false
}

// text returns what a string says; ok is false if p is none.
func text(p []byte) (s []byte, ok bool) {
	switch c := p[0]; {
	case c&0xe0 == 0xa0:
		return p[1:], true
	case 0xd9 <= c && c <= 0xdb:
		return p[1+1<<(c-0xd9):], true
	}
	return nil, false
}

// integer returns an integer that is not negative.
func integer(p []byte) (n uint64, ok bool) {
	switch c := p[0]; {
	case c < 0x80:
		return uint64(c), true
	case 0xcc <= c && c <= 0xcf:
		n, _ = number(p, 1, 1<<(c-0xcc))
		return n, true
	case c == 0xd0:
		return uint64(p[1]), int8(p[1]) >= 0
	case c == 0xd1:
		n = uint64(binary.BigEndian.Uint16(p[1:]))
		return n, n <= math.MaxInt16
	case c == 0xd2:
		n = uint64(binary.BigEndian.Uint32(p[1:]))
		return n, n <= math.MaxInt32
	case c == 0xd3:
		n = binary.BigEndian.Uint64(p[1:])
		return n, n <= math.MaxInt64
	}
	return 0, false
}
