package deflate

import (
	"math/bits"
	"sync"

	"github.com/tidewire/ws/internal/flate"
)

// Options tune a Compressor. The zero value is the default.
type Options struct {
	// Level goes from BestSpeed, which is the default and made for messages, to BestCompression. Above BestSpeed an encoder of
	// about 1 MB is borrowed for each message, and with context takeover fed with the history first.
	Level int
	// History is how many bytes of earlier text a compressor with context takeover refers to: 1024 to 32768, by default
	// 8192, and never more than the window agreed on. It keeps twice as many bytes of memory, and 4 KiB of room.
	History int
}

const (
	defaultHistory = 8192
	minHistory     = 1024
)

// Compressor is the sending half of permessage-deflate on one connection. It is not safe for concurrent use.
// It takes memory from a pool while a message is under way; between messages it keeps, with context takeover, its
// history and nothing else.
type Compressor struct {
	dir     Direction
	level   int
	history int
	enc     *flate.Encoder // nil: nothing to refer to
}

// NewCompressor returns a Compressor for the direction in which this end sends.
func NewCompressor(d Direction, o Options) *Compressor {
	h := o.History
	if h == 0 {
		h = defaultHistory
	}
	return &Compressor{
		dir:     d,
		level:   min(max(o.Level, BestSpeed), BestCompression),
		history: min(max(h, minHistory), 1<<d.WindowBits),
	}
}

// Append compresses the next piece of a message, or all of it, and appends what goes on the wire to dst. Pieces can be sent as
// they are in frames of their own, and the peer can inflate each as it comes; fin tells the last one, which may be empty.
// src is not kept.
//
// What Append returns has to be sent, and in order: the peer's window moves with it. Where that isn't so (the write
// was given up before its first byte, or the text goes out plain instead), call Forget before the next Append.
func (c *Compressor) Append(dst, src []byte, fin bool) []byte {
	if c.enc == nil && (c.dir.Takeover || !fin) {
		c.enc = newEncoder(c.history, 1<<c.dir.WindowBits)
	}
	dst = c.append(dst, src)
	if fin {
		dst = dst[:len(dst)-len(tail)] // 7.2.1; an empty message is left as one zero octet, 7.2.3.6
		if !c.dir.Takeover {
			c.Forget()
		}
	}
	return dst
}

// longAlone is from where on klauspost's level 1 is the faster one for a text without a history.
const longAlone = 8192

// append appends src as blocks that refer to what the encoder remembers, and ends with the flush marker.
func (c *Compressor) append(dst, src []byte) []byte {
	switch {
	case c.enc == nil && c.level == BestSpeed && (len(src) < longAlone || c.dir.WindowBits < MaxWindowBits):
		return flate.AppendOnce(dst, src, 1<<c.dir.WindowBits)
	case c.enc == nil:
		return appendLevel(dst, nil, src, c.level, c.dir.WindowBits)
	case c.level == BestSpeed:
		return c.enc.Append(dst, src)
	}
	dst = appendLevel(dst, c.enc.History(), src, c.level, c.dir.WindowBits)
	c.enc.Skip(src)
	return dst
}

// Forget makes the next message refer to nothing before it and gives the history's memory back. It is legal at any time between two
// messages, and nothing tells the peer: a sender may refer to less than it is allowed to. It also gives up a message that is
// under way.
func (c *Compressor) Forget() {
	if c.enc != nil {
		encoders[tableBits(c.history)].Put(c.enc)
		c.enc = nil
	}
}

// tableBits is the size of an encoder's table: as many bytes as the history.
func tableBits(history int) int { return bits.Len(uint(history)) - 3 }

// encoders are those that were given back, by the size of their tables. Where connections with context takeover speak
// seldom, each message takes one and Forget returns it.
var encoders [maxTableBits + 1]sync.Pool

const maxTableBits = MaxWindowBits - 2

func newEncoder(history, maxDist int) *flate.Encoder {
	size := tableBits(history)
	if e, _ := encoders[size].Get().(*flate.Encoder); e != nil {
		e.Reset(history, maxDist)
		return e
	}
	return flate.NewEncoder(history, maxDist, size)
}

// tail is what ends a message, and isn't sent (RFC 7692 7.2.1).
const tail = "\x00\x00\xff\xff"

// Sent records that a message with this text went out compressed by somebody else (AppendStandalone): the peer's window holds
// it, so distances to all that came before have grown. Its cost is a copy of at most the history.
func (c *Compressor) Sent(text []byte) {
	if c.dir.Takeover && c.enc != nil {
		c.enc.Skip(text)
	}
}

// AppendStandalone appends text, compressed as a message of its own for windows of 1<<windowBits bytes and more, to dst. It refers to
// nothing before it, so every receiver can inflate it whatever its window holds: RFC 7692 7.2.3.2 allows references, and asks for none.
// On a connection with context takeover the text then belongs to the peer's window all the same (7.2.2), which Sent is for.
func AppendStandalone(dst, text []byte, windowBits int) []byte {
	c := Compressor{dir: Direction{WindowBits: windowBits}, level: BestSpeed}
	return c.Append(dst, text, true)
}
