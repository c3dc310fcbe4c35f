package flate

import (
	"encoding/binary"
	"errors"
)

var (
	// ErrCorrupt is that the input is no DEFLATE data, or reaches back further than the window.
	ErrCorrupt = errors.New("flate: corrupt input")
	// ErrFull is that the output has reached its maximum and more would follow. The decoder can go on.
	ErrFull = errors.New("flate: output is full")
)

// Decoder inflates one stream after another, fed in pieces of any size. The zero value needs a Reset. It is 7 KiB;
// nothing of it but the Window has to be kept between two streams.
type Decoder struct {
	window  *Window // what came before the output slice; nil: nothing
	maxDist int

	bits     uint64 // read but not used, lowest first
	nbits    uint
	state    state
	final    bool // the block is the last of its stream, or was
	copyLen  int  // bytes to go of the match or stored block
	copyDist int

	// The header of a block with codes of its own.
	lens                     [maxLitCodes + maxDistCodes]uint8
	nlens, nlit, ndist, npre int

	lit  *litTable
	dist *distTable
	own  struct {
		lit  litTable
		dist distTable
	}
}

type state uint8

const (
	stateHeader   state = iota // between two blocks
	stateStored                // before a stored block's length
	stateCopy                  // in a stored block
	stateCounts                // before the numbers of codes
	statePreCodes              // in the lengths of the code length code
	stateCodes                 // in the code lengths
	stateSymbols               // between two symbols
	stateMatch                 // in a match
)

// Reset starts a stream. Matches may reach back maxDist bytes, into window where they lie before the output slice.
func (d *Decoder) Reset(window *Window, maxDist int) {
	d.window, d.maxDist = window, maxDist
	d.bits, d.nbits, d.state, d.final, d.copyLen = 0, 0, stateHeader, false, 0
}

// AtBlock reports whether all input is used and a block has just ended, or none begun.
func (d *Decoder) AtBlock() bool { return d.state == stateHeader && d.nbits == 0 }

// Final reports whether the latest block was marked as the last one of its stream. What follows it, from
// the next byte on, is decoded as another stream that continues the text.
func (d *Decoder) Final() bool { return d.final }

// Append inflates src and appends the plain bytes to dst, which it grows as bytes come out, never past limit bytes in
// all where it has to allocate. dst[start:] continues the window: it has to be the plain bytes that the window hasn't been
// given yet.
//
// It returns the slice and how much of src was read. A nil error means that all was; ErrFull that
// len(out) == limit and there is more to come; after ErrCorrupt the decoder needs a Reset.
func (d *Decoder) Append(dst []byte, start int, src []byte, limit int) (out []byte, n int, err error) {
	r := run{Decoder: d, out: dst[:cap(dst)], pos: len(dst), start: start, src: src, limit: max(limit, len(dst))}
	if len(r.out) > r.limit {
		r.out = r.out[:r.limit]
	}
	for {
		err = r.step()
		switch err {
		case nil:
			continue
		case errShort:
			err = nil
		case errRoom:
			if r.grow() {
				continue
			}
			err = ErrFull
		}
		return r.out[:r.pos], r.i, err
	}
}

// Reasons for a step to stop.
var (
	errShort = errors.New("more input")
	errRoom  = errors.New("more room")
)

// run is one Append under way.
type run struct {
	*Decoder
	out        []byte // all that may be written to
	pos, start int
	src        []byte
	i          int
	limit      int
}

// grow makes room in out, and reports whether there is any.
func (r *run) grow() bool {
	if r.pos >= r.limit {
		return false
	}
	// Texts inflate threefold; the rest comes by doubling, so what is allocated follows what has come out.
	size := min(r.limit, max(2*len(r.out), len(r.out)+3*(len(r.src)-r.i)+fastRoom, 256))
	grown := make([]byte, size)
	copy(grown, r.out[:r.pos])
	r.out = grown
	return true
}

// need reports whether n bits, at most 56, are in the buffer, having read them where there is input.
func (r *run) need(n uint) bool {
	for r.nbits < n {
		if r.i == len(r.src) {
			return false
		}
		r.bits |= uint64(r.src[r.i]) << r.nbits
		r.i++
		r.nbits += 8
	}
	return true
}

// take removes and returns n bits that are in the buffer.
func (r *run) take(n uint) int {
	v := int(r.bits & (1<<n - 1))
	r.bits >>= n
	r.nbits -= n
	return v
}

// step does what the state asks for, as far as input and room go.
func (r *run) step() error {
	switch r.state {
	case stateHeader:
		return r.header()
	case stateStored:
		return r.storedLen()
	case stateCopy:
		return r.stored()
	case stateCounts:
		return r.counts()
	case statePreCodes:
		return r.preCodes()
	case stateCodes:
		return r.codes()
	case stateSymbols:
		return r.symbols()
	}
	return r.match()
}

func (r *run) header() error {
	if !r.need(3) {
		return errShort
	}
	r.final = r.take(1) == 1
	switch r.take(2) {
	case 0:
		r.take(r.nbits & 7)
		r.state = stateStored
	case 1:
		fixed := fixedTables()
		r.lit, r.dist = &fixed.lit, &fixed.dist
		r.state = stateSymbols
	case 2:
		r.state = stateCounts
	default:
		return ErrCorrupt
	}
	return nil
}

// endBlock is where every block ends. A stream's last one ends with the byte.
func (r *run) endBlock() {
	if r.final {
		r.take(r.nbits & 7)
	}
	r.state = stateHeader
}

func (r *run) storedLen() error {
	if !r.need(32) {
		return errShort
	}
	n := r.take(16)
	if r.take(16) != n^0xffff {
		return ErrCorrupt
	}
	r.copyLen, r.state = n, stateCopy
	return nil
}

func (r *run) stored() error {
	for r.copyLen > 0 && r.nbits > 0 { // whole bytes that were read ahead
		if r.pos == len(r.out) {
			return errRoom
		}
		r.out[r.pos] = byte(r.take(8))
		r.pos++
		r.copyLen--
	}
	n := min(r.copyLen, len(r.src)-r.i, len(r.out)-r.pos)
	copy(r.out[r.pos:r.pos+n], r.src[r.i:])
	r.pos, r.i, r.copyLen = r.pos+n, r.i+n, r.copyLen-n
	switch {
	case r.copyLen == 0:
		r.endBlock()
		return nil
	case r.i == len(r.src):
		return errShort
	}
	return errRoom
}

func (r *run) counts() error {
	if !r.need(14) {
		return errShort
	}
	r.nlit, r.ndist, r.npre = 257+r.take(5), 1+r.take(5), 4+r.take(4)
	if r.nlit > maxLitCodes || r.ndist > maxDistCodes {
		return ErrCorrupt
	}
	clear(r.lens[:numPreCodes])
	r.nlens, r.state = 0, statePreCodes
	return nil
}

func (r *run) preCodes() error {
	for ; r.nlens < r.npre; r.nlens++ {
		if !r.need(3) {
			return errShort
		}
		r.lens[preOrder[r.nlens]] = uint8(r.take(3))
	}
	// The distance table isn't built yet: its room serves for this code.
	if !buildTable(r.own.dist[:], maxPreLen, r.lens[:numPreCodes], preEntries[:]) {
		return ErrCorrupt
	}
	r.nlens, r.state = 0, stateCodes
	return nil
}

func (r *run) codes() error {
	for total := r.nlit + r.ndist; r.nlens < total; {
		if r.nbits < maxPreLen+7 {
			r.fill()
		}
		e := r.own.dist[r.bits&(1<<maxPreLen-1)]
		codeLen, sym := uint(e&0xff), e>>16
		if sym < 16 && codeLen <= r.nbits && e&kindInvalid == 0 {
			r.bits >>= codeLen & 63
			r.nbits -= codeLen
			r.lens[r.nlens] = uint8(sym)
			r.nlens++
			continue
		}
		extra := uint(preExtra(int(sym)))
		if codeLen+extra > r.nbits {
			return errShort
		}
		if e&kindInvalid != 0 {
			return ErrCorrupt
		}
		r.take(codeLen)
		if err := r.repeat(sym, r.take(extra), total); err != nil {
			return err
		}
	}
	return r.ownTables()
}

// fill reads 56 bits or more, or all there is.
func (r *run) fill() {
	if len(r.src)-r.i < 8 {
		r.need(56)
		return
	}
	r.bits |= binary.LittleEndian.Uint64(r.src[r.i:]) << (r.nbits & 63)
	r.i += int((63 - r.nbits) >> 3)
	r.nbits |= 56
	r.bits &= 1<<(r.nbits&63) - 1
}

// repeat carries out one of the three symbols that stand for several lengths (RFC 1951 3.2.7).
func (r *run) repeat(sym uint32, extra, total int) error {
	n, length := 3+extra, uint8(0)
	switch {
	case sym == 18:
		n = 11 + extra
	case sym == 16 && r.nlens == 0:
		return ErrCorrupt
	case sym == 16:
		length = r.lens[r.nlens-1]
	}
	if r.nlens+n > total {
		return ErrCorrupt
	}
	for ; n > 0; n-- {
		r.lens[r.nlens] = length
		r.nlens++
	}
	return nil
}

// ownTables builds the block's tables. As in zlib, a code that can't end the block is refused.
func (r *run) ownTables() error {
	if r.lens[endOfBlock] == 0 ||
		!buildTable(r.own.lit[:], litBits, r.lens[:r.nlit], litEntries[:]) ||
		!buildTable(r.own.dist[:], distBits, r.lens[r.nlit:r.nlit+r.ndist], distEntries[:]) {
		return ErrCorrupt
	}
	r.lit, r.dist = &r.own.lit, &r.own.dist
	r.state = stateSymbols
	return nil
}

// symbols decodes literals and matches: in bulk while there is plenty of input and room, then one by one.
func (r *run) symbols() error {
	if len(r.src)-r.i >= fastInput && len(r.out)-r.pos >= fastRoom {
		if err := r.fast(); err != nil || r.state != stateSymbols {
			return err
		}
	}
	return r.symbol()
}

// symbol decodes a literal, a match or the end of the block: whole, or not at all.
func (r *run) symbol() error {
	// The longest match is 48 bits. Fewer at the end of input may do: missing ones are zeros in the buffer, and an entry
	// that is no longer than what is there doesn't depend on them.
	r.need(48)
	b, n := r.bits, r.nbits
	e := r.lit[b&(1<<litBits-1)]
	if e&kindSubtable != 0 {
		e = r.lit[e>>16+uint32(b>>litBits)&(1<<(e>>8&15)-1)]
	}
	total := uint(e & 0xff)
	if total > n {
		return errShort
	}
	switch {
	case e&kindInvalid != 0:
		return ErrCorrupt
	case e&kindEnd != 0:
		r.take(total)
		r.endBlock()
		return nil
	case r.pos == len(r.out):
		return errRoom
	case e&kindLiteral != 0:
		r.take(total)
		r.out[r.pos] = byte(e >> 16)
		r.pos++
		return nil
	}
	length := value(e, b)
	b >>= total
	n -= total
	e = r.dist[b&(1<<distBits-1)]
	if e&kindSubtable != 0 {
		e = r.dist[e>>16+uint32(b>>distBits)&(1<<(e>>8&15)-1)]
	}
	if uint(e&0xff) > n {
		return errShort
	}
	if e&kindInvalid != 0 {
		return ErrCorrupt
	}
	r.take(total)
	r.copyLen, r.copyDist = length, value(e, b)
	r.take(uint(e & 0xff))
	r.state = stateMatch
	return nil
}

// value is the length or distance of an entry whose symbol stands at the bottom of b.
func value(e uint32, b uint64) int {
	code := e >> 8 & 15
	extra := e&0xff - code
	return int(e>>16) + int(b>>code&(1<<extra-1))
}

// match copies what it can of the current match.
func (r *run) match() error {
	err := r.copyMatch()
	if err == nil {
		r.state = stateSymbols
	}
	return err
}

func (r *run) copyMatch() error {
	have := r.pos - r.start
	if r.copyDist > r.maxDist {
		return ErrCorrupt
	}
	if r.copyDist > have {
		back := r.copyDist - have
		if r.window == nil || back > r.window.Len() {
			return ErrCorrupt
		}
		n := r.window.copyBack(r.out[r.pos:min(r.pos+r.copyLen, len(r.out))], back)
		r.pos += n
		r.copyLen -= n
	}
	end := min(r.pos+r.copyLen, len(r.out))
	for r.pos < end && r.copyDist <= r.pos-r.start { // each round doubles what repeats
		n := copy(r.out[r.pos:end], r.out[r.pos-r.copyDist:r.pos])
		r.pos += n
		r.copyLen -= n
	}
	if r.copyLen > 0 {
		return errRoom
	}
	return nil
}

// What fast wants to be left, so that nothing in its loop has to ask: two refills of the bit buffer, and
// three literals with the longest match, which is copied by eights.
const (
	fastInput = 16
	fastRoom  = 3 + maxMatch + 8
)

// fast decodes symbols until input or room are short, or the block ends. It does what symbol does.
//
//nolint:funlen // its state has to stay in registers, and a call would spill it
func (r *run) fast() error {
	b, n := r.bits, r.nbits
	src, out, i, pos := r.src, r.out, r.i, r.pos
	lit, dist := r.lit, r.dist
	var err error
	for len(src)-i >= fastInput && len(out)-pos >= fastRoom {
		// The buffer is filled to 56 bits or more. Those above n are right already: the next filling puts the same there.
		b |= binary.LittleEndian.Uint64(src[i:]) << (n & 63)
		i += int((63 - n) >> 3)
		n |= 56
		e := lit[b&(1<<litBits-1)]
		if e&kindLiteral != 0 {
			b >>= e & 15
			n -= uint(e & 15)
			out[pos] = byte(e >> 16)
			pos++
			e = lit[b&(1<<litBits-1)]
			if e&kindLiteral != 0 {
				b >>= e & 15
				n -= uint(e & 15)
				out[pos] = byte(e >> 16)
				pos++
				e = lit[b&(1<<litBits-1)]
				if e&kindLiteral != 0 {
					b >>= e & 15
					n -= uint(e & 15)
					out[pos] = byte(e >> 16)
					pos++
					continue
				}
			}
			b |= binary.LittleEndian.Uint64(src[i:]) << (n & 63)
			i += int((63 - n) >> 3)
			n |= 56
		}
		if e&kindUnusual != 0 {
			if e&kindSubtable != 0 {
				e = lit[e>>16+uint32(b>>litBits)&(1<<(e>>8&15)-1)]
			}
			if e&kindLiteral != 0 {
				b >>= e & 15
				n -= uint(e & 15)
				out[pos] = byte(e >> 16)
				pos++
				continue
			}
			if e&(kindEnd|kindInvalid) != 0 {
				break // symbol says which
			}
		}
		length := value(e, b)
		b >>= e & 31
		n -= uint(e & 31)
		e = dist[b&(1<<distBits-1)]
		if e&kindUnusual != 0 {
			if e&kindSubtable != 0 {
				e = dist[e>>16+uint32(b>>distBits)&(1<<(e>>8&15)-1)]
			}
			if e&kindInvalid != 0 {
				err = ErrCorrupt
				break
			}
		}
		d := value(e, b)
		b >>= e & 31
		n -= uint(e & 31)
		if d > pos-r.start || d > r.maxDist || d < 8 {
			r.pos, r.copyLen, r.copyDist = pos, length, d
			if err = r.copyMatch(); err != nil {
				break
			}
			pos = r.pos
			continue
		}
		// Eights may write past the match: into room that is there and comes next.
		for from, to := out[pos-d:], out[pos:]; ; from, to = from[8:], to[8:] {
			binary.LittleEndian.PutUint64(to, binary.LittleEndian.Uint64(from))
			if length <= 8 {
				pos += length
				break
			}
			length -= 8
			pos += 8
		}
	}
	r.bits, r.nbits, r.i, r.pos = b&(1<<(n&63)-1), n, i, pos
	return err
}
