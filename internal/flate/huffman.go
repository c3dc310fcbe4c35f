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

// coder makes length-limited canonical Huffman codes from frequencies. It is scratch memory only.
type coder struct {
	used   [maxLitCodes]uint16 // symbols with a code, in their order
	sorted [maxLitCodes]uint32 // the same, rarest first: frequency and symbol, packed
	nodes  [maxLitCodes]uint32
}

// build sets codes[i] for every symbol i whose freq isn't zero, of at most limit bits, and clears the others. The code
// is complete unless there are fewer than two such symbols: one gets one bit.
func (c *coder) build(codes []code, freq []uint32, limit int) {
	clear(codes)
	n := c.sort(freq)
	switch n {
	case 0:
		return
	case 1:
		codes[c.used[0]].len = 1
		return
	}
	var count [maxCodeLen + 1]int
	c.countLengths(&count, n, limit)
	sorted := c.sorted[:n]
	for length := limit; length > 0; length-- { // the rarest get the longest
		for _, s := range sorted[:count[length]] {
			codes[s&511].len = uint8(length)
		}
		sorted = sorted[count[length]:]
	}
	assign(codes, c.used[:n], &count)
}

// frequent is what a symbol's frequency has to be for it to be sorted by comparing. Below it, counting does.
const frequent = 32

// sort fills used and sorted, and returns how many symbols they hold.
func (c *coder) sort(freq []uint32) int {
	var next [frequent + 1]uint32
	n := 0
	for sym, f := range freq {
		if f > 0 {
			c.used[n] = uint16(sym)
			n++
			next[min(f, frequent)]++
		}
	}
	at := uint32(0)
	for f, k := range next {
		next[f] = at
		at += k
	}
	top := next[frequent]
	for _, sym := range c.used[:n] {
		f := freq[sym]
		slot := &next[min(f, frequent)]
		c.sorted[*slot] = min(f, 1<<22)<<9 | uint32(sym)
		*slot++
	}
	slices.Sort(c.sorted[top:n])
	return n
}

// countLengths counts how many codes of each length are best for the n sorted symbols. The algorithm is Moffat's and
// Katajainen's (In-Place Calculation of Minimum-Redundancy Codes, 1995): nodes is a queue of inner nodes' weights, of
// which those that have found a parent hold its place, and in the end depths.
func (c *coder) countLengths(count *[maxCodeLen + 1]int, n, limit int) {
	leaves, nodes := c.sorted[:n], c.nodes[:n-1]
	leaf, inner := 0, 0
	for next := range nodes {
		weight := uint32(0)
		for range 2 { // the two lightest of what has no parent
			if leaf == n || inner < next && nodes[inner] < leaves[leaf]>>9 {
				weight += nodes[inner]
				nodes[inner] = uint32(next)
				inner++
			} else {
				weight += leaves[leaf] >> 9
				leaf++
			}
		}
		nodes[next] = weight
	}
	root := n - 2
	nodes[root] = 0
	for i := root - 1; i >= 0; i-- {
		nodes[i] = nodes[nodes[i]] + 1
	}
	// On each level, what isn't an inner node is a leaf. Leaves below the limit are put on it.
	open, next := 1, root
	for depth := 0; open > 0; depth++ {
		parents := 0
		for next >= 0 && nodes[next] == uint32(depth) {
			parents++
			next--
		}
		count[min(depth, limit)] += open - parents
		open = 2 * parents
	}
	shorten(count, limit)
}

// shorten makes room for codes that were cut to limit bits: a shorter code and one of those become two in the middle.
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
func assign(codes []code, used []uint16, count *[maxCodeLen + 1]int) {
	var next [maxCodeLen + 1]uint16
	for n := 2; n <= maxCodeLen; n++ {
		next[n] = (next[n-1] + uint16(count[n-1])) << 1
	}
	for _, sym := range used {
		c := &codes[sym]
		c.bits = bits.Reverse16(next[c.len]) >> (16 - c.len)
		next[c.len]++
	}
}
