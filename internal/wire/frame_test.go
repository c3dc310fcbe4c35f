package wire_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/tidewire/ws/internal/wire"
)

// The first byte's bits (RFC 6455 5.2).
const (
	fin  = 0x80
	rsv1 = 0x40
	rsv2 = 0x20
	rsv3 = 0x10
)

var key = [4]byte{0x37, 0xfa, 0x21, 0x3d} // that of RFC 6455 5.7

// server and client build frames as a client or a server sends them, so as each of the two expects them.
func server(b0 byte, payload string) []byte { return appendFrame(nil, b0, true, payload) }
func client(b0 byte, payload string) []byte { return appendFrame(nil, b0, false, payload) }

// appendFrame is RFC 6455 5.2 and 5.3 as they are written.
func appendFrame(b []byte, b0 byte, masked bool, payload string) []byte {
	var bit byte
	if masked {
		bit = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, b0, bit|byte(n))
	case n < 65536:
		b = append(b, b0, bit|126, byte(n>>8), byte(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, b0, bit|127), uint64(n))
	}
	if !masked {
		return append(b, payload...)
	}
	b = append(b, key[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

func TestHeaderForms(t *testing.T) {
	for _, n := range []int64{0, 1, 125, 126, 127, 1<<16 - 1, 1 << 16, 1<<31 - 1, 1 << 31, 1 << 32, 1<<63 - 1} {
		for _, masked := range []bool{false, true} {
			h := wire.Header{Opcode: wire.Binary, Fin: n%2 == 0, RSV1: n%3 == 0, Masked: masked, Length: n}
			if masked {
				h.Key = 0x3d21fa37
			}
			b := h.Append([]byte("x"))[1:]
			if len(b) != h.Len() || len(b) > wire.MaxHeader {
				t.Errorf("%d, masked %v: %d bytes, Len %d", n, masked, len(b), h.Len())
			}
			for i := range b {
				if _, took, err := wire.ParseHeader(b[:i]); took != 0 || err != nil {
					t.Errorf("%d, masked %v: %d of %d bytes: took %d, %v", n, masked, i, len(b), took, err)
				}
			}
			got, took, err := wire.ParseHeader(append(b, "payload"...))
			if got != h || took != len(b) || err != nil {
				t.Errorf("%d, masked %v: %+v, took %d, %v", n, masked, got, took, err)
			}
		}
	}
}

// The header that Append makes is the one of the naive builder, also on the wire.
func TestHeaderBytes(t *testing.T) {
	for _, n := range []int{0, 5, 125, 126, 65535, 65536} {
		payload := string(make([]byte, n))
		for _, b0 := range []byte{fin | 1, 2, fin | rsv1, fin | 8, fin | 9, fin | 10} {
			h := wire.Header{Opcode: wire.Opcode(b0 & 15), Fin: b0&fin != 0, RSV1: b0&rsv1 != 0, Length: int64(n)}
			if got, want := append(h.Append(nil), payload...), client(b0, payload); !bytes.Equal(got, want) {
				t.Errorf("%#x, %d bytes: % x, want % x", b0, n, got[:min(20, len(got))], want[:min(20, len(want))])
			}
			h.Masked, h.Key = true, binary.LittleEndian.Uint32(key[:])
			if got, want := h.Append(nil), server(b0, payload); !bytes.HasPrefix(want, got) || len(got)+n != len(want) {
				t.Errorf("%#x, %d bytes, masked: % x", b0, n, got)
			}
		}
	}
}

func TestOpcodes(t *testing.T) {
	valid := map[wire.Opcode]bool{wire.Continuation: true, wire.Text: true, wire.Binary: true,
		wire.Close: true, wire.Ping: true, wire.Pong: true}
	for op := range wire.Opcode(16) {
		if got := op.IsControl(); got != (op >= 8) {
			t.Errorf("opcode %d: IsControl %v", op, got)
		}
		_, n, err := wire.ParseHeader(client(fin|byte(op), ""))
		if ok := n == 2 && err == nil; ok != valid[op] {
			t.Errorf("opcode %d: %d, %v", op, n, err)
		}
	}
}

// rules has every way to break the framing, with the section that forbids it. in is fed to a parser of the named side; the
// error comes with the last byte of in, and not before.
var rules = []struct {
	name    string
	side    string // server or client; "" is both
	deflate bool
	in      []byte // for both: as a client's parser takes it, headers only
	code    uint16
	section string
}{
	{"reserved bit 1", "client", false, []byte{fin | rsv1 | 1, 0}, 1002, "5.2"},
	{"reserved bit 2", "", false, []byte{fin | rsv2 | 1, 0}, 1002, "5.2"},
	{"reserved bit 3", "", false, []byte{fin | rsv3 | 2, 0}, 1002, "5.2"},
	{"reserved bit 2, with deflate", "", true, []byte{fin | rsv1 | rsv2 | 1, 0}, 1002, "5.2"},
	{"compressed continuation", "client", true, join(client(1, "a"), []byte{fin | rsv1, 0}), 1002, "5.2"},
	{"compressed control frame", "", true, []byte{fin | rsv1 | 9, 0}, 1002, "5.2"},
	{"opcode 3", "", false, []byte{fin | 3, 0}, 1002, "5.2"},
	{"opcode 7", "", false, []byte{fin | 7, 0}, 1002, "5.2"},
	{"opcode 11", "", false, []byte{fin | 11, 0}, 1002, "5.2"},
	{"opcode 15", "", false, []byte{fin | 15, 0}, 1002, "5.2"},
	{"16-bit length of 125", "client", false, []byte{fin | 2, 126, 0, 125}, 1002, "5.2"},
	{"16-bit length of 0", "client", false, []byte{fin | 2, 126, 0, 0}, 1002, "5.2"},
	{"64-bit length of 65535", "client", false, []byte{fin | 2, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 1002, "5.2"},
	{"64-bit length of 0", "client", false, []byte{fin | 2, 127, 0, 0, 0, 0, 0, 0, 0, 0}, 1002, "5.2"},
	{"64-bit length with the top bit", "client", false, []byte{fin | 2, 127, 0x80, 0, 0, 0, 0, 0, 0, 0}, 1002, "5.2"},
	{"64-bit length of -1", "client", false, []byte{fin | 2, 127, 255, 255, 255, 255, 255, 255, 255, 255}, 1002, "5.2"},
	{"16-bit length of 125, masked", "server", false, []byte{fin | 2, 0x80 | 126, 0, 125, 1, 2, 3, 4}, 1002, "5.2"},
	{"masked, from a server", "client", false, []byte{fin | 1, 0x80}, 1002, "5.1"},
	{"unmasked, from a client", "server", false, []byte{fin | 1, 0}, 1002, "5.1"},
	{"unmasked ping, from a client", "server", false, []byte{fin | 9, 0}, 1002, "5.1"},
	{"continuation of nothing", "client", false, []byte{fin, 0}, 1002, "5.4"},
	{"continuation of nothing, not final", "client", false, []byte{0, 5}, 1002, "5.4"},
	{"continuation of a finished message", "client", false, join(client(1, "a"), client(fin, "b"), []byte{fin, 0}), 1002, "5.4"},
	{"text inside of a message", "client", false, join(client(2, "a"), []byte{fin | 1, 0}), 1002, "5.4"},
	{"binary inside of a message, behind a ping", "client", false, join(client(1, ""), client(fin|9, ""), []byte{2, 0}), 1002, "5.4"},
	{"fragmented ping", "", false, []byte{9, 0}, 1002, "5.5"},
	{"fragmented close", "", false, []byte{8, 0}, 1002, "5.5"},
	{"ping of 126 bytes", "", false, []byte{fin | 9, 126}, 1002, "5.5"},
	{"close with a 64-bit length", "", false, []byte{fin | 8, 127}, 1002, "5.5"},
	{"text that starts wrong", "client", false, []byte{fin | 1, 20, 0x80}, 1007, "8.1"},
	{"text with a surrogate", "client", false, []byte{fin | 1, 20, 'x', 0xed, 0xa0}, 1007, "8.1"},
	{"text that ends in a character", "client", false, client(fin|1, "x\xc3"), 1007, "8.1"},
	{"text that ends in a character, in fragments", "client", false, join(client(1, "x\xe2\x82"), client(fin, "")), 1007, "8.1"},
	{"text wrong in its second fragment", "client", false, join(client(1, "x\xe2\x82"), client(0, "\xac"), []byte{fin, 9, 0xff}), 1007, "8.1"},
}

func join(bs ...[]byte) []byte { return bytes.Join(bs, nil) }

// masked is a server's version of a bare header for a client's parser: the mask bit is set.
func masked(b []byte) []byte {
	b = bytes.Clone(b)
	b[1] |= 0x80
	return b
}

func TestRules(t *testing.T) {
	for _, r := range rules {
		for _, side := range []string{"server", "client"} {
			if r.side != "" && r.side != side {
				continue
			}
			in := bytes.Clone(r.in)
			if r.side == "" && side == "server" {
				in = masked(in)
			}
			p := &wire.Parser{Server: side == "server", Deflate: r.deflate}
			checkBreaks(t, r.name+", "+side, p, in, r.code, r.section)
		}
	}
}

// checkBreaks feeds in byte by byte: the last one must give the error.
func checkBreaks(t *testing.T, name string, p *wire.Parser, in []byte, code uint16, section string) {
	t.Helper()
	for i := range in {
		_, n, err := p.Next(in[i : i+1])
		if i < len(in)-1 {
			if err != nil {
				t.Errorf("%s: byte %d: %v", name, i, err)
				return
			}
			if n != 1 {
				t.Errorf("%s: byte %d: took %d", name, i, n)
			}
			continue
		}
		if err == nil || err.Code != code || err.Section != section {
			t.Errorf("%s: %v, want %d by section %s", name, err, code, section)
		}
	}
}

func TestErrorText(t *testing.T) {
	_, _, err := wire.ParseHeader([]byte{fin | 3, 0})
	if got, want := err.Error(), "reserved opcode (RFC 6455 5.2)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := wire.ErrTooBig.Error(), "message longer than the read limit"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Messages and control frames as RFC 6455 5.7 has them.
func TestExamplesOfTheRFC(t *testing.T) {
	for _, c := range []struct {
		server bool
		in     []byte
		want   string
	}{
		{false, []byte{0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}, `text "Hello"`},
		{true, []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}, `text "Hello"`},
		{false, []byte{0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f}, `text "Hello"`},
		{false, []byte{0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}, `ping "Hello"`},
		{true, []byte{0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}, `pong "Hello"`},
	} {
		got := (&feeder{p: wire.Parser{Server: c.server}}).feed(t, c.in, nil)
		if fmt.Sprint(got.events) != "["+c.want+"]" || got.err != nil {
			t.Errorf("% x: %v, %v; want %s", c.in, got.events, got.err, c.want)
		}
	}
	for _, n := range []int{256, 65536} {
		got := (&feeder{}).feed(t, client(fin|2, string(make([]byte, n))), nil)
		if len(got.events) != 1 || len(got.events[0].data) != n {
			t.Errorf("%d bytes: %d events, %v", n, len(got.events), got.err)
		}
	}
}

func TestLimits(t *testing.T) {
	ten := "0123456789"
	for _, c := range []struct {
		name          string
		max           int64
		fragments     int32
		in            []byte
		want          *wire.Error
		headersOnly   bool // in ends with a header, and its announced length is refused
		wantCompleted int
	}{
		{"just short enough", 10, 0, client(fin|1, ten), nil, false, 1},
		{"a byte too long, refused by its header", 9, 0, []byte{fin | 1, 10}, wire.ErrTooBig, true, 0},
		{"a lie of 2^62 bytes", 1 << 20, 0, []byte{fin | 2, 127, 0x40, 0, 0, 0, 0, 0, 0, 0}, wire.ErrTooBig, true, 0},
		{"two fragments together", 19, 0, join(client(1, ten), []byte{fin, 10}), wire.ErrTooBig, true, 0},
		{"two that fit", 20, 0, join(client(1, ten), client(fin, ten)), nil, false, 1},
		{"each message by itself", 10, 1, join(client(fin|1, ten), client(fin|2, ten)), nil, false, 2},
		{"control frames don't count", 10, 1, join(client(fin|9, ten+ten), client(fin|1, ten)), nil, false, 2},
		{"sum beyond int64", 1<<63 - 1, 0, join(client(2, ten), []byte{0, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255}), wire.ErrTooBig, true, 0},
		{"as many fragments as allowed", 0, 3, join(client(1, ""), client(0, ""), client(fin, "")), nil, false, 1},
		{"one more", 0, 3, join(client(1, ""), client(0, ""), client(0, ""), []byte{fin, 1}), wire.ErrTooManyFragments, true, 0},
	} {
		f := &feeder{p: wire.Parser{MaxMessage: c.max, Fragments: c.fragments}}
		got := f.feed(t, c.in, nil)
		if got.err != c.want || len(got.events) != c.wantCompleted {
			t.Errorf("%s: %v, %d events; want %v, %d", c.name, got.err, len(got.events), c.want, c.wantCompleted)
		}
	}
}
