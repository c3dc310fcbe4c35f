package deflate

import (
	"errors"
	"math"
	"sync"

	"github.com/tidewire/ws/internal/flate"
)

var (
	// ErrCorrupt is that a message is no DEFLATE data, reaches back further than agreed, or ends in the middle.
	ErrCorrupt = errors.New("corrupt compressed message (RFC 7692 7.2.2)")
	// ErrTooLong is that a message inflates to more than its limit.
	ErrTooLong = errors.New("inflated message exceeds the limit")
)

// Decompressor is the receiving half of permessage-deflate on one connection. It is not safe for concurrent use.
// It takes a decoder from a pool while a message is under way; between messages it keeps, with context takeover,
// the window, which has memory for what has come so far and never for more than was agreed on. A receiver may not forget it.
//
// A message is inflated either by Append, into one slice, or by Read, piece by piece. Both can stop wherever the input does
// and go on when there is more. After an error the connection has lost its place and has to be failed.
type Decompressor struct {
	dir    Direction
	window *flate.Window  // what came before the message; with Read, before the next piece
	dec    *flate.Decoder // nil: no message is under way
	total  int            // inflated by Read
}

// NewDecompressor returns a Decompressor for the direction in which the peer sends.
func NewDecompressor(d Direction) *Decompressor { return &Decompressor{dir: d} }

var (
	decoders = sync.Pool{New: func() any { return new(flate.Decoder) }}
	windows  = sync.Pool{New: func() any { return flate.NewWindow(1 << MaxWindowBits) }}
)

// Append inflates the next piece of a message's payload, all of which it uses, and appends the text to dst. dst[start:] has to
// be the message's text so far, wherever it has moved. fin tells the last piece, which may be empty. dst grows as text
// comes out; when that would be more than limit bytes for the message, the error is ErrTooLong.
func (d *Decompressor) Append(dst []byte, start int, piece []byte, fin bool, limit int) ([]byte, error) {
	d.begin(false)
	most := math.MaxInt
	if limit < most-start {
		most = start + limit
	}
	out, _, err := d.dec.Append(dst, start, piece, most)
	if err == nil && fin {
		if err = d.end(); err == nil {
			if d.window != nil {
				d.window.Write(out[start:])
			}
			d.release()
		}
	}
	return out, d.fail(err)
}

// Read inflates into p from the next piece of a message's payload. It reports how many bytes of p it filled and how
// many of piece it used, and whether the message is done, which it can be when fin tells the last piece. Otherwise: n == 0
// asks for the next piece, and n > 0 for another Read with what is left of this one, perhaps nothing.
func (d *Decompressor) Read(p, piece []byte, fin bool, limit int) (n, used int, done bool, err error) {
	d.begin(true)
	p = p[:min(len(p), limit-d.total):len(p)]
	p, used, err = d.dec.Append(p[:0], 0, piece, len(p))
	n = len(p)
	d.total += n
	d.window.Write(p)
	switch {
	case err == flate.ErrFull && d.total < limit:
		err = nil
	case err == nil && fin:
		if err = d.end(); err == nil {
			d.release()
			done = true
		}
	}
	return n, used, done, d.fail(err)
}

// begin starts a message, unless one is under way. Pieces that leave with the caller need a window in any case.
func (d *Decompressor) begin(pieces bool) {
	if d.dec != nil {
		return
	}
	switch {
	case d.window != nil:
	case d.dir.Takeover:
		d.window = flate.NewWindow(1 << d.dir.WindowBits)
	case pieces:
		d.window = windows.Get().(*flate.Window)
	}
	d.dec, d.total = decoders.Get().(*flate.Decoder), 0
	d.dec.Reset(d.window, 1<<d.dir.WindowBits)
}

var tailBytes = []byte(tail)

// end puts the tail back that the sender has cut off (RFC 7692 7.2.2), which has to complete a block and nothing else. A message
// that ends with a final block ought to have an empty one after it (7.2.3.4), but senders exist that leave it out.
func (d *Decompressor) end() error {
	if d.dec.AtBlock() && d.dec.Final() {
		return nil
	}
	if _, _, err := d.dec.Append(nil, 0, tailBytes, 0); err != nil || !d.dec.AtBlock() {
		return flate.ErrCorrupt
	}
	return nil
}

// fail translates a decoder's error. The decoder goes back to its pool.
func (d *Decompressor) fail(err error) error {
	switch err {
	case nil:
		return nil
	case flate.ErrFull:
		err = ErrTooLong
	default:
		err = ErrCorrupt
	}
	d.release()
	return err
}

// release ends a message, well or not.
func (d *Decompressor) release() {
	d.dec.Reset(nil, 0)
	decoders.Put(d.dec)
	d.dec = nil
	if d.window != nil && !d.dir.Takeover {
		d.window.Reset()
		windows.Put(d.window)
		d.window = nil
	}
}
