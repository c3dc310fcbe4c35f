package flate

import (
	"encoding/binary"
	"math/bits"
)

// Encoder deflates a stream of texts and keeps the end of it, with an index, so that the next text can refer to it.
// It is the only memory an encoding connection needs between two messages.
type Encoder struct {
	buf     []byte   // history, and the text at work
	table   []uint32 // two positions in each entry, the newest lowest
	base    uint16   // position of buf[0]
	indexed int      // what is before in buf is in the table, or not worth it
	shift   uint
	history int
	maxDist int
}

const (
	ways      = 2               // positions in a table's entry
	bufSlack  = 8               // bytes after the text that may be read but mean nothing
	longText  = 4096 - bufSlack // above, a text is mostly its own history
	lazyMatch = 16              // a match this long is taken without looking at the next byte
	maxIndex  = 4096            // of skipped text, what is indexed later
)

// NewEncoder returns an Encoder that remembers history bytes (at most 32768), refers back at most maxDist bytes, and indexes
// with 1<<tableBits entries of four bytes. Memory for the history is taken as text comes; there is room for another 4 KiB.
func NewEncoder(history, maxDist, tableBits int) *Encoder {
	e := &Encoder{table: make([]uint32, 1<<tableBits), shift: uint(64 - tableBits)}
	e.limit(history, maxDist)
	return e
}

// Reset forgets everything, and sets how much to remember and how far back to refer from now on.
func (e *Encoder) Reset(history, maxDist int) {
	clear(e.table)
	e.buf, e.base, e.indexed = e.buf[:0], 0, 0
	e.limit(history, maxDist)
}

func (e *Encoder) limit(history, maxDist int) {
	e.history, e.maxDist = min(history, maxWindow), min(maxDist, maxWindow)
}

// Append appends src to dst as whole blocks that end with the flush marker, an empty stored block whose last four octets are
// 00 00 FF FF, and remembers it.
func (e *Encoder) Append(dst, src []byte) []byte {
	s := scratchPool.Get().(*scratch)
	defer scratchPool.Put(s)
	w := bitWriter{out: dst}
	switch {
	case len(src) > longText:
		s.appendLong(&w, e.History(), src, e.maxDist)
		e.Skip(src)
	case len(src) > 0:
		s.ntokens = 0
		e.find(s, e.load(src))
		s.writeBlock(&w, src)
	}
	w.flushMarker()
	return w.out
}

// History returns what is remembered, as part of the Encoder's memory.
func (e *Encoder) History() []byte { return e.buf[max(0, len(e.buf)-e.history):] }

// Skip remembers p as if it had been encoded.
func (e *Encoder) Skip(p []byte) {
	if n := len(p) - e.history; n > 0 {
		e.base += uint16(len(e.buf) + n)
		e.buf, e.indexed = e.buf[:0], 0
		p = p[n:]
	}
	for len(p) > 0 {
		n := min(len(p), longText)
		e.load(p[:n])
		p = p[n:]
	}
}

// load puts p, at most longText bytes, behind the history, dropping what is too old, and returns where it starts.
func (e *Encoder) load(p []byte) int {
	full := e.history + longText + bufSlack
	if len(e.buf)+len(p)+bufSlack > full {
		drop := len(e.buf) - e.history
		e.buf = e.buf[:copy(e.buf, e.buf[drop:])]
		e.base += uint16(drop)
		e.indexed = max(0, e.indexed-drop)
	}
	start := len(e.buf)
	if need := start + len(p) + bufSlack; need > cap(e.buf) {
		grown := make([]byte, start, min(full, max(2*cap(e.buf), need, 512)))
		copy(grown, e.buf)
		e.buf = grown
	}
	e.buf = append(e.buf, p...)
	return start
}

// find appends the tokens for buf[start:].
func (e *Encoder) find(s *scratch, start int) {
	e.index(start)
	end := len(e.buf)
	last := end - minHash // the last place to look at
	e.indexed = max(start, last+1)
	buf := e.buf[:end+bufSlack]
	lit, step := start, firstStep // what is before lit has its token
	for i := start; i <= last; {
		n, dist := e.lookup(buf, i, minHash-1)
		if n == 0 {
			i += step >> stepShift
			step++
			continue
		}
		for n < lazyMatch && i < last { // perhaps the next byte starts a longer one
			longer, d := e.lookup(buf, i+1, n)
			if longer == 0 {
				break
			}
			i++
			n, dist = longer, d
		}
		s.match(i-lit, n, dist)
		next := i + n
		for j := i + 2; j < next && j <= last; j += 3 {
			e.insert(buf, j)
		}
		i, lit, step = next, next, firstStep
	}
	s.end(end - lit)
}

// index puts what find hasn't seen into the table: the last strings of the text before, which lacked their ends, and of what
// was skipped every other one, up to a bound.
func (e *Encoder) index(start int) {
	buf := e.buf[:len(e.buf)+bufSlack]
	for i := max(e.indexed, start-maxIndex); i < start; i += 2 {
		e.insert(buf, i)
	}
}

// insert puts i into the table, in front of what its entry holds.
func (e *Encoder) insert(buf []byte, i int) {
	slot := &e.table[hash(binary.LittleEndian.Uint64(buf[i:]), e.shift)&(len(e.table)-1)]
	*slot = *slot<<16 | uint32(e.base+uint16(i))
}

// lookup returns the longest match at i that the table knows, of more than least bytes, or 0. It puts i into the table.
func (e *Encoder) lookup(buf []byte, i, least int) (length, dist int) {
	v := binary.LittleEndian.Uint64(buf[i:])
	slot := &e.table[hash(v, e.shift)&(len(e.table)-1)]
	pos := e.base + uint16(i)
	entry := *slot
	*slot = entry<<16 | uint32(pos)
	reach := uint(min(i, e.maxDist))
	p := buf[:len(buf)-bufSlack]
	for range ways {
		d := uint(pos - uint16(entry))
		entry >>= 16
		if d-1 >= reach { // 0 is the position itself, left from before the positions went round
			continue
		}
		from := i - int(d)
		if (binary.LittleEndian.Uint64(buf[from:])^v)<<hashDrop != 0 || buf[from+least] != buf[i+least] {
			continue
		}
		if n := matchLen(p, from, i); n > least {
			length, dist, least = n, int(d), n
		}
	}
	return length, dist
}

// minHash is how many bytes are looked up: matches of four seldom pay for a distance. hashDrop cuts a word to them.
const (
	minHash  = 5
	hashDrop = 64 - 8*minHash
)

// hash returns as many bits as shift leaves over.
func hash(v uint64, shift uint) int { return int(v << hashDrop * 0x9e3779b185ebca87 >> (shift & 63)) }

// Where nothing matches for long, steps get longer: one more byte for each 32 tries.
const (
	stepShift = 5
	firstStep = 1 << stepShift
)

// matchLen returns how many bytes at a and b, a < b, are equal, at most maxMatch. The first four are known to be.
func matchLen(p []byte, a, b int) int {
	n, most := 4, min(len(p)-b, maxMatch)
	for n+8 <= most {
		if x := binary.LittleEndian.Uint64(p[b+n:]) ^ binary.LittleEndian.Uint64(p[a+n:]); x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
		n += 8
	}
	for n < most && p[a+n] == p[b+n] {
		n++
	}
	return n
}
