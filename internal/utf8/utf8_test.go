package utf8_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	std "unicode/utf8"

	"github.com/tidewire/ws/internal/utf8"
)

// naivePrefix decodes one character after the other with the standard library. What it can't decode has to be a character
// that isn't all there yet, which is what FullRune denies.
func naivePrefix(b []byte) bool {
	for len(b) > 0 {
		r, n := std.DecodeRune(b)
		if r == std.RuneError && n == 1 {
			return !std.FullRune(b)
		}
		b = b[n:]
	}
	return true
}

// check compares a Validator and Valid with the standard library on b as one piece.
func check(t *testing.T, b []byte) {
	t.Helper()
	var v utf8.Validator
	if got, want := v.Write(b), naivePrefix(b); got != want {
		t.Fatalf("Write(% x) = %v, want %v", b, got, want)
	}
	if got, want := v.Done(), std.Valid(b); got != want {
		t.Fatalf("Done behind % x = %v, want %v", b, got, want)
	}
	if got, want := utf8.Valid(b), std.Valid(b); got != want {
		t.Fatalf("Valid(% x) = %v, want %v", b, got, want)
	}
}

// All characters there are, byte by byte: every one ends a text, nothing inside of it does.
func TestEveryCharacter(t *testing.T) {
	var v utf8.Validator
	for r := rune(0); r <= std.MaxRune; r++ {
		if !std.ValidRune(r) {
			continue
		}
		b := []byte(string(r))
		for i := range b {
			if ok, last := v.Write(b[i:i+1]), i == len(b)-1; !ok || v.Done() != last {
				t.Fatalf("%U byte %d: Write %v, Done %v", r, i, ok, v.Done())
			}
		}
	}
}

// All sequences of four bytes that stand on either side of a limit in RFC 3629 section 4; with ASCII around them, so that
// words are tried at every position too.
func TestEveryLimit(t *testing.T) {
	limits := []byte{0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf,
		0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5}
	text := []byte(strings.Repeat("-", 24))
	at := 0
	for _, a := range limits {
		for _, b := range limits {
			for _, c := range limits {
				for _, d := range limits {
					four := [4]byte{a, b, c, d}
					check(t, four[:])
					copy(text[at:], four[:])
					check(t, text)
					copy(text[at:], "----")
					at = (at + 1) % (len(text) - 3)
				}
			}
		}
	}
}

// Each case has a good part and, where the text is invalid, a rest whose first byte is the one that must be refused.
// The names are those of the Autobahn suite's categories, whose texts come from Markus Kuhn's stress test.
func TestAutobahnSection6(t *testing.T) {
	for _, c := range []struct{ name, good, bad string }{
		{"6.1 empty", "", ""},
		{"6.2 valid", "Hello-µ@ßöäüàá-UTF-8!!", ""},
		{"6.3 surrogate in a text", "κόσμε\xed", "\xa0\x80edited"},
		{"6.4 above the last character", "κόσμε\xf4", "\x90\x80\x80edited"},
		{"6.5 Greek", "κόσμε", ""},
		{"6.7 first of 1 byte", "\x00", ""},
		{"6.7 first of 2 bytes", "\xc2\x80", ""},
		{"6.7 first of 3 bytes", "\xe0\xa0\x80", ""},
		{"6.7 first of 4 bytes", "\xf0\x90\x80\x80", ""},
		{"6.8 5 bytes", "", "\xf8\x88\x80\x80\x80"},
		{"6.8 6 bytes", "", "\xfc\x84\x80\x80\x80\x80"},
		{"6.9 last of 1 byte", "\x7f", ""},
		{"6.9 last of 2 bytes", "\xdf\xbf", ""},
		{"6.9 last of 3 bytes", "\xef\xbf\xbf", ""},
		{"6.9 last of 4 bytes", "\xf4\x8f\xbf\xbf", ""},
		{"6.10 last of 4 bytes by pattern", "", "\xf7\xbf\xbf\xbf"},
		{"6.10 last of 5 bytes", "", "\xfb\xbf\xbf\xbf\xbf"},
		{"6.10 last of 6 bytes", "", "\xfd\xbf\xbf\xbf\xbf\xbf"},
		{"6.11 U+D7FF", "\xed\x9f\xbf", ""},
		{"6.11 U+E000", "\xee\x80\x80", ""},
		{"6.11 U+FFFD", "\xef\xbf\xbd", ""},
		{"6.11 U+10FFFF", "\xf4\x8f\xbf\xbf", ""},
		{"6.11 U+110000", "\xf4", "\x90\x80\x80"},
		{"6.12 lonely continuation", "", "\x80"},
		{"6.12 last continuation", "", "\xbf"},
		{"6.12 continuations", "", "\x80\xbf\x80\xbf"},
		{"6.13 lonely lead of 2", "\xc2", " \xc3 "},
		{"6.13 lonely lead of 3", "\xe1", " \xe2 "},
		{"6.13 lonely lead of 4", "\xf1", " \xf2 "},
		{"6.14 last of 2 missing", "\xc3", "x"},
		{"6.14 last of 3 missing", "\xe1\x80", "x"},
		{"6.14 last of 4 missing", "\xf1\x80\x80", "x"},
		{"6.15 incomplete ones in a row", "\xe1\x80", "\xf1\x80\x80\xdf\xef\xbf"},
		{"6.16 0xfe", "", "\xfe"},
		{"6.16 0xff", "", "\xff"},
		{"6.17 overlong slash, 2", "", "\xc0\xaf"},
		{"6.17 overlong slash, 3", "\xe0", "\x80\xaf"},
		{"6.17 overlong slash, 4", "\xf0", "\x80\x80\xaf"},
		{"6.18 longest overlong, 2", "", "\xc1\xbf"},
		{"6.18 longest overlong, 3", "\xe0", "\x9f\xbf"},
		{"6.18 longest overlong, 4", "\xf0", "\x8f\xbf\xbf"},
		{"6.19 overlong NUL, 2", "", "\xc0\x80"},
		{"6.19 overlong NUL, 3", "\xe0", "\x80\x80"},
		{"6.19 overlong NUL, 4", "\xf0", "\x80\x80\x80"},
		{"6.20 first high surrogate", "\xed", "\xa0\x80"},
		{"6.20 last low surrogate", "\xed", "\xbf\xbf"},
		{"6.21 pair of surrogates", "\xed", "\xa0\x80\xed\xb0\x80"},
		{"6.22 non-characters", "\xef\xbf\xbe\xef\xbf\xbf\xf0\x9f\xbf\xbe\xf4\x8f\xbf\xbf", ""},
		{"6.23 specials", "\xef\xbf\xb9\xef\xbf\xba\xef\xbf\xbb\xef\xbf\xbc\xef\xbf\xbd", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for pad := range 40 { // moves the case across words and steps
				byByte(t, strings.Repeat("a", pad)+c.good, c.bad)
				check(t, []byte(strings.Repeat("a", pad)+c.good+c.bad+strings.Repeat("b", pad)))
			}
		})
	}
}

// byByte writes one byte at a time, and wants the first of bad to be refused, and all behind it.
func byByte(t *testing.T, good, bad string) {
	t.Helper()
	var v utf8.Validator
	for i := range len(good) {
		if !v.Write([]byte{good[i]}) {
			t.Fatalf("%q: byte %d was refused", good, i)
		}
	}
	for i := range len(bad) {
		if v.Write([]byte{bad[i]}) || v.Done() {
			t.Fatalf("%q then %q: byte %d was taken", good, bad, i)
		}
	}
	if bad != "" && (v.Write(nil) || v.Write([]byte(strings.Repeat("a", 64)))) {
		t.Fatalf("%q then %q: forgotten", good, bad)
	}
	v.Reset()
	if !v.Done() || !v.Write([]byte("é")) || !v.Done() {
		t.Fatal("not usable after Reset")
	}
}

// ASCII in the middle of a character is skipped by words too, and must not be forgiven for it.
func TestASCIIInsideCharacter(t *testing.T) {
	for _, char := range []string{"é", "€", "😀"} {
		for cut := 1; cut < len(char); cut++ {
			for before := range 16 {
				for inside := 1; inside < 50; inside++ {
					b := strings.Repeat("a", before) + char[:cut] + strings.Repeat("b", inside) + char[cut:] + char
					check(t, []byte(b))
				}
			}
		}
	}
}

// However a text is cut, the Validator agrees with the naive twin behind each piece.
func FuzzPieces(f *testing.F) {
	for i, s := range samples {
		f.Add([]byte(s.text[:150]), uint64(i), uint8(40)) // short, or the fuzzer spends its time on making them so
	}
	f.Add([]byte("κόσμε\xed\xa0\x80edited"), uint64(1), uint8(3))
	f.Add([]byte("0123456789012345678901234567890123456789\xe2\x82"), uint64(1), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64, longest uint8) {
		check(t, b)
		r := rand.New(rand.NewPCG(seed, 0))
		var v utf8.Validator
		for i := 0; i < len(b); {
			j := min(len(b), i+r.IntN(int(longest)+2))
			if got, want := v.Write(b[i:j]), naivePrefix(b[:j]); got != want {
				t.Fatalf("% x up to byte %d: %v, want %v", b, j, got, want)
			}
			i = j
		}
		if got, want := v.Done(), std.Valid(b); got != want {
			t.Fatalf("% x: Done %v, want %v", b, got, want)
		}
	})
}

func TestNoAllocations(t *testing.T) {
	text := []byte(samples[1].text)
	if n := testing.AllocsPerRun(100, func() {
		var v utf8.Validator
		v.Write(text[:101])
		v.Write(text[101:])
		utf8.Valid(text)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

var samples = []struct{ name, text string }{
	{"ascii", strings.Repeat("The quick brown fox jumps over the lazy dog. ", 100)},
	{"cyrillic", strings.Repeat("Съешь же ещё этих мягких французских булок, да выпей чаю. ", 50)},
	{"cjk", strings.Repeat("いろはにほへとちりぬるを天地玄黃宇宙洪荒日月盈昃", 60)},
	{"emoji", strings.Repeat("ok 👍🏽 great 🎉🎉 see you 🚀 ", 110)},
	{"json", strings.Repeat(`{"id":1234567,"user":"Zoë Müller","text":"Grüße aus Köln, all is well","tags":["a","b"],"ok":true},`, 40)},
	{"jsonCyrillic", strings.Repeat(`{"id":1234567,"user":"Анна","text":"Привет, как дела?","tags":["a","b"],"at":"2026-01-01T00:00:00Z"},`, 40)},
}

// Valid beside unicode/utf8.Valid, on whole texts of three lengths.
func BenchmarkValid(b *testing.B) {
	for _, size := range []int{32, 125, 4096} {
		for _, s := range samples {
			text := []byte(s.text)
			for text = text[:min(size, len(text))]; !std.Valid(text); {
				text = text[:len(text)-1]
			}
			for _, f := range []struct {
				name  string
				valid func([]byte) bool
			}{{"ws", utf8.Valid}, {"std", std.Valid}} {
				b.Run(fmt.Sprintf("%s/%d/%s", s.name, size, f.name), func(b *testing.B) {
					b.SetBytes(int64(len(text)))
					for b.Loop() {
						f.valid(text)
					}
				})
			}
		}
	}
}
