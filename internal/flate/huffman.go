package flate

import (
	"math/bits"
	"slices"
)

// code is a symbol's code as it goes into the bit stream, first bit lowest, and its length.
type code struct {
	bits uint16
	len  uint8
}

// maxSymbols is the size of the largest alphabet that gets codes here.
const maxSymbols = maxLitCodes

// coder makes length-limited canonical Huffman codes from frequencies. It is scratch memory only.
type coder struct {
	sorted [maxSymbols]uint32 // frequency and symbol, packed: rarest first
	work   [maxSymbols]uint32
}

// build sets codes[i] for every symbol i whose freq isn't zero, of at most limit bits, and clears the others. The code
// is complete unless there are fewer than two such symbols: one gets one bit.
func (c *coder) build(codes []code, freq []uint32, limit int) {
	used := c.sorted[:0]
	for sym, f := range freq {
		codes[sym] = code{}
		if f > 0 {
			used = append(used, min(f, 1<<22)<<9|uint32(sym))
		}
	}
	switch len(used) {
	case 0:
		return
	case 1:
		codes[used[0]&511].len = 1
		return
	}
	slices.Sort(used)
	var count [maxCodeLen + 1]int
	c.countLengths(&count, used, limit)
	n := limit
	for _, s := range used { // the rarest get the longest
		for count[n] == 0 {
			n--
		}
		count[n]--
		codes[s&511].len = uint8(n)
	}
	assign(codes)
}

// countLengths counts how many codes of each length are best. used is in order of frequency. The algorithm is Moffat's and
// Katajainen's (In-Place Calculation of Minimum-Redundancy Codes, 1995): a queue of leaves and one of inner nodes
// share one array, which ends as the depths of the inner nodes.
func (c *coder) countLengths(count *[maxCodeLen + 1]int, used []uint32, limit int) {
	n := len(used)
	w := c.work[:n]
	leaf, inner := 0, 0
	least := func(next int) uint32 {
		if leaf == n || inner < next && w[inner] < used[leaf]>>9 {
			v := w[inner]
			w[inner] = uint32(next) // from weight to parent
			inner++
			return v
		}
		leaf++
		return used[leaf-1] >> 9
	}
	for next := range n - 1 {
		a := least(next)
		w[next] = a + least(next)
	}
	w[n-2] = 0 // the root's depth
	for i := n - 3; i >= 0; i-- {
		w[i] = w[w[i]] + 1
	}
	// Level by level: what isn't an inner node is a leaf. Leaves below the limit are put on it.
	open, next := 1, n-2
	for depth := 0; open > 0; depth++ {
		parents := 0
		for next >= 0 && w[next] == uint32(depth) {
			parents++
			next--
		}
		count[min(depth, limit)] += open - parents
		open = 2 * parents
	}
	shorten(count, limit)
}

// shorten makes room for codes that were cut to limit bits: one shorter code at a time becomes two longer ones.
func shorten(count *[maxCodeLen + 1]int, limit int) {
	space := 0
	for n := 1; n <= limit; n++ {
		space += count[n] << (limit - n)
	}
	for ; space > 1<<limit; space-- {
		n := limit - 1
		for count[n] == 0 {
			n--
		}
		count[n]--
		count[n+1] += 2
		count[limit]--
	}
}

// assign numbers the codes of each length in the order of their symbols (RFC 1951 3.2.2).
func assign(codes []code) {
	var next [maxCodeLen + 2]uint16
	for i := range codes {
		next[codes[i].len+1]++
	}
	next[1] = 0 // symbols without a code
	for n := 2; n <= maxCodeLen; n++ {
		next[n] = (next[n-1] + next[n]) << 1
	}
	for i := range codes {
		if n := codes[i].len; n > 0 {
			codes[i].bits = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
}
