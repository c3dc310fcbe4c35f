package flate

import (
	"encoding/binary"
	"math/bits"
)

// Encoder deflates a stream of texts and keeps the end of it, with an index, so that the next text can refer to it.
// It is the only memory an encoding connection needs between two messages.
type Encoder struct {
	buf     []byte // history, and the text at work
	table   []uint16
	base    uint16 // position of buf[0], modulo 65536
	indexed int    // what is before in buf is in the table, or not worth it
	shift   uint
	history int
	maxDist int
}

// NewEncoder returns an Encoder that remembers history bytes (at most 32768), refers back at most maxDist bytes, and indexes
// with 1<<tableBits entries of two bytes.
func NewEncoder(history, maxDist, tableBits int) *Encoder {
	return &Encoder{
		table:   make([]uint16, 1<<tableBits),
		shift:   uint(32 - tableBits),
		history: min(history, maxWindow),
		maxDist: min(maxDist, maxWindow),
	}
}

// Reset forgets the history, and sets how far back to refer from now on.
func (e *Encoder) Reset(maxDist int) {
	clear(e.table)
	e.buf, e.base, e.indexed = e.buf[:0], 0, 0
	e.maxDist = min(maxDist, maxWindow)
}

// Skip remembers p as if it had been encoded.
func (e *Encoder) Skip(p []byte) {
	if n := len(p) - e.history; n > 0 {
		e.base += uint16(len(e.buf) + n)
		e.buf, e.indexed = e.buf[:0], 0
		p = p[n:]
	}
	for len(p) > 0 {
		n := min(len(p), e.chunk())
		e.load(p[:n])
		p = p[n:]
	}
}

// Append appends src to dst as whole blocks that end with the flush marker, an empty stored block whose last four octets are
// 00 00 FF FF, and remembers it.
func (e *Encoder) Append(dst, src []byte) []byte {
	s := scratchPool.Get().(*scratch)
	w := bitWriter{out: dst}
	for len(src) > 0 {
		s.ntokens = 0
		raw := src
		for len(src) > 0 && s.ntokens < maxTokens/2 {
			chunk := src[:min(len(src), e.chunk(), maxTokens/2)]
			e.find(s, e.load(chunk))
			src = src[len(chunk):]
		}
		s.writeBlock(&w, raw[:len(raw)-len(src)])
	}
	scratchPool.Put(s)
	w.flushMarker()
	return w.out
}

const (
	minHash   = 4 // bytes that are looked up
	bufSlack  = 8 // bytes after the text that may be read but mean nothing
	minChunk  = 4096
	lazyLimit = 16   // a match this long is taken at once
	maxIndex  = 4096 // of skipped text, what is indexed later
)

// chunk is how much text fits behind a full history.
func (e *Encoder) chunk() int { return max(minChunk, e.history/2) }

// load puts p behind the history, dropping what is too old, and returns where it starts.
func (e *Encoder) load(p []byte) int {
	if len(e.buf)+len(p)+bufSlack > cap(e.buf) {
		e.makeRoom(len(p))
	}
	start := len(e.buf)
	e.buf = append(e.buf, p...)
	return start
}

// makeRoom makes room for n more bytes: takes memory up to a history and a chunk, then moves the text down.
func (e *Encoder) makeRoom(n int) {
	full := e.history + e.chunk() + bufSlack
	if len(e.buf)+n+bufSlack > full {
		drop := len(e.buf) - e.history
		e.buf = e.buf[:copy(e.buf, e.buf[drop:])]
		e.base += uint16(drop)
		e.indexed = max(0, e.indexed-drop)
	}
	if need := len(e.buf) + n + bufSlack; need > cap(e.buf) {
		grown := make([]byte, len(e.buf), min(full, max(2*cap(e.buf), need, 512)))
		copy(grown, e.buf)
		e.buf = grown
	}
}

func hash(v uint32, shift uint) uint32 { return v * 0x9e3779b1 >> (shift & 31) }

// find appends the tokens for buf[start:].
func (e *Encoder) find(s *scratch, start int) {
	end := len(e.buf)
	buf := e.buf[:end+bufSlack]
	table := e.table
	tokens, nt := &s.tokens, s.ntokens
	e.index(start)
	e.indexed = max(start, end-minHash+1)
	i, lit := start, start
	for i <= end-minHash {
		length, dist := e.lookup(buf, table, i, end)
		if length == 0 {
			i++
			continue
		}
		for length < lazyLimit && i+1 <= end-minHash { // perhaps the next byte starts a longer one
			l2, d2 := e.lookup(buf, table, i+1, end)
			if l2 <= length {
				break
			}
			i++
			length, dist = l2, d2
		}
		for ; lit < i; lit++ {
			tokens[nt&(maxTokens-1)] = uint32(buf[lit])
			nt++
		}
		tokens[nt&(maxTokens-1)] = matchToken(length, dist)
		nt++
		stop := min(i+length, end-minHash+1)
		for j := i + 1; j < stop; j++ {
			table[hash(binary.LittleEndian.Uint32(buf[j:]), e.shift)&uint32(len(table)-1)] = e.base + uint16(j)
		}
		i += length
		lit = i
	}
	for ; lit < end; lit++ {
		tokens[nt&(maxTokens-1)] = uint32(buf[lit])
		nt++
	}
	s.ntokens = nt
}

// index puts what find hasn't seen into the table: the last strings of the text before, which lacked their ends, and what
// was skipped, up to a bound.
func (e *Encoder) index(start int) {
	buf := e.buf
	for i := max(e.indexed, start-maxIndex); i < start && i+minHash <= len(buf); i++ {
		e.table[hash(binary.LittleEndian.Uint32(buf[i:]), e.shift)&uint32(len(e.table)-1)] = e.base + uint16(i)
	}
}

// lookup returns the match at i, of at least four bytes, or 0, and puts i into the table.
func (e *Encoder) lookup(buf []byte, table []uint16, i, end int) (length, dist int) {
	v := binary.LittleEndian.Uint32(buf[i:])
	slot := &table[hash(v, e.shift)&uint32(len(table)-1)]
	pos := e.base + uint16(i)
	dist = int(pos - *slot)
	*slot = pos
	if dist == 0 || dist > i || dist > e.maxDist || binary.LittleEndian.Uint32(buf[i-dist:]) != v {
		return 0, 0
	}
	most := min(end-i, maxMatch)
	length = minHash
	for length < most {
		if x := binary.LittleEndian.Uint64(buf[i+length:]) ^ binary.LittleEndian.Uint64(buf[i-dist+length:]); x != 0 {
			length += bits.TrailingZeros64(x) >> 3
			break
		}
		length += 8
	}
	return min(length, most), dist
}
