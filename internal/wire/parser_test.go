package wire_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidewire/ws/internal/wire"
)

// settings are a parser's, out of one byte.
func settings(flags byte) (wire.Parser, twin) {
	tw := twin{server: flags&1 != 0, deflate: flags&2 != 0}
	if flags&4 != 0 {
		tw.fragments = 3
	}
	if flags&8 != 0 {
		tw.max = 200
	}
	return wire.Parser{Server: tw.server, Deflate: tw.deflate, Fragments: tw.fragments, MaxMessage: tw.max}, tw
}

// compare feeds in to a Parser in pieces and holds what it says against the twin's view of the same bytes: without and with
// the quick way.
func compare(t *testing.T, flags byte, in, sizes []byte) {
	t.Helper()
	p, tw := settings(flags)
	compareWith(t, &feeder{p: p}, tw, flags, in, sizes)
	compareWith(t, &feeder{p: p, quick: true}, tw, flags, in, sizes)
}

func compareWith(t *testing.T, f *feeder, tw twin, flags byte, in, sizes []byte) {
	t.Helper()
	fed := 0
	for i := 0; fed < len(in) && f.got.err == nil; i++ {
		n := len(in) - fed
		if len(sizes) > 0 {
			n = min(n, 1+int(sizes[i%len(sizes)]))
		}
		f.feed(t, in[fed:fed+n], nil)
		fed += n
		want := tw.parse(in[:fed])
		if diff := f.diff(want); diff != "" {
			t.Fatalf("flags %d, quick %v, behind %d of % x: %s", flags, f.quick, fed, in, diff)
		}
	}
}

// diff says where what was found differs from want.
func (f *feeder) diff(want meaning) string {
	got := f.got
	switch {
	case !sameRule(got.err, want.err):
		return fmt.Sprintf("error %v, want %v", got.err, want.err)
	case !slices.Equal(got.events, want.events):
		return fmt.Sprintf("%v, want %v", got.events, want.events)
	case got.err != nil && !strings.HasPrefix(want.partial, got.partial):
		return fmt.Sprintf("message so far %q, want a part of %q", got.partial, want.partial)
	case got.err != nil:
		return ""
	case got.partial != want.partial:
		return fmt.Sprintf("message so far %q, want %q", got.partial, want.partial)
	case got.open != want.open, got.left != want.left:
		return fmt.Sprintf("in message %v, %d left; want %v, %d", got.open, got.left, want.open, want.left)
	case f.p.Partial() != (want.open || want.loose):
		return fmt.Sprintf("Partial %v; want %v", f.p.Partial(), want.open || want.loose)
	}
	return ""
}

// sameRule compares by what a rule is known by: code and section.
func sameRule(a, b *wire.Error) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Code == b.Code && a.Section == b.Section
}

// streams are inputs worth cutting everywhere.
func streams() [][]byte {
	long := strings.Repeat("Größe ", 30)
	all := [][]byte{
		join(client(1, "a"), client(fin|9, "ping"), client(0, ""), client(fin|10, ""), client(fin, "b"), client(fin|8, "\x03\xe8bye")),
		join(client(fin|2, long), client(fin|1, ""), client(2, ""), client(fin, long)),
		join(client(1, "x\xe2"), client(0, "\x82"), client(fin, "\xac")),
		join(server(1, "a"), server(fin|9, strings.Repeat("p", 125)), server(fin, "b"), server(fin|2, long)),
		join(client(fin|rsv1|1, "\xff\xfe"), client(rsv1|2, "\xff"), client(fin, "\xfe"), client(fin|1, "\xff")),
		join(client(1, ""), client(0, ""), client(0, ""), client(fin, "")),
		client(fin|9, strings.Repeat("p", 126)),
		{fin | 2, 126, 0, 200}, {fin | 2, 127, 0, 0, 0, 0, 0, 1, 0, 0, 'x'},
		{fin | 2, 0x80 | 126, 0, 1, 2, 3, 4, 5}, // two rules broken: the one that shows first counts
	}
	for _, r := range rules {
		all = append(all, r.in)
	}
	return all
}

// Every stream, every setting, in all sizes of pieces: the Parser and the twin agree behind each piece.
func TestPieces(t *testing.T) {
	for _, in := range streams() {
		for flags := range byte(16) {
			for _, size := range []byte{0, 1, 2, 6, 13, 100, 255} {
				compare(t, flags, in, []byte{size})
			}
			compare(t, flags, in, []byte{0, 9, 1, 3})
			compare(t, flags, in, nil)
		}
	}
}

func FuzzParser(f *testing.F) {
	for _, in := range streams() {
		f.Add(byte(0), in, []byte{2, 0, 5})
		f.Add(byte(7), in, []byte{})
		f.Add(byte(11), in, []byte{0})
	}
	f.Fuzz(func(t *testing.T, flags byte, in, sizes []byte) {
		if len(in) > 2000 {
			return // the twin is quadratic
		}
		compare(t, flags, in, sizes)
	})
}

// Whole sees exactly the complete data messages of one frame, between messages.
func TestWhole(t *testing.T) {
	for _, c := range []struct {
		before, in []byte
		want       bool
	}{
		{nil, nil, false},
		{nil, client(fin|1, "a")[:1], false},
		{nil, client(fin|1, ""), true},
		{nil, client(fin|1, "abc"), true},
		{nil, client(fin|1, "abc")[:4], false},
		{nil, join(client(fin|2, "abc"), client(1, "a")), true},
		{nil, client(fin|2, strings.Repeat("x", 200)), true},
		{nil, client(fin|2, strings.Repeat("x", 200))[:3], false},
		{nil, client(1, "abc"), false},
		{nil, client(fin|9, "abc"), false},
		{nil, []byte{fin | 3, 0}, false},
		{client(1, "a"), client(fin, "b"), false},
		{client(fin|1, "a")[:1], client(fin|1, "a")[1:], false},
		{client(fin|1, "ab")[:3], []byte("b"), false},
		{client(fin|1, "ab"), client(fin|1, "ab"), true},
	} {
		f := &feeder{}
		f.feed(t, c.before, nil)
		if got := f.p.Whole(c.in); got != c.want {
			t.Errorf("Whole(% x) behind % x is %v", c.in, c.before, got)
		}
	}
}

// Message takes what is usual, and nothing else.
func TestMessage(t *testing.T) {
	for _, c := range []struct {
		in   []byte
		want bool
	}{
		{server(fin|1, "größer"), true},
		{server(fin|2, "\xff"), true},
		{server(fin|2, ""), true},
		{server(fin|2, strings.Repeat("x", 126)), true},
		{server(fin|2, strings.Repeat("x", 201)), false}, // too long
		{server(fin|1, "\xff"), false},
		{server(fin|rsv1|2, "a"), false},
		{server(2, "a"), false},
		{server(fin|9, "a"), false},
		{client(fin|2, "a"), false},
	} {
		p := wire.Parser{Server: true, Deflate: true, MaxMessage: 200}
		in := join(c.in, server(fin|1, "next"))
		if _, _, n := p.Message(in); n != 0 && n != len(c.in) || (n != 0) != c.want {
			t.Errorf("Message took %d bytes of % x", n, c.in)
		}
	}
}

// Messages are numbered; the number is 0 between them and never 0 inside.
func TestMessageNumbers(t *testing.T) {
	var p wire.Parser
	seen := map[uint32]bool{0: true}
	for range 3 {
		p.Next(client(1, "a"))
		if n := p.InMessage(); seen[n] {
			t.Errorf("number %d twice, or none", n)
		} else {
			seen[n] = true
		}
		p.Next(client(fin|9, "a"))
		p.Next(client(fin, "b"))
		if n := p.InMessage(); n != 0 {
			t.Errorf("number %d between messages", n)
		}
	}
}

// What Remaining promises: so many bytes of payload can be read anywhere and fed by themselves.
func TestRemaining(t *testing.T) {
	frame := server(fin|2, "0123456789")
	p := wire.Parser{Server: true}
	p.Next(bytes.Clone(frame[:6]))
	if n := p.Remaining(); n != 10 {
		t.Fatalf("%d remain, want 10", n)
	}
	elsewhere := bytes.Clone(frame[6:])
	ev, n, err := p.Next(elsewhere)
	if string(ev.Data) != "0123456789" || &ev.Data[0] != &elsewhere[0] || !ev.Last || n != 10 || err != nil {
		t.Errorf("%+v, %d, %v", ev, n, err)
	}
	p.Next(server(fin|9, "ping")[:8])
	if n := p.Remaining(); n != 0 {
		t.Errorf("%d remain in a control frame", n)
	}
}

// A waiting parser is small, and one that gets whole frames needs no memory at all.
func TestNoAllocation(t *testing.T) {
	in := join(client(fin|1, "hello"), client(fin|9, "ping"), client(fin|2, strings.Repeat("x", 1000)))
	var p wire.Parser
	if n := testing.AllocsPerRun(100, func() {
		for b := in; len(b) > 0; {
			_, n, err := p.Next(b)
			if b = b[n:]; err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
