// Package utf8 validates text messages as RFC 6455 section 8.1 asks for it: while they arrive, in pieces that may end inside
// of a character, and failing with the first byte that can't belong to UTF-8 (RFC 3629).
//
// ASCII is skipped by words. Everything else runs through an automaton whose state is a shift: each byte has a 64-bit row,
// and the row shifted right by the state holds the next state in its low six bits. A step is a load, which depends on
// nothing but the byte, and a shift; there are no branches to mispredict, so all scripts take the same time.
// (Per Vognsen, "Shift-based DFAs", 2021.)
package utf8

import "encoding/binary"

// The states, each the position of its six bits in a row.
const (
	start   = 6 * iota // between characters
	invalid            // no way out
	need1              // one continuation byte is missing
	need2
	need3
	afterE0 // these four limit the byte that follows: no overlong forms,
	afterED // no surrogates,
	afterF0
	afterF4 // nothing above U+10FFFF
)

// rows is indexed by byte.
var rows = makeRows()

// makeRows lays out the grammar of RFC 3629 section 4.
func makeRows() (rows [256]uint64) {
	for b := range rows {
		for s := start; s <= afterF4; s += 6 {
			rows[b] |= invalid << s
		}
	}
	for _, step := range []struct{ from, low, high, to int }{
		{start, 0x00, 0x7f, start},
		{start, 0xc2, 0xdf, need1},
		{start, 0xe0, 0xe0, afterE0},
		{start, 0xe1, 0xec, need2},
		{start, 0xed, 0xed, afterED},
		{start, 0xee, 0xef, need2},
		{start, 0xf0, 0xf0, afterF0},
		{start, 0xf1, 0xf3, need3},
		{start, 0xf4, 0xf4, afterF4},
		{need1, 0x80, 0xbf, start},
		{need2, 0x80, 0xbf, need1},
		{need3, 0x80, 0xbf, need2},
		{afterE0, 0xa0, 0xbf, need1},
		{afterED, 0x80, 0x9f, need1},
		{afterF0, 0x90, 0xbf, need2},
		{afterF4, 0x80, 0x8f, need2},
	} {
		for b := step.low; b <= step.high; b++ {
			rows[b] ^= uint64(invalid^step.to) << step.from
		}
	}
	return rows
}

// A Validator checks a text that comes in pieces. The zero value is ready for the first piece. It is not safe for
// concurrent use.
type Validator struct{ state uint64 }

// Write takes the next piece, and reports whether all that was written is valid so far: whether it is valid UTF-8 that may
// lack the end of its last character. Once it reported false it does so until Reset.
func (v *Validator) Write(p []byte) bool {
	s, rest := v.state, p
	for len(rest) > 8 {
		w := (*[8]byte)(rest)
		if isASCII(w) {
			if s&63 != start {
				v.state = invalid
				return false
			}
			rest = skipASCII(rest[8:])
			continue
		}
		s = rows[w[0]] >> (s & 63)
		s = rows[w[1]] >> (s & 63)
		s = rows[w[2]] >> (s & 63)
		s = rows[w[3]] >> (s & 63)
		s = rows[w[4]] >> (s & 63)
		s = rows[w[5]] >> (s & 63)
		s = rows[w[6]] >> (s & 63)
		s = rows[w[7]] >> (s & 63)
		rest = rest[8:]
	}
	// At most eight bytes are left: a last word of ASCII, which may begin before them, decides at once.
	if len(p) >= 8 && s&63 == start && isASCII((*[8]byte)(p[len(p)-8:])) {
		rest = nil
	}
	for _, b := range rest {
		s = rows[b] >> (s & 63)
	}
	v.state = s & 63
	return v.state != invalid
}

// Done reports whether the text may end here: all of it was valid, and its last character is complete.
func (v *Validator) Done() bool { return v.state == start }

// Reset makes v ready for another text.
func (v *Validator) Reset() { v.state = start }

// Valid reports whether p is a valid text as a whole.
func Valid(p []byte) bool {
	var v Validator
	return v.Write(p) && v.Done()
}

const highBits = 0x8080808080808080

func isASCII(w *[8]byte) bool { return binary.LittleEndian.Uint64(w[:])&highBits == 0 }

// skipASCII cuts off p's leading ASCII in steps of 32 bytes, and leaves at least one byte of what it was given.
func skipASCII(p []byte) []byte {
	for len(p) > 32 {
		w := (*[32]byte)(p)
		all := binary.LittleEndian.Uint64(w[0:]) | binary.LittleEndian.Uint64(w[8:]) |
			binary.LittleEndian.Uint64(w[16:]) | binary.LittleEndian.Uint64(w[24:])
		if all&highBits != 0 {
			break
		}
		p = p[32:]
	}
	return p
}
