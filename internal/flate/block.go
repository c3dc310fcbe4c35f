package flate

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"sync"
)

// A block ends with the first token that reaches one of these. The latter keeps it, with the longest match, within a stored
// block's length.
const (
	maxTokens = 4096
	maxBlock  = 32 << 10
)

// A token is a run of literals, and the match that follows it: none at a block's end.
type token struct {
	literals uint16
	length   uint16 // 0: no match
	dist     uint16 // less 1
}

// scratch is what an encoder needs while it encodes.
type scratch struct {
	tokens  [maxTokens + 1]token
	ntokens int

	litFreq   [maxLitCodes]uint32
	distFreq  [maxDistCodes]uint32
	preFreq   [numPreCodes]uint32
	litCodes  [maxLitCodes]code
	distCodes [maxDistCodes]code
	preCodes  [numPreCodes]code
	header    []uint16 // code lengths as the code length code's symbols: extra bits above 8
	lens      [maxLitCodes + maxDistCodes]uint8
	coder     coder
	index     index
	text      []byte // history and the start of a long text
}

var scratchPool = sync.Pool{New: func() any { return new(scratch) }}

// match appends a match and the literals before it.
func (s *scratch) match(literals, length, dist int) {
	s.tokens[s.ntokens] = token{uint16(literals), uint16(length), uint16(dist - 1)}
	s.ntokens++
}

// end appends the literals that are left at a block's end.
func (s *scratch) end(literals int) {
	s.tokens[s.ntokens] = token{literals: uint16(literals)}
	s.ntokens++
}

// lengthSym is the symbol, less 257, for each length less 3.
var lengthSym = func() (t [maxMatch - minMatch + 1]uint8) {
	for sym, base := range lengthBase {
		for i := int(base) - minMatch; i < len(t); i++ {
			t[i] = uint8(sym)
		}
	}
	return t
}()

// distSym returns the symbol for a distance less 1.
func distSym(d uint16) int {
	if d < 4 {
		return int(d)
	}
	n := bits.Len16(d) // the two bits at its top say which of the pair
	return 2*(n-1) + int(d>>(n-2)&1)
}

// fixedCodes are the fixed code (RFC 1951 3.2.6).
var fixedCodes = func() (t struct {
	lit  [fixedLits]code
	dist [fixedDists]code
}) {
	var used [fixedLits]uint16
	for sym := range used {
		used[sym] = uint16(sym)
	}
	for sym := range t.lit {
		t.lit[sym].len = fixedLitLen(sym)
	}
	for sym := range t.dist {
		t.dist[sym].len = 5
	}
	assign(t.lit[:], used[:], &[maxCodeLen + 1]int{7: 24, 8: 152, 9: 112})
	assign(t.dist[:], used[:fixedDists], &[maxCodeLen + 1]int{5: fixedDists})
	return t
}()

// writeBlock writes the tokens, which stand for raw, in the shortest of the three ways.
func (s *scratch) writeBlock(w *bitWriter, raw []byte) {
	extra := s.countTokens(raw)
	fixed := 3 + extra + s.size(fixedCodes.lit[:maxLitCodes], fixedCodes.dist[:maxDistCodes])
	stored := len(raw)*8 + 3 + 7 + 32
	best := min(fixed, stored)
	if fixed > minDynamic*8 {
		header := s.makeCodes()
		if own := 3 + header + extra + s.size(s.litCodes[:], s.distCodes[:]); own < best {
			w.grow(own/8 + 16)
			s.writeHeader(w)
			s.writeTokens(w, raw, s.litCodes[:], s.distCodes[:])
			return
		}
	}
	w.grow(best/8 + 16)
	if fixed <= stored {
		w.put(1<<1, 3)
		s.writeTokens(w, raw, fixedCodes.lit[:maxLitCodes], fixedCodes.dist[:maxDistCodes])
		return
	}
	w.stored(raw)
}

// minDynamic is the size in bytes of a block with the fixed codes below which codes of its own don't pay for their header.
const minDynamic = 90

// countTokens counts symbols, and returns the sum of their extra bits.
func (s *scratch) countTokens(raw []byte) (extra int) {
	clear(s.litFreq[:])
	clear(s.distFreq[:])
	for _, t := range s.tokens[:s.ntokens] {
		for _, c := range raw[:t.literals] {
			s.litFreq[c]++
		}
		raw = raw[t.literals+t.length:]
		if t.length > 0 {
			s.litFreq[endOfBlock+1+int(lengthSym[t.length-minMatch])]++
			s.distFreq[distSym(t.dist)]++
		}
	}
	s.litFreq[endOfBlock] = 1
	for i, n := range lengthExtra {
		extra += int(n) * int(s.litFreq[endOfBlock+1+i])
	}
	for i := 4; i < maxDistCodes; i++ {
		extra += distExtra(i) * int(s.distFreq[i])
	}
	return extra
}

// size is what all symbols take with these codes, in bits.
func (s *scratch) size(lit, dist []code) (n int) {
	for i, f := range s.litFreq {
		n += int(f) * int(lit[i].len)
	}
	for i, f := range s.distFreq {
		n += int(f) * int(dist[i].len)
	}
	return n
}

// makeCodes makes the block's own codes and their header, and returns how many bits the header takes.
func (s *scratch) makeCodes() int {
	s.coder.build(s.litCodes[:], s.litFreq[:], maxCodeLen)
	s.coder.build(s.distCodes[:], s.distFreq[:], maxCodeLen)
	nlit, ndist := s.counts()
	for i := range nlit {
		s.lens[i] = s.litCodes[i].len
	}
	for i := range ndist {
		s.lens[nlit+i] = s.distCodes[i].len
	}
	s.packLengths(s.lens[:nlit+ndist])
	s.coder.build(s.preCodes[:], s.preFreq[:], maxPreLen)
	n := 5 + 5 + 4 + 3*s.npre()
	for sym, f := range s.preFreq {
		n += int(f) * (int(s.preCodes[sym].len) + preExtra(sym))
	}
	return n
}

// counts is how many literal and distance codes the header tells: up to the last one used, one distance at least.
func (s *scratch) counts() (nlit, ndist int) {
	for nlit = maxLitCodes; s.litCodes[nlit-1].len == 0; {
		nlit--
	}
	for ndist = maxDistCodes; ndist > 1 && s.distCodes[ndist-1].len == 0; {
		ndist--
	}
	return nlit, ndist
}

// npre is how many lengths of the code length code the header tells.
func (s *scratch) npre() int {
	n := numPreCodes
	for n > 4 && s.preCodes[preOrder[n-1]].len == 0 {
		n--
	}
	return n
}

// preExtra is how many extra bits a symbol of the code length code has.
func preExtra(sym int) int {
	if sym < 16 {
		return 0
	}
	return [...]int{2, 3, 7}[sym-16]
}

// packLengths writes the code lengths with the symbols for runs (RFC 1951 3.2.7).
func (s *scratch) packLengths(lens []uint8) {
	clear(s.preFreq[:])
	s.header = s.header[:0]
	for i := 0; i < len(lens); {
		n := 1
		for i+n < len(lens) && lens[i+n] == lens[i] {
			n++
		}
		s.packRun(lens[i], n)
		i += n
	}
}

func (s *scratch) packRun(length uint8, n int) {
	if length != 0 {
		s.pack(int(length), 0)
		n--
	}
	for n >= 3 {
		sym, least, most := 16, 3, 6
		if length == 0 {
			sym, most = 17, 10
			if n > 10 {
				sym, least, most = 18, 11, 138
			}
		}
		now := min(n, most)
		s.pack(sym, now-least)
		n -= now
	}
	for ; n > 0; n-- {
		s.pack(int(length), 0)
	}
}

func (s *scratch) pack(sym, extra int) {
	s.preFreq[sym]++
	s.header = append(s.header, uint16(extra)<<8|uint16(sym))
}

func (s *scratch) writeHeader(w *bitWriter) {
	nlit, ndist := s.counts()
	npre := s.npre()
	w.put(2<<1|uint64(nlit-257)<<3|uint64(ndist-1)<<8|uint64(npre-4)<<13, 17)
	for _, sym := range preOrder[:npre] {
		w.put(uint64(s.preCodes[sym].len), 3)
	}
	for _, h := range s.header {
		sym := int(h & 0xff)
		c := s.preCodes[sym]
		w.put(uint64(c.bits)|uint64(h>>8)<<c.len, uint(c.len)+uint(preExtra(sym)))
	}
}

// writeTokens writes the tokens and the end of the block. There has to be room.
func (s *scratch) writeTokens(w *bitWriter, raw []byte, lit, dist []code) {
	lit, dist = lit[:maxLitCodes], dist[:maxDistCodes]
	out := w.out[:cap(w.out)]
	o := bitBuffer{at: len(w.out), bits: w.bits, n: w.n}
	for _, t := range s.tokens[:s.ntokens] {
		run := raw[:t.literals]
		raw = raw[t.literals+t.length:]
		for ; len(run) >= 3; run = run[3:] { // 45 bits
			o.add(lit[run[0]])
			o.add(lit[run[1]])
			o.add(lit[run[2]])
			o.flush(out)
		}
		for _, c := range run {
			o.add(lit[c])
		}
		o.flush(out)
		if t.length == 0 {
			break
		}
		length := t.length - minMatch // the longest match takes 48 bits
		sym := lengthSym[length]
		o.add(lit[endOfBlock+1+int(sym)])
		o.addBits(uint64(length+minMatch-lengthBase[sym]), uint(lengthExtra[sym]))
		ds := distSym(t.dist)
		o.add(dist[ds])
		x := uint(distExtra(ds))
		o.addBits(uint64(t.dist)&(1<<x-1), x)
		o.flush(out)
	}
	w.out, w.bits, w.n = out[:o.at], o.bits, o.n
	c := lit[endOfBlock]
	w.put(uint64(c.bits), uint(c.len))
}

// bitBuffer is a bitWriter for a loop: flush leaves fewer than 8 bits, and between two flushes 56 can be added.
type bitBuffer struct {
	at   int // in the output
	bits uint64
	n    uint
}

func (o *bitBuffer) add(c code) { o.addBits(uint64(c.bits), uint(c.len)) }

func (o *bitBuffer) addBits(v uint64, n uint) {
	o.bits |= v << (o.n & 63)
	o.n += n
}

func (o *bitBuffer) flush(out []byte) {
	binary.LittleEndian.PutUint64(out[o.at:], o.bits)
	o.at += int(o.n >> 3)
	o.bits >>= o.n &^ 7 & 63
	o.n &= 7
}

// bitWriter appends bits to a slice, first bit lowest.
type bitWriter struct {
	out  []byte
	bits uint64 // fewer than 8 between two puts
	n    uint
}

// grow makes room for n bytes, of which put may scribble on the last 8.
func (w *bitWriter) grow(n int) { w.out = slices.Grow(w.out, n) }

// put writes n bits of v, at most 56. There has to be room for 8 bytes.
func (w *bitWriter) put(v uint64, n uint) {
	w.bits |= v << (w.n & 63)
	w.n += n
	end := len(w.out)
	binary.LittleEndian.PutUint64(w.out[end:end+8], w.bits)
	w.out = w.out[:end+int(w.n>>3)]
	w.bits >>= w.n &^ 7 & 63
	w.n &= 7
}

// align fills up the byte.
func (w *bitWriter) align() {
	if w.n > 0 {
		w.put(0, 8-w.n)
	}
}

// stored writes p, of at most 65535 bytes, as a stored block.
func (w *bitWriter) stored(p []byte) {
	w.grow(len(p) + 24)
	w.storedHeader(len(p))
	w.out = append(w.out, p...)
}

func (w *bitWriter) storedHeader(n int) {
	w.put(0, 3)
	w.align()
	w.put(uint64(n)|uint64(n^0xffff)<<16, 32)
}

// flushMarker writes an empty stored block, which ends with the byte.
func (w *bitWriter) flushMarker() {
	w.grow(24)
	w.storedHeader(0)
}
