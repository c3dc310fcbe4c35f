package flate

import (
	"math/bits"
	"sync"
)

// Sizes of DEFLATE's alphabets and codes (RFC 1951 3.2.5 to 3.2.7).
const (
	maxLitCodes  = 286 // literals, end of block, lengths; the fixed code has two more that mean nothing
	maxDistCodes = 30
	numPreCodes  = 19 // the code in which code lengths are written
	fixedLits    = 288
	fixedDists   = 32

	endOfBlock = 256
	minMatch   = 3
	maxMatch   = 258
	maxWindow  = 32768
	maxCodeLen = 15
	maxPreLen  = 7
)

// preOrder is the order in which the code lengths of the code length code are sent (RFC 1951 3.2.7).
var preOrder = [numPreCodes]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// lengthBase and lengthExtra are what length symbols 257 and up stand for (RFC 1951 3.2.5).
var (
	lengthBase = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115,
		131, 163, 195, 227, 258}
	lengthExtra = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
)

// distBase and distExtra are what distance symbols stand for: from symbol 4 on, two symbols for each number of extra bits.
func distBase(sym int) int {
	if sym < 4 {
		return 1 + sym
	}
	return 1 + (2+sym&1)<<distExtra(sym)
}

func distExtra(sym int) int { return max(sym>>1-1, 0) }

// A table entry of the decoder:
//
//	bits 0-7    bits that the symbol takes, its extra bits included
//	bits 8-11   bits of its code alone
//	bits 12-15  kind; none of them: a length or a distance
//	bits 16-31  the literal, or the base of the length or distance, or where the subtable starts
//
// An entry that points to a subtable has that table's width in bits 8-11.
const (
	kindLiteral  = 1 << 12
	kindSubtable = 1 << 13
	kindEnd      = 1 << 14
	kindInvalid  = 1 << 15

	kindUnusual = kindSubtable | kindEnd | kindInvalid
)

// Widths of the tables' first level, and how many entries any valid code needs with its subtables: the worst cases of
// 288 symbols with 10 of 15 bits, and of 32 with 8 of 15.
const (
	litBits  = 10
	distBits = 8
	litSize  = 1334
	distSize = 402
)

type (
	litTable  [litSize]uint32
	distTable [distSize]uint32
)

// fixedTables are those of the fixed code (RFC 1951 3.2.6).
var fixedTables = sync.OnceValue(func() *struct {
	lit  litTable
	dist distTable
} {
	t := new(struct {
		lit  litTable
		dist distTable
	})
	var lens [fixedLits]uint8
	for sym := range lens {
		lens[sym] = fixedLitLen(sym)
	}
	buildTable(t.lit[:], litBits, lens[:], litEntries[:])
	var dists [fixedDists]uint8
	for sym := range dists {
		dists[sym] = 5
	}
	buildTable(t.dist[:], distBits, dists[:], distEntries[:])
	return t
})

func fixedLitLen(sym int) uint8 {
	switch {
	case sym < 144:
		return 8
	case sym < 256:
		return 9
	case sym < 280:
		return 7
	}
	return 8
}

// litEntries, distEntries and preEntries are the entries by symbol, without the code's length.
var (
	litEntries = func() (t [fixedLits]uint32) {
		for sym := range t {
			switch i := sym - endOfBlock - 1; {
			case sym < endOfBlock:
				t[sym] = uint32(sym)<<16 | kindLiteral
			case sym == endOfBlock:
				t[sym] = kindEnd
			case i < len(lengthBase):
				t[sym] = uint32(lengthBase[i])<<16 | uint32(lengthExtra[i])
			default:
				t[sym] = kindInvalid
			}
		}
		return t
	}()
	distEntries = func() (t [fixedDists]uint32) {
		for sym := range t {
			t[sym] = kindInvalid
			if sym < maxDistCodes {
				t[sym] = uint32(distBase(sym))<<16 | uint32(distExtra(sym))
			}
		}
		return t
	}()
	preEntries = func() (t [numPreCodes]uint32) {
		for sym := range t {
			t[sym] = uint32(sym)<<16 | kindLiteral
		}
		return t
	}()
)

// buildTable fills table for the canonical code with these lengths, width bits on the first level. It reports whether
// the lengths make a code: one that is complete, or, as zlib has it, a single symbol of one bit, or none at all.
func buildTable(table []uint32, width int, lens []uint8, entries []uint32) bool {
	var count [maxCodeLen + 1]int
	for _, n := range lens {
		count[n]++
	}
	count[0] = 0
	var next [maxCodeLen + 2]int // where the symbols of each length go in sorted
	space := 1 << maxCodeLen     // of the code space, what is left
	for n := 1; n <= maxCodeLen; n++ {
		next[n+1] = next[n] + count[n]
		space -= count[n] << (maxCodeLen - n)
	}
	total := next[maxCodeLen+1]
	if space < 0 || space > 0 && (total > 1 || total != count[1]) {
		return false
	}
	if space > 0 {
		sparseTable(table[:1<<width], lens, entries)
		return true
	}
	var sorted [fixedLits]uint16
	for sym, n := range lens {
		if n > 0 {
			sorted[next[n]] = uint16(sym)
			next[n]++
		}
	}
	fillTable(table, width, &count, sorted[:total], entries)
	return true
}

// sparseTable is the table of a code with one symbol, of one bit, or with none.
func sparseTable(table []uint32, lens []uint8, entries []uint32) {
	for i := range table {
		table[i] = kindInvalid | 1<<8 | 1
	}
	for sym, n := range lens {
		if n == 1 {
			for i := 0; i < len(table); i += 2 {
				table[i] = entries[sym] + (1<<8 | 1)
			}
		}
	}
}

// fillTable fills the table of a complete code. Codes are read from their first bit on, which is the lowest one in the
// decoder's buffer, so they count upwards with their bits reversed. The first level grows with the codes' length:
// while it holds all codes of n bits it has 1<<n entries, and doubling it is a copy.
func fillTable(table []uint32, width int, count *[maxCodeLen + 1]int, sorted []uint16, entries []uint32) {
	n := 1
	for count[n] == 0 {
		n++
	}
	size := 1 << min(n, width)
	left := count[n]
	code, sub, subPrefix, subBits := 0, 0, -1, 0
	end := 1 << width // where the next subtable starts
	for _, sym := range sorted {
		for left == 0 {
			n++
			left = count[n]
			if n <= width {
				copy(table[size:2*size], table[:size])
				size *= 2
			}
		}
		entry := entries[sym] + uint32(n)*(1<<8|1)
		if n <= width {
			table[code] = entry
		} else {
			if prefix := code & (1<<width - 1); prefix != subPrefix {
				subPrefix, sub = prefix, end
				subBits = n - width
				for room := left; room < 1<<subBits; {
					subBits++
					room = room<<1 + count[width+subBits]
				}
				end += 1 << subBits
				table[prefix] = uint32(sub)<<16 | uint32(subBits)<<8 | kindSubtable | uint32(width)
			}
			for i := code >> width; i < 1<<subBits; i += 1 << (n - width) {
				table[sub+i] = entry
			}
		}
		left--
		// Add one to the reversed code: clear the ones at its top, set the zero before them.
		if code == 1<<n-1 {
			break // the last one
		}
		top := bits.Len(uint(code ^ (1<<n - 1)))
		code = code&(1<<(top-1)-1) | 1<<(top-1)
	}
	for ; size < 1<<width; size *= 2 {
		copy(table[size:2*size], table[:size])
	}
}
