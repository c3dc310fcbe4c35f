package flate

import (
	"encoding/binary"
	"math/bits"
)

// AppendOnce appends src to dst as a stream of its own that ends with the flush marker and refers back at most maxDist bytes.
func AppendOnce(dst, src []byte, maxDist int) []byte {
	s := scratchPool.Get().(*scratch)
	w := bitWriter{out: dst}
	s.appendLong(&w, nil, src, min(maxDist, maxWindow))
	scratchPool.Put(s)
	w.flushMarker()
	return w.out
}

// appendLong writes src as blocks that refer to past and to src. Only the part of src that is within reach of past
// is copied, to stand behind it.
func (s *scratch) appendLong(w *bitWriter, past, src []byte, maxDist int) {
	s.index.start(len(past) + len(src))
	done := 0
	if len(past) > 0 {
		near := min(len(src), maxWindow)
		s.text = append(append(s.text[:0], past...), src[:near]...)
		s.index.add(s.text, len(past))
		s.appendBlocks(w, s.text, len(past), maxDist)
		s.index.base += uint32(len(past))
		done = near
	}
	s.appendBlocks(w, src, done, maxDist)
}

func (s *scratch) appendBlocks(w *bitWriter, text []byte, start, maxDist int) {
	for start < len(text) {
		s.ntokens = 0
		end := s.find(text, start, maxDist)
		s.writeBlock(w, text[start:end])
		start = end
	}
}

// index tells where a string in a text was last seen. Positions grow from one text to the next, so what is left of earlier
// texts is out of reach and nothing has to be cleared.
type index struct {
	table [1 << indexBits]uint32
	base  uint32 // position of the text's first byte
	next  uint32 // of the next text's
	shift uint
}

const indexBits = 13

// start makes the index one of a text of n bytes. A table much larger than the text would cost more in cache misses than
// its matches are worth.
func (x *index) start(n int) {
	if uint64(x.next)+uint64(n) > 1<<32-1 {
		clear(x.table[:])
		x.next = 0
	}
	x.base = max(x.next, maxWindow+1) // an empty entry is out of reach
	x.next = x.base + uint32(n)
	x.shift = uint(64 - min(max(bits.Len(uint(n))+1, 9), indexBits))
}

// add puts every third string of text[:end] into the index.
func (x *index) add(text []byte, end int) {
	for i := 0; i < min(end, len(text)-8); i += 3 {
		x.table[hash(binary.LittleEndian.Uint64(text[i:]), x.shift)&(1<<indexBits-1)] = x.base + uint32(i)
	}
}

// lookup returns the distance of where the string that starts with v, at i, was last seen, and puts i into the index.
func (x *index) lookup(v uint64, i int) int {
	slot := &x.table[hash(v, x.shift)&(1<<indexBits-1)]
	pos := x.base + uint32(i)
	d := pos - *slot
	*slot = pos
	return int(d)
}

// find appends tokens for text from start on, until there are enough for a block, and returns where it got.
func (s *scratch) find(text []byte, start, maxDist int) int {
	x := &s.index
	last := len(text) - 8 // the last place to look at
	end := min(last, start+maxBlock)
	// A short text has few matches to choose from, so it is worth more trouble for each.
	lazy, stride := lazyMatch, 2
	if len(text) > longText {
		lazy, stride = 0, 4
	}
	lit, step := start, firstStep
	i := start
	for i <= end && s.ntokens < maxTokens {
		v := binary.LittleEndian.Uint64(text[i:])
		d := x.lookup(v, i)
		if d > i || d > maxDist || binary.LittleEndian.Uint32(text[i-d:]) != uint32(v) {
			i += step >> stepShift
			step++
			continue
		}
		n := matchLen(text, i-d, i)
		if n < lazy && i < last { // perhaps the next byte starts a longer one
			v := binary.LittleEndian.Uint64(text[i+1:])
			d2 := x.lookup(v, i+1)
			if d2 <= i && d2 <= maxDist && binary.LittleEndian.Uint32(text[i+1-d2:]) == uint32(v) {
				if n2 := matchLen(text, i+1-d2, i+1); n2 > n {
					i, n, d = i+1, n2, d2
				}
			}
		}
		s.match(i-lit, n, d)
		next := i + n
		for j := i + 2; j < next && j <= last; j += stride {
			x.lookup(binary.LittleEndian.Uint64(text[j:]), j)
		}
		i, lit, step = next, next, firstStep
	}
	if i > last {
		i = len(text)
	}
	s.end(i - lit)
	return i
}
