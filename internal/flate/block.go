package flate

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"sync"
)

// maxTokens is how many literals and matches a block holds at most.
const maxTokens = 8192

// A token is a literal, or a match: its length less 3 in bits 16-23, its distance less 1 in bits 0-14.
const tokenMatch = 1 << 31

func matchToken(length, dist int) uint32 {
	return tokenMatch | uint32(length-minMatch)<<16 | uint32(dist-1)
}

// scratch is what an encoder needs while it encodes.
type scratch struct {
	tokens  [maxTokens]uint32
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

func (s *scratch) literals(p []byte) {
	t := s.tokens[s.ntokens:][:len(p)]
	for i, c := range p {
		t[i] = uint32(c)
	}
	s.ntokens += len(p)
}

func (s *scratch) match(length, dist int) {
	s.tokens[s.ntokens] = matchToken(length, dist)
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
func distSym(d uint32) int {
	if d < 4 {
		return int(d)
	}
	n := bits.Len32(d) // the two bits at its top say which of the pair
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
	extra := s.countTokens()
	fixed := 3 + extra + s.size(fixedCodes.lit[:maxLitCodes], fixedCodes.dist[:maxDistCodes])
	stored := len(raw)*8 + (len(raw)+65534)/65535*(3+7+32)
	best := min(fixed, stored)
	if fixed > minDynamic*8 {
		header := s.makeCodes()
		if own := 3 + header + extra + s.size(s.litCodes[:], s.distCodes[:]); own < best {
			w.grow(own/8 + 16)
			s.writeHeader(w)
			s.writeTokens(w, s.litCodes[:], s.distCodes[:])
			return
		}
	}
	w.grow(best/8 + 16)
	if fixed <= stored {
		w.put(1<<1, 3)
		s.writeTokens(w, fixedCodes.lit[:maxLitCodes], fixedCodes.dist[:maxDistCodes])
		return
	}
	w.stored(raw)
}

// minDynamic is the size in bytes of a block with the fixed codes below which codes of its own don't pay for their header.
const minDynamic = 90

// countTokens counts symbols, and returns the sum of their extra bits.
func (s *scratch) countTokens() (extra int) {
	clear(s.litFreq[:])
	clear(s.distFreq[:])
	for _, t := range s.tokens[:s.ntokens] {
		if t&tokenMatch == 0 {
			s.litFreq[t&0xff]++
			continue
		}
		s.litFreq[endOfBlock+1+int(lengthSym[t>>16&0xff])]++
		s.distFreq[distSym(t&0x7fff)]++
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
func (s *scratch) writeTokens(w *bitWriter, lit, dist []code) {
	lit, dist = lit[:maxLitCodes], dist[:maxDistCodes]
	out := w.out[:cap(w.out)]
	acc, n, at := w.bits, w.n, len(w.out)
	for _, t := range s.tokens[:s.ntokens] {
		if n > 15 { // the longest match takes 48 bits
			binary.LittleEndian.PutUint64(out[at:], acc)
			at += int(n >> 3)
			acc >>= n &^ 7 & 63
			n &= 7
		}
		if t&tokenMatch == 0 {
			c := lit[t&0xff]
			acc |= uint64(c.bits) << (n & 63)
			n += uint(c.len)
			continue
		}
		length, d := t>>16&0xff, t&0x7fff
		sym := lengthSym[length]
		c := lit[endOfBlock+1+int(sym)]
		acc |= uint64(c.bits) << (n & 63)
		n += uint(c.len)
		acc |= uint64(length+minMatch-uint32(lengthBase[sym])) << (n & 63)
		n += uint(lengthExtra[sym])
		ds := distSym(d)
		c = dist[ds]
		acc |= uint64(c.bits) << (n & 63)
		n += uint(c.len)
		if x := distExtra(ds); x > 0 {
			acc |= uint64(d&(1<<x-1)) << (n & 63)
			n += uint(x)
		}
	}
	w.out, w.bits, w.n = out[:at], acc, n
	w.put(0, 0)
	c := lit[endOfBlock]
	w.put(uint64(c.bits), uint(c.len))
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

// stored writes p as stored blocks.
func (w *bitWriter) stored(p []byte) {
	for len(p) > 0 {
		n := min(len(p), 65535)
		w.grow(n + 24)
		w.storedHeader(n)
		w.out = append(w.out, p[:n]...)
		p = p[n:]
	}
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
