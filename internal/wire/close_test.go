package wire_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidewire/ws/internal/wire"
)

// mayBeSent is RFC 6455 7.4, with the codes that IANA has registered since, for every number there is.
func mayBeSent(code int) bool {
	switch {
	case code < 1000: // 7.4.2: not used
		return false
	case code < 3000: // 7.4.2: for the protocol; only what is registered
		return map[int]bool{1000: true, 1001: true, 1002: true, 1003: true, 1007: true, 1008: true, 1009: true,
			1010: true, 1011: true, 1012: true, 1013: true, 1014: true}[code] // not 1004, 1005, 1006, 1015
	case code < 5000: // 7.4.2: for libraries and applications
		return true
	}
	return false
}

func TestEveryCode(t *testing.T) {
	for code := range 1 << 16 {
		if got := wire.ValidCode(uint16(code)); got != mayBeSent(code) {
			t.Errorf("ValidCode(%d) is %v", code, got)
		}
		p := []byte{byte(code >> 8), byte(code), 'h', 'i'}
		got, reason, err := wire.ParseClose(p)
		if mayBeSent(code) {
			if int(got) != code || reason != "hi" || err != nil {
				t.Errorf("code %d: %d, %q, %v", code, got, reason, err)
			}
		} else if got != 0 || reason != "" || err == nil || err.Code != 1002 || err.Section != "7.4" {
			t.Errorf("code %d: %d, %q, %v", code, got, reason, err)
		}
	}
}

func TestClosePayloads(t *testing.T) {
	for _, c := range []struct {
		payload string
		code    uint16
		reason  string
		err     uint16
		section string
	}{
		{"", wire.NoStatus, "", 0, ""},
		{"\x03", 0, "", 1002, "5.5.1"},
		{"\x03\xe8", 1000, "", 0, ""},
		{"\x03\xe9Größe", 1001, "Größe", 0, ""},
		{"\x03\xe8" + strings.Repeat("x", 123), 1000, strings.Repeat("x", 123), 0, ""},
		{"\x03\xe8\xff", 0, "", 1007, "8.1"},
		{"\x03\xe8ok\xed\xa0\x80", 0, "", 1007, "8.1"},
		{"\x03\xe8\xc3", 0, "", 1007, "8.1"},
		{"\x03\xed\xff", 0, "", 1002, "7.4"}, // the code comes first
	} {
		p := []byte(c.payload)
		code, reason, err := wire.ParseClose(p)
		clear(p) // the reason must not be in p
		var broken uint16
		var section string
		if err != nil {
			broken, section = err.Code, err.Section
		}
		if code != c.code || reason != c.reason || broken != c.err || section != c.section {
			t.Errorf("%q: %d, %q, %v", c.payload, code, reason, err)
		}
	}
}

func TestLongReasons(t *testing.T) {
	for _, c := range []struct{ reason, want string }{
		{strings.Repeat("x", 123), strings.Repeat("x", 123)},
		{strings.Repeat("x", 124), strings.Repeat("x", 123)},
		{strings.Repeat("x", 122) + "é", strings.Repeat("x", 122)},
		{strings.Repeat("x", 121) + "é!", strings.Repeat("x", 121) + "é"},
		{strings.Repeat("x", 120) + "😀", strings.Repeat("x", 120)},
		{strings.Repeat("😀", 40), strings.Repeat("😀", 30)},
		{strings.Repeat("\x80", 200), ""},
	} {
		got := wire.AppendClose([]byte("before"), 1000, c.reason)
		if string(got) != "before\x03\xe8"+c.want {
			t.Errorf("%q: %q", c.reason, got)
		}
	}
	if got := wire.AppendClose(nil, wire.NoStatus, "never"); len(got) != 0 {
		t.Errorf("no status: %q", got)
	}
}

func FuzzClose(f *testing.F) {
	for _, s := range []string{"", "\x03", "\x03\xe8", "\x03\xe8bye", "\x03\xed", "\x03\xe8\xff", "\x0f\xa0" + strings.Repeat("é", 80)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		code, reason, err := wire.ParseClose(p)
		switch {
		case err != nil:
			if valid := len(p) == 0 || len(p) > 1 && mayBeSent(int(p[0])<<8|int(p[1])) && utf8.Valid(p[2:]); valid {
				t.Fatalf("% x: %v", p, err)
			}
			return
		case len(p) > 0 && !mayBeSent(int(code)), !utf8.ValidString(reason):
			t.Fatalf("% x is let through: %d %q", p, code, reason)
		}
		again := wire.AppendClose(nil, code, reason)
		if len(p) <= wire.MaxControl && !bytes.Equal(again, p) {
			t.Fatalf("% x comes back as % x", p, again)
		}
		if len(again) > wire.MaxControl || len(again) > 2 && !utf8.Valid(again[2:]) {
			t.Fatalf("% x comes back as % x", p, again)
		}
	})
}
