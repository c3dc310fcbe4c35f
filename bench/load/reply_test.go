//go:build linux

package load

import (
	"slices"
	"strings"
	"testing"
)

func testScript(t *testing.T, spec Spec, ext extension) *script {
	t.Helper()
	s, err := newScript(spec, ext)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serverFrame is a frame as a server would send it.
func serverFrame(first byte, payload []byte) []byte {
	switch n := len(payload); {
	case n < 126:
		return append([]byte{first, byte(n)}, payload...)
	default:
		return append([]byte{first, 126, byte(n >> 8), byte(n)}, payload...)
	}
}

func TestListener(t *testing.T) {
	s := testScript(t, Spec{Kind: Echo, Payload: Binary, Size: 200, InFlight: 2}, extension{})
	a, b := s.reply(0), s.reply(1)
	other := slices.Clone(a)
	other[199] ^= 1
	for _, c := range []struct {
		name   string
		frames [][]byte
		got    int
		err    string
	}{
		{"two messages", [][]byte{serverFrame(0x82, a), serverFrame(0x82, b)}, 2, ""},
		{"round again", [][]byte{serverFrame(0x82, a), serverFrame(0x82, b), serverFrame(0x82, a)}, 3, ""},
		{"fragments", [][]byte{serverFrame(0x02, a[:10]), serverFrame(0x00, nil), serverFrame(0x80, a[10:])}, 1, ""},
		{"ping between", [][]byte{serverFrame(0x02, a[:10]), serverFrame(0x89, []byte("hi")), serverFrame(0x80, a[10:])}, 1, ""},
		{"out of order", [][]byte{serverFrame(0x82, b)}, 0, "wrong payload"},
		{"one bit wrong", [][]byte{serverFrame(0x82, other)}, 0, "wrong payload"},
		{"short", [][]byte{serverFrame(0x82, a[:199])}, 0, "199 bytes, want 200"},
		{"long", [][]byte{serverFrame(0x82, append(slices.Clone(a), 0))}, 0, "wrong payload"},
		{"text", [][]byte{serverFrame(0x81, a)}, 0, "opcode 1, want 2"},
		{"continuation first", [][]byte{serverFrame(0x80, a)}, 0, "opcode 0, want 2"},
		{"masked", [][]byte{{0x82, 0x80, 0, 0, 0, 0}}, 0, "masked"},
		{"closed", [][]byte{serverFrame(0x88, []byte{3, 0xe8, 'b', 'y', 'e'})}, 0, `closed: 03e8 "bye"`},
	} {
		for _, piece := range []int{1, 7, 1 << 20} {
			l := listener{script: s}
			got, err := hearInPieces(&l, slices.Concat(c.frames...), piece)
			switch {
			case err == nil && (c.err != "" || got != c.got):
				t.Errorf("%s, %d bytes at a time: %d messages, want %d and error %q", c.name, piece, got, c.got, c.err)
			case err != nil && (c.err == "" || !strings.Contains(err.Error(), c.err)):
				t.Errorf("%s, %d bytes at a time: error %v, want %q", c.name, piece, err, c.err)
			}
		}
	}
}

func hearInPieces(l *listener, b []byte, n int) (got int, err error) {
	for piece := range slices.Chunk(b, n) {
		done, err := l.hear(piece)
		got += done
		if err != nil {
			return got, err
		}
	}
	return got, nil
}

func TestListenerAnswersPing(t *testing.T) {
	l := listener{script: testScript(t, Spec{Kind: Echo, Payload: Binary, Size: 1, InFlight: 1}, extension{})}
	if _, err := l.hear(serverFrame(0x89, []byte("hi"))); err != nil {
		t.Fatal(err)
	}
	want := []byte{0x8a, 0x82, 1, 2, 3, 4, 'h' ^ 1, 'i' ^ 2}
	if !slices.Equal(l.pending, want) {
		t.Errorf("pong %x, want %x", l.pending, want)
	}
}

func TestListenerNumbered(t *testing.T) {
	s := testScript(t, Spec{Kind: Fan, Payload: Binary, Size: 3, Fan: 3, Numbered: true}, extension{})
	text := s.replies[0]
	var stream []byte
	for i := range 3 {
		stream = append(stream, serverFrame(0x82, []byte{byte(i), text[1], text[2]})...)
	}
	l := listener{script: s}
	if got, err := l.hear(stream); got != 3 || err != nil {
		t.Errorf("%d messages, error %v; want 3", got, err)
	}
	if _, err := l.hear(stream[5:10]); err == nil {
		t.Error("a message with the wrong number passed")
	}
}

// What the script says compressed must be what it expects back, in every pass and with windows of every size: a server
// that mirrors frames, unmasked, is a right one.
func TestListenerCompressed(t *testing.T) {
	for _, ext := range []extension{
		{on: true, clientBits: 15, serverNoTakeover: true, clientNoTakeover: true},
		{on: true, clientBits: 15},
		{on: true, clientBits: 9},
	} {
		for _, size := range []int{128, 1 << 10, 16 << 10} {
			s := testScript(t, Spec{Kind: Echo, Payload: JSON, Size: size, InFlight: 1, Deflate: true}, ext)
			l := listener{script: s}
			for i := range 3 * len(s.replies) {
				if got, err := l.hear(mirrored(s.send(i, 1))); got != 1 || err != nil {
					t.Fatalf("%+v, %d bytes, message %d: %d messages, error %v", ext, size, i, got, err)
				}
			}
			if _, err := l.hear(mirrored(s.send(1, 1))); err == nil {
				t.Errorf("%+v, %d bytes: a message out of its turn passed", ext, size)
			}
		}
	}
}

// mirrored turns a client's frame into a server's.
func mirrored(frame []byte) []byte {
	size := headSize(frame[1])
	head, key, payload := slices.Clone(frame[:size]), frame[size:size+4], slices.Clone(frame[size+4:])
	head[1] &= 0x7f
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	return append(head, payload...)
}

func TestListenerRaw(t *testing.T) {
	s := testScript(t, Spec{Kind: Echo, Payload: Binary, Size: 32, InFlight: 2}, extension{})
	l := listener{script: s, raw: true}
	if got, err := hearInPieces(&l, s.send(0, 2), 5); got != 2 || err != nil {
		t.Errorf("%d messages, error %v; want 2", got, err)
	}
	if _, err := l.hear(s.send(1, 1)); err == nil {
		t.Error("another frame's bytes passed")
	}
}
