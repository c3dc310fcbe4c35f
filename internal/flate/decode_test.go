package flate_test

import (
	"bytes"
	stdflate "compress/flate"
	"errors"
	"io"
	"strings"
	"testing"

	kpflate "github.com/klauspost/compress/flate"
	"github.com/tidewire/ws/internal/deflate/traffic"
	"github.com/tidewire/ws/internal/flate"
)

// deflateStd compresses with the standard library, flushed like a message: as blocks and an empty stored one.
func deflateStd(t testing.TB, level int, p []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := stdflate.NewWriter(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// texts are what the tests of this package compress.
func texts() map[string][]byte {
	noise := make([]byte, 70_000)
	x := uint32(1)
	for i := range noise {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	return map[string][]byte{
		"empty":    {},
		"one":      {'a'},
		"three":    []byte("abc"),
		"run":      bytes.Repeat([]byte{'a'}, 1000),
		"pair":     bytes.Repeat([]byte("ab"), 70_000),
		"longrun":  bytes.Repeat([]byte{0}, 200_000),
		"noise":    noise,
		"mixed":    append(append(bytes.Repeat([]byte("0123456789"), 5000), noise[:40_000]...), noise[:20_000]...),
		"chat":     traffic.Messages(1, 128, 1)[0],
		"batch":    traffic.Messages(1, 1024, 1)[0],
		"large":    traffic.Messages(1, 100_000, 1)[0],
		"allbytes": allBytes(),
	}
}

func allBytes() []byte {
	p := make([]byte, 256)
	for i := range p {
		p[i] = byte(i)
	}
	return p
}

func TestDecodeLevels(t *testing.T) {
	for name, text := range texts() {
		for level := stdflate.HuffmanOnly; level <= 9; level++ {
			packed := deflateStd(t, level, text)
			var d flate.Decoder
			d.Reset(nil, 32768)
			out, n, err := d.Append([]byte("kept"), 4, packed, 1<<20)
			if err != nil || n != len(packed) || !d.AtBlock() || string(out[:4]) != "kept" || !bytes.Equal(out[4:], text) {
				t.Errorf("%s level %d: %d of %d bytes, read %d of %d: %v", name, level, len(out)-4, len(text), n, len(packed), err)
			}
		}
	}
}

// Pieces and room of every small size reach every place where the decoder can be interrupted.
func TestDecodePieces(t *testing.T) {
	for name, text := range texts() {
		text = text[:min(len(text), 20_000)]
		packed := deflateStd(t, 6, text)
		for _, in := range []int{1, 2, 7, 8, 9, 100, len(packed)} {
			for _, room := range []int{1, 3, 300, 5000} {
				var d flate.Decoder
				w := flate.NewWindow(32768)
				d.Reset(w, 32768)
				var got []byte
				src, buf := packed, make([]byte, room)
				for len(src) > 0 {
					out, n, err := d.Append(buf[:0], 0, src[:min(in, len(src))], room)
					if err != nil && err != flate.ErrFull {
						t.Fatalf("%s in %d room %d: %v", name, in, room, err)
					}
					if err == nil && n != min(in, len(src)) {
						t.Fatalf("%s in %d room %d: read %d without an error", name, in, room, n)
					}
					got = append(got, out...)
					w.Write(out)
					src = src[n:]
				}
				for !d.AtBlock() { // what is still in the bit buffer
					out, _, err := d.Append(buf[:0], 0, nil, room)
					if len(out) == 0 {
						t.Fatalf("%s in %d room %d: stuck: %v", name, in, room, err)
					}
					got = append(got, out...)
					w.Write(out)
				}
				if !bytes.Equal(got, text) {
					t.Fatalf("%s in %d room %d: got other text", name, in, room)
				}
			}
		}
	}
}

func TestDecodeLimit(t *testing.T) {
	text := bytes.Repeat([]byte("websocket "), 100)
	packed := deflateStd(t, 9, text)
	for _, limit := range []int{0, 1, 500, 999} {
		var d flate.Decoder
		d.Reset(nil, 32768)
		out, _, err := d.Append(nil, 0, packed, limit)
		if err != flate.ErrFull || !bytes.Equal(out, text[:limit]) {
			t.Errorf("limit %d: %d bytes, %v", limit, len(out), err)
		}
	}
	var d flate.Decoder
	d.Reset(nil, 32768)
	if out, _, err := d.Append(nil, 0, packed, len(text)); err != nil || len(out) != len(text) {
		t.Errorf("limit as long as the text: %d bytes, %v", len(out), err)
	}
}

func TestDecodeCorrupt(t *testing.T) {
	for _, tt := range []struct{ name, in string }{
		{"reserved block type", "\x06"},
		{"stored length and its complement differ", "\x00\x01\x00\xff\xff"},
		{"287 literal codes", "\xf4\x00\x00"},
		{"31 distance codes", "\x04\x1e\x00"},
		{"code length code oversubscribed", "\x04\xe0\xff\xff\xff\xff\xff\xff\xff\xff"},
		{"distance before the start", "\x4a\x04\x22\x00"},
		{"fixed length symbol 286", "\x1b\x03"},
		{"fixed distance symbol 30", "\x4b\x04\x3e"},
	} {
		var d flate.Decoder
		d.Reset(flate.NewWindow(32768), 32768)
		if _, _, err := d.Append(nil, 0, []byte(tt.in), 1<<16); err != flate.ErrCorrupt {
			t.Errorf("%s: %v", tt.name, err)
		}
		if std, err := io.ReadAll(stdflate.NewReader(strings.NewReader(tt.in + strings.Repeat("\x00", 20)))); !isCorrupt(err) {
			t.Errorf("%s: the standard library finds %q, %v", tt.name, std, err)
		}
	}
}

func isCorrupt(err error) bool {
	var c stdflate.CorruptInputError
	return errors.As(err, &c)
}

// A window smaller than DEFLATE's is a promise of the peer's: reaching further is an error, wherever the bytes lie.
func TestDecodeMaxDist(t *testing.T) {
	text := append(append([]byte("0123456789abcdef"), texts()["noise"][:300]...), "0123456789abcdef"...)
	packed := deflateStd(t, 9, text)
	for maxDist, want := range map[int]error{256: flate.ErrCorrupt, 315: flate.ErrCorrupt, 316: nil, 512: nil} {
		var d flate.Decoder
		d.Reset(nil, maxDist)
		if _, _, err := d.Append(nil, 0, packed, 1<<16); err != want {
			t.Errorf("distance 316, window %d: %v", maxDist, err)
		}
	}
}

func TestDecodeAfterFinal(t *testing.T) {
	const hello = "\xf3\x48\xcd\xc9\xc9\x07\x00" // RFC 7692 7.2.3.4 without its last octet
	var d flate.Decoder
	d.Reset(nil, 32768)
	out, _, err := d.Append(nil, 0, []byte(hello), 100)
	if err != nil || string(out) != "Hello" || !d.AtBlock() || !d.Final() {
		t.Fatalf("%q, %v, at block %v, final %v", out, err, d.AtBlock(), d.Final())
	}
	out, _, err = d.Append(out, 0, []byte("\x00\x00\x00\xff\xff"), 100)
	if err != nil || string(out) != "Hello" || !d.AtBlock() || d.Final() {
		t.Fatalf("%q, %v, at block %v, final %v", out, err, d.AtBlock(), d.Final())
	}
}

// FuzzDecode holds the decoder equal to two others on any input, in one piece and in many.
func FuzzDecode(f *testing.F) {
	for _, text := range texts() {
		if len(text) > 5000 {
			text = text[:5000]
		}
		for _, level := range []int{stdflate.HuffmanOnly, 1, 9} {
			f.Add(deflateStd(f, level, text), uint8(3))
		}
	}
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00"), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, piece uint8) {
		const limit = 1 << 20
		var d flate.Decoder
		d.Reset(nil, 32768)
		got, err := appendAll(&d, in, len(in)+1, limit)
		if err == flate.ErrFull {
			return
		}
		d.Reset(nil, 32768)
		again, err2 := appendAll(&d, in, 1+int(piece), limit)
		if err != err2 || err == nil && !bytes.Equal(got, again) {
			t.Fatalf("in pieces of %d: %d bytes and %v; in one: %d and %v", 1+int(piece), len(again), err2, len(got), err)
		}
		// Klauspost's takes some codes that can't end their block, which zlib and the standard library refuse.
		for i, newReader := range []func(io.Reader) io.ReadCloser{stdflate.NewReader, kpflate.NewReader} {
			name := []string{"std", "klauspost"}[i]
			r := bytes.NewReader(in)
			want, wantErr := io.ReadAll(newReader(r))
			if wantErr == nil { // they stop at the first final block
				d.Reset(nil, 32768)
				got, err := appendAll(&d, in[:len(in)-r.Len()], len(in)+1, limit)
				if err != nil || !bytes.Equal(got, want) || !d.Final() || !d.AtBlock() {
					t.Fatalf("%s finds %d bytes, this decoder %d and %v", name, len(want), len(got), err)
				}
				continue
			}
			if !bytes.HasPrefix(got, want) && !bytes.HasPrefix(want, got) {
				t.Fatalf("%s finds other bytes before %v", name, wantErr)
			}
			if isCorrupt(wantErr) {
				if err == nil && len(got) > len(want)+32768 {
					t.Fatalf("%s finds %v after %d bytes, this decoder nothing in %d", name, wantErr, len(want), len(got))
				}
				break
			}
		}
	})
}

func appendAll(d *flate.Decoder, in []byte, piece, limit int) (out []byte, err error) {
	for len(in) > 0 && err == nil {
		n := min(piece, len(in))
		out, _, err = d.Append(out, 0, in[:n], limit)
		in = in[n:]
	}
	return out, err
}

func BenchmarkDecode(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"128", 128}, {"512", 512}, {"1k", 1024}, {"2k", 2048}, {"16k", 16384}} {
		var packed [][]byte
		for _, m := range traffic.Messages(3, size.bytes, 64) {
			packed = append(packed, deflateStd(b, 6, m))
		}
		b.Run("flate/"+size.name, func(b *testing.B) {
			var d flate.Decoder
			buf := make([]byte, 0, 40000)
			for i := 0; b.Loop(); i++ {
				d.Reset(nil, 32768)
				if _, _, err := d.Append(buf, 0, packed[i%64], 40000); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("klauspost/"+size.name, func(b *testing.B) {
			r := kpflate.NewReader(nil)
			br := bytes.NewReader(nil)
			buf := make([]byte, 40000)
			for i := 0; b.Loop(); i++ {
				br.Reset(packed[i%64])
				r.(kpflate.Resetter).Reset(br, nil)
				if _, err := io.ReadFull(r, buf); err != io.ErrUnexpectedEOF {
					b.Fatal(err)
				}
			}
		})
	}
}
