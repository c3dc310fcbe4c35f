package conn

import (
	"errors"
	"math"
	"slices"
	"sync"

	"github.com/tidewire/ws/internal/deflate"
	"github.com/tidewire/ws/internal/pool"
	"github.com/tidewire/ws/internal/utf8"
	"github.com/tidewire/ws/internal/wire"
)

// Compression is what two ends have agreed on for permessage-deflate (RFC 7692
// 7.1). The zero value is no compression.
type Compression struct {
	ServerNoContextTakeover bool // each message of the server is compressed for itself
	ClientNoContextTakeover bool // and of the client
	ServerMaxWindowBits     int  // the server's messages refer back at most 1<<bits bytes; 8 to 15
	ClientMaxWindowBits     int  // and the client's
}

// Enabled reports whether messages may be compressed.
func (p Compression) Enabled() bool { return p.ServerMaxWindowBits != 0 }

// defaultThreshold is the shortest message that is compressed: a shorter one
// gains less than the peer's work to inflate it.
const defaultThreshold = 128

// compression is a connection's permessage-deflate.
type compression struct {
	agreed    Compression
	out       deflate.Direction
	threshold int

	// in and text belong to the read side.
	in    *deflate.Decompressor
	text  utf8.Validator // of the message in progress
	limit int            // on what it inflates to

	// c belongs to whoever may append a frame: the holder of outbound.mu, or of
	// outbound.message.
	c *deflate.Compressor
}

func newCompression(cfg *Config) *compression {
	p := cfg.Compression
	if !p.Enabled() {
		return nil
	}
	params := deflate.Params(p)
	in, out := params.Client(), params.Server()
	if cfg.Client {
		in, out = out, in
	}
	if b := cfg.CompressionBits; b != 0 {
		out.WindowBits = min(out.WindowBits, max(b, deflate.MinWindowBits))
	}
	return &compression{
		agreed:    p,
		out:       out,
		threshold: max(limit(cfg.CompressionThreshold, defaultThreshold), 0),
		in:        deflate.NewDecompressor(in),
		c:         deflate.NewCompressor(out, deflate.Options{Level: cfg.CompressionLevel, History: cfg.CompressionHistory}),
	}
}

// Compression returns what was agreed on for permessage-deflate.
func (c *Conn) Compression() Compression {
	if c.deflate == nil {
		return Compression{}
	}
	return c.deflate.agreed
}

// compresses decides about a message before the compressor sees any of it: once
// fed, its window has moved, and the message can't go out plain any more.
func (c *Conn) compresses(m Message) bool {
	d := c.deflate
	return d != nil && !m.NoCompress && len(m.Data) >= d.threshold
}

// compress appends the next piece of a message, compressed, to b.
func (d *compression) compress(b, p []byte, fin bool) []byte { return d.c.Append(b, p, fin) }

// maxInflation is how much longer than its payload a message is first expected
// to be.
const maxInflation = 4

// inflate appends what a piece of a compressed message means to b, where the
// message begins at start.
func (c *Conn) inflate(b []byte, start int, ev wire.Event) ([]byte, error) {
	d := c.deflate
	if ev.First {
		c.beginInflating()
	}
	before := len(b)
	b, err := d.in.Append(b, start, ev.Data, ev.Last, d.limit)
	return b, c.inflated(b[before:], ev.Opcode, ev.Last, err)
}

// beginInflating prepares for a message. A limit that is changed while it comes
// is for the next one.
func (c *Conn) beginInflating() {
	d := c.deflate
	d.text.Reset()
	d.limit = math.MaxInt
	if n := c.readLimit.Load(); n > 0 && n < math.MaxInt {
		d.limit = int(n)
	}
}

// inflated checks what has come out of a piece.
func (c *Conn) inflated(text []byte, op wire.Opcode, last bool, err error) error {
	switch {
	case errors.Is(err, deflate.ErrTooLong):
		return c.violated(wire.ErrTooBig)
	case err != nil:
		return c.violated(&wire.Error{Code: uint16(StatusInvalidData), Text: err.Error()})
	case op == wire.Text:
		if v := &c.deflate.text; !v.Write(text) || last && !v.Done() {
			return c.violated(wire.ErrUTF8)
		}
	}
	c.countIn(op, len(text), last)
	return nil
}

// forget frees the compressor's history: for a connection on which nothing has
// been sent for a while. The next message does without it.
func (c *Conn) forget() {
	if c.deflate == nil || !c.out.mu.TryLock() {
		return
	}
	if !c.out.message {
		c.deflate.c.Forget()
	}
	c.out.mu.Unlock()
}

// classes has a prepared message as it is for connections with compression, by
// the window that the receiver has. What is compressed once for many refers to
// nothing before it, so that every receiver can inflate it, with or without
// context takeover (RFC 7692 7.2.3.2).
type classes struct {
	mu    sync.Mutex
	forms [deflate.MaxWindowBits + 1]form
}

// form is a message compressed: its payload, and the frame around it, which is
// nil if the payload goes out in fragments.
type form struct{ payload, frame []byte }

// deflated returns p compressed for a window, making it when first needed.
func (p *Prepared) deflated(bits int) form {
	p.classes.mu.Lock()
	defer p.classes.mu.Unlock()
	f := &p.classes.forms[bits]
	if f.payload == nil {
		*f = p.deflate(bits)
	}
	return *f
}

func (p *Prepared) deflate(bits int) form {
	z := deflate.AppendStandalone(pool.Get(len(p.m.Data)), p.m.Data, bits)
	defer pool.Put(z)
	if len(z) > maxFragment {
		return form{payload: slices.Clone(z)}
	}
	h := header(p.m, true)
	h.RSV1, h.Length = true, int64(len(z))
	frame := append(h.Append(make([]byte, 0, h.Len()+len(z))), z...)
	return form{payload: frame[h.Len():], frame: frame}
}
