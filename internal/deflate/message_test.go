package deflate_test

import (
	"bytes"
	stdflate "compress/flate"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"

	"github.com/tidewire/ws/internal/deflate"
	"github.com/tidewire/ws/internal/deflate/traffic"
)

// messages are what most tests send.
var messages = sync.OnceValue(func() [][]byte {
	var list [][]byte
	for i, size := range []int{128, 1024, 128, 2048, 20_000, 512, 128, 70_000, 1024} {
		list = append(list, traffic.Messages(uint64(i), size, 1)...)
	}
	return append(list, nil, bytes.Repeat([]byte{'a'}, 70_000), []byte("x"), nil)
})

// directions runs f for every way to compress.
func directions(t *testing.T, f func(t *testing.T, d deflate.Direction)) {
	for _, takeover := range []bool{false, true} {
		for bits := deflate.MinWindowBits; bits <= deflate.MaxWindowBits; bits++ {
			if raceEnabled && bits%7 != 1 {
				continue // there is no concurrency to find: 8 and 15 will do
			}
			t.Run(fmt.Sprintf("takeover=%v/bits=%d", takeover, bits), func(t *testing.T) {
				f(t, deflate.Direction{Takeover: takeover, WindowBits: bits})
			})
		}
	}
}

// inflateStd is RFC 7692 7.2.2 word for word, with the standard library: the tail, then DEFLATE with the text before.
func inflateStd(payload, history []byte) ([]byte, error) {
	in := append(append([]byte(nil), payload...), "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...)
	return io.ReadAll(stdflate.NewReaderDict(bytes.NewReader(in), history))
}

func TestMessages(t *testing.T) {
	directions(t, func(t *testing.T, dir deflate.Direction) {
		c, d := deflate.NewCompressor(dir, deflate.Options{}), deflate.NewDecompressor(dir)
		var history []byte
		for i, text := range messages() {
			wire := c.Append([]byte("head"), text, true)
			if string(wire[:4]) != "head" {
				t.Fatal("overwrote what was there")
			}
			wire = wire[4:]
			if len(text) == 0 && string(wire) != "\x00" {
				t.Errorf("empty message: %x, RFC 7692 7.2.3.6 has 00", wire)
			}
			std, err := inflateStd(wire, history)
			if err != nil || !bytes.Equal(std, text) {
				t.Fatalf("message %d of %d bytes: std inflates %d, %v", i, len(text), len(std), err)
			}
			out, err := d.Append([]byte("head"), 4, wire, true, len(text))
			if err != nil || !bytes.Equal(out[4:], text) {
				t.Fatalf("message %d of %d bytes: %d, %v", i, len(text), len(out)-4, err)
			}
			if dir.Takeover {
				history = append(history, text...)
				history = history[max(0, len(history)-1<<dir.WindowBits):]
			}
		}
	})
}

// A message that is sent and received in pieces is the same message, and each piece inflates as it comes.
func TestFragments(t *testing.T) {
	directions(t, func(t *testing.T, dir deflate.Direction) {
		c := deflate.NewCompressor(dir, deflate.Options{})
		whole, pieces := deflate.NewDecompressor(dir), deflate.NewDecompressor(dir)
		for i, text := range messages() {
			var out, read []byte
			for rest := text; ; {
				n := min(len(rest), 1+i*777)
				fin := n == len(rest)
				wire := c.Append(nil, rest[:n], fin)
				rest = rest[n:]
				var err error
				if out, err = whole.Append(out, 0, wire, fin, len(text)); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(out, text[:len(text)-len(rest)]) {
					t.Fatalf("message %d: after %d bytes %d are there", i, len(text)-len(rest), len(out))
				}
				read = readPiece(t, pieces, read, wire, fin, len(text))
				if fin {
					break
				}
			}
			if !bytes.Equal(read, text) {
				t.Fatalf("message %d: read %d of %d bytes", i, len(read), len(text))
			}
		}
	})
}

// readPiece appends all that Read makes of a piece, with a small buffer.
func readPiece(t *testing.T, d *deflate.Decompressor, dst, piece []byte, fin bool, limit int) []byte {
	t.Helper()
	var buf [300]byte
	for range 1 << 20 {
		n, used, done, err := d.Read(buf[:], piece, fin, limit)
		if err != nil {
			t.Fatal(err)
		}
		dst = append(dst, buf[:n]...)
		piece = piece[used:]
		if done || n == 0 && !fin {
			if len(piece) > 0 {
				t.Fatalf("%d bytes of the piece are left", len(piece))
			}
			return dst
		}
	}
	t.Fatal("no end")
	return nil
}

func TestForget(t *testing.T) {
	dir := deflate.Direction{Takeover: true, WindowBits: 15}
	c, d := deflate.NewCompressor(dir, deflate.Options{}), deflate.NewDecompressor(dir)
	text := messages()[1]
	first := len(roundTrip(t, c, d, text))
	if again := len(roundTrip(t, c, d, text)); again > first/4 {
		t.Errorf("%d bytes, repeated %d: no context takeover", first, again)
	}
	c.Append(nil, []byte("never sent"), true)
	c.Forget()
	if forgotten := len(roundTrip(t, c, d, text)); forgotten != first {
		t.Errorf("%d bytes, after Forget %d", first, forgotten)
	}
}

func roundTrip(t *testing.T, c *deflate.Compressor, d *deflate.Decompressor, text []byte) []byte {
	t.Helper()
	wire := c.Append(nil, text, true)
	inflate(t, d, wire, text)
	return wire
}

func inflate(t *testing.T, d *deflate.Decompressor, wire, want []byte) {
	t.Helper()
	got, err := d.Append(nil, 0, wire, true, 1<<20)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d of %d bytes: %v", len(got), len(want), err)
	}
}

// A message that was compressed for everybody goes between two that refer to each other.
func TestStandalone(t *testing.T) {
	var shared [][]byte
	for i, size := range []int{100, 3000, 9000, 70_000} {
		shared = append(shared, traffic.Messages(uint64(100+i), size, 1)...)
	}
	directions(t, func(t *testing.T, dir deflate.Direction) {
		c, d := deflate.NewCompressor(dir, deflate.Options{}), deflate.NewDecompressor(dir)
		for i, text := range messages()[:6] {
			roundTrip(t, c, d, text)
			all := shared[i%len(shared)]
			inflate(t, d, deflate.AppendStandalone(nil, all, dir.WindowBits), all)
			c.Sent(all)
			// What went to all may be referred to like the rest.
			if wire := roundTrip(t, c, d, all); len(all) < 200 && dir.Takeover && len(wire) > 20 {
				t.Errorf("%d bytes that were just sent to all take %d", len(all), len(wire))
			}
		}
	})
}

// allocs fails where f allocates once everything is warm.
func allocs(t *testing.T, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(100, f); n >= 1 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}

func TestAllocs(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		dir := deflate.Direction{Takeover: takeover, WindowBits: 12}
		c, d := deflate.NewCompressor(dir, deflate.Options{}), deflate.NewDecompressor(dir)
		var wire, text []byte
		buf := make([]byte, 512)
		i := 0
		next := func() []byte { i++; return messages()[i%6] }
		exchange := func() {
			want := next()
			wire = c.Append(wire[:0], want, true)
			var err error
			if text, err = d.Append(text[:0], 0, wire, true, 1<<20); err != nil || len(text) != len(want) {
				t.Fatal(len(text), err)
			}
		}
		pieces := func() {
			want := next()
			half := len(want) / 2
			total := 0
			for k, part := range [][]byte{want[:half], want[half:]} {
				wire = c.Append(wire[:0], part, k == 1)
				for rest, done := wire, false; !done; {
					n, used, end, err := d.Read(buf, rest, k == 1, 1<<20)
					if err != nil {
						t.Fatal(err)
					}
					total += n
					rest, done = rest[used:], end || n == 0
				}
			}
			if total != len(want) {
				t.Fatalf("%d of %d bytes", total, len(want))
			}
		}
		for range 12 {
			exchange()
			pieces()
		}
		allocs(t, exchange)
		allocs(t, pieces)
		allocs(t, func() { c.Forget(); exchange() })
	}
	var wire []byte
	allocs(t, func() { wire = deflate.AppendStandalone(wire[:0], messages()[1], 15) })
}

func TestDecompressErrors(t *testing.T) {
	hello := "\xf2\x48\xcd\xc9\xc9\x07\x00" // RFC 7692 7.2.3.1
	for _, tt := range []struct {
		name, in, want string
		limit          int
		err            error
	}{
		{"one block, 7.2.3.1", hello, "Hello", 5, nil},
		{"a stored block, 7.2.3.3", "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello", 5, nil},
		{"a final block, 7.2.3.4", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello", 5, nil},
		{"a final block and nothing after it", "\xf3\x48\xcd\xc9\xc9\x07\x00", "Hello", 5, nil},
		{"two blocks, 7.2.3.5", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello", 5, nil},
		{"empty, 7.2.3.6", "\x00", "", 0, nil},
		{"text after a final block", "\xf3\x48\xcd\xc9\xc9\x07\x00" + hello, "HelloHello", 10, nil},
		{"one byte over the limit", hello, "", 4, deflate.ErrTooLong},
		{"no octets at all", "", "", 5, deflate.ErrCorrupt},
		{"ends in a block", "\xf2\x48\xcd", "", 5, deflate.ErrCorrupt},
		{"ends in a stored block", "\x00\x05\x00\xfa\xff\x48", "", 5, deflate.ErrCorrupt},
		{"the tail was left on", "\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff", "", 5, deflate.ErrCorrupt},
		{"reserved block type", "\x06", "", 5, deflate.ErrCorrupt},
	} {
		dir := deflate.Direction{Takeover: true, WindowBits: 15}
		got, err := deflate.NewDecompressor(dir).Append(nil, 0, []byte(tt.in), true, tt.limit)
		if err != tt.err || err == nil && string(got) != tt.want {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
		d, buf := deflate.NewDecompressor(dir), make([]byte, 20)
		n, used, done, err := d.Read(buf, []byte(tt.in), true, tt.limit)
		if err != tt.err || err == nil && (string(buf[:n]) != tt.want || used != len(tt.in) || !done) {
			t.Errorf("%s: Read: %q, used %d of %d, done %v, %v", tt.name, buf[:n], used, len(tt.in), done, err)
		}
	}
}

// The peer's window is a promise, and the receiver keeps no more.
func TestWindowIsKept(t *testing.T) {
	text := messages()[4]
	wire := deflate.NewCompressor(deflate.Direction{WindowBits: 15}, deflate.Options{}).Append(nil, text, true)
	d := deflate.NewDecompressor(deflate.Direction{WindowBits: 9})
	if _, err := d.Append(nil, 0, wire, true, len(text)); err != deflate.ErrCorrupt {
		t.Errorf("a distance above 512: %v", err)
	}
}

// A bomb is cut at the limit, and memory follows what comes out.
func TestBomb(t *testing.T) {
	const limit = 64 << 10
	bomb := deflate.AppendStandalone(nil, make([]byte, 16<<20), 15)
	d := deflate.NewDecompressor(deflate.Direction{WindowBits: 15})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	out, err := d.Append(nil, 0, bomb, true, limit)
	runtime.ReadMemStats(&after)
	if err != deflate.ErrTooLong || len(out) != limit {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 3*limit {
		t.Errorf("%d bytes allocated for a limit of %d", n, limit)
	}
}
