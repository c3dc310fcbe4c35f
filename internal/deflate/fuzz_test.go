package deflate_test

import (
	"bytes"
	"io"
	"testing"

	kpflate "github.com/klauspost/compress/flate"
	"github.com/tidewire/ws/internal/deflate"
)

// FuzzMessages sends any sequence of messages under any parameters, whole, in pieces and compressed for everybody, and has
// them inflated by four decoders: this package's two ways, the standard library's and klauspost's; and by zlib where there is Node.js.
func FuzzMessages(f *testing.F) {
	for i, text := range messages() {
		f.Add(text[:min(len(text), 3000)], uint8(i*5), uint8(i), uint16(100*i), uint64(i)*0x9e3779b97f4a7c15)
	}
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaabaaaaaaaaaaaaaaa"), uint8(16), uint8(1), uint16(256), uint64(0x35))
	f.Fuzz(func(t *testing.T, text []byte, bits, level uint8, history uint16, moves uint64) {
		dir := deflate.Direction{Takeover: bits&16 != 0, WindowBits: 8 + int(bits&7)}
		c := deflate.NewCompressor(dir, deflate.Options{Level: int(level % 10), History: int(history)})
		r := newReceivers(dir)
		text = text[:min(len(text), 1<<14)]
		// Each step takes four bits of moves: two for how much of the text, two for what to do with it.
		for ; moves != 0 && len(text) < 1<<14; moves >>= 4 {
			part := text[:len(text)*int(1+moves&3)/4]
			switch moves >> 2 & 3 {
			case 0:
				r.receive(t, part, c.Append(nil, part, true))
			case 1:
				half := len(part) / 2
				r.receive(t, part, c.Append(c.Append(nil, part[:half], false), part[half:], true))
			case 2:
				r.receive(t, part, deflate.AppendStandalone(nil, part, dir.WindowBits))
				c.Sent(part)
			case 3:
				c.Append(nil, part, moves&16 != 0)
				c.Forget()
			}
			text = append(text, part...)
		}
	})
}

// receivers are decoders of one connection's messages.
type receivers struct {
	dir           deflate.Direction
	whole, pieces *deflate.Decompressor
	history       []byte
}

func newReceivers(dir deflate.Direction) *receivers {
	return &receivers{dir: dir, whole: deflate.NewDecompressor(dir), pieces: deflate.NewDecompressor(dir)}
}

// receive fails unless all of them make text of the payload.
func (r *receivers) receive(t *testing.T, text, payload []byte) {
	t.Helper()
	check := func(name string, got []byte, err error) {
		t.Helper()
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%s: %d of %d bytes from a payload of %d: %v", name, len(got), len(text), len(payload), err)
		}
	}
	got, err := r.whole.Append(nil, 0, payload, true, len(text))
	check("Append", got, err)
	check("Read", readPiece(t, r.pieces, nil, payload, true, len(text)), nil)
	got, err = inflateStd(payload, r.history)
	check("compress/flate", got, err)
	in := append(bytes.Clone(payload), "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...)
	got, err = io.ReadAll(kpflate.NewReaderDict(bytes.NewReader(in), r.history))
	check("klauspost/compress/flate", got, err)
	if z, err := startZlib(); err == nil {
		got, err = z.inflate(r.dir.WindowBits, r.history, payload)
		check("zlib", got, err)
	}
	if r.dir.Takeover {
		r.history = append(r.history, text...)
		r.history = r.history[max(0, len(r.history)-1<<r.dir.WindowBits):]
	}
}

// FuzzInflate: no payload breaks the limit, and what comes out doesn't depend on how it goes in.
func FuzzInflate(f *testing.F) {
	for i, text := range messages() {
		f.Add(deflate.AppendStandalone(nil, text[:min(len(text), 5000)], 15), uint16(i*700), uint8(i))
	}
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), uint16(5), uint8(0))
	f.Fuzz(func(t *testing.T, payload []byte, limit uint16, piece uint8) {
		dir := deflate.Direction{Takeover: piece&1 == 0, WindowBits: 8 + int(piece>>1&7)}
		one, many, read := deflate.NewDecompressor(dir), deflate.NewDecompressor(dir), deflate.NewDecompressor(dir)
		for range 2 { // the second time with a history
			want, wantErr := one.Append(nil, 0, payload, true, int(limit))
			if len(want) > int(limit) {
				t.Fatalf("%d bytes for a limit of %d", len(want), limit)
			}
			got, err := appendPieces(many, payload, 1+int(piece), int(limit))
			if err != wantErr || err == nil && !bytes.Equal(got, want) {
				t.Fatalf("in pieces %d bytes, %v; whole %d, %v", len(got), err, len(want), wantErr)
			}
			got, err = readAll(read, payload, 1+int(piece), int(limit))
			if err != wantErr || err == nil && !bytes.Equal(got, want) {
				t.Fatalf("read %d bytes, %v; appended %d, %v", len(got), err, len(want), wantErr)
			}
			if wantErr != nil {
				return
			}
		}
	})
}

func appendPieces(d *deflate.Decompressor, payload []byte, piece, limit int) (out []byte, err error) {
	for fin := false; !fin && err == nil; {
		n := min(piece, len(payload))
		fin = n == len(payload)
		out, err = d.Append(out, 0, payload[:n], fin, limit)
		payload = payload[n:]
	}
	return out, err
}

func readAll(d *deflate.Decompressor, payload []byte, room, limit int) ([]byte, error) {
	var out []byte
	for buf := make([]byte, room); ; {
		n, used, done, err := d.Read(buf, payload, true, limit)
		out = append(out, buf[:n]...)
		if done || err != nil {
			return out, err
		}
		payload = payload[used:]
	}
}
