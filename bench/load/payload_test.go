//go:build linux

package load

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

func TestPayloads(t *testing.T) {
	for _, kind := range []Payload{Binary, ASCII, CJK, JSON} {
		for _, size := range []int{32, 128, 1000} {
			all, err := Payloads(kind, size, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range all {
				if len(p) != size || kind != Binary && !utf8.Valid(p) {
					t.Errorf("%s: %d bytes, UTF-8 %t; want %d", kind, len(p), utf8.Valid(p), size)
				}
			}
			if bytes.Equal(all[0], all[1]) {
				t.Errorf("%s of %d bytes: twice the same", kind, size)
			}
		}
	}
	if _, err := Payloads("none", 1, 1); err == nil {
		t.Error("no error for an unknown kind")
	}
}
