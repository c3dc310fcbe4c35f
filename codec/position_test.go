package codec_test

import (
	"testing"

	"github.com/tidewire/ws/codec"
)

func TestPositionJSON(t *testing.T) {
	for text, want := range map[string]codec.Position{`[18446744073709551615,"e"]`: {1<<64 - 1, "e"}, `null`: {}} {
		var p codec.Position
		if err := p.UnmarshalJSON([]byte(text)); err != nil || p != want {
			t.Errorf("%s: %v, %v", text, p, err)
		}
		if b, err := p.MarshalJSON(); err != nil || string(b) != text {
			t.Errorf("%v: %s, %v", p, b, err)
		}
	}
	for _, bad := range []string{`[]`, `[1]`, `["e",1]`, `[1,"e",2]`, `{}`, `[-1,"e"]`, `[null,"e"]`, `[1,null]`} {
		if err := new(codec.Position).UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%s is a position", bad)
		}
	}
}
