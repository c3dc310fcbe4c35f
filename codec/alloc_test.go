//go:build !race

package codec_test

import (
	"testing"

	"github.com/tidewire/ws/codec"
)

func TestEnvelopesAllocateNothing(t *testing.T) {
	p := []byte(`{"id":7,"type":"chat.post","data":{"room":"go","text":"hello"}}`)
	var e codec.Envelope
	var b []byte
	v := any(&struct{ A int }{1})
	if n := testing.AllocsPerRun(100, func() {
		e = codec.Envelope{}
		if err := env.ScanEnvelope(p, &e); err != nil {
			t.Fatal(err)
		}
		var err error
		if b, err = env.AppendEnvelope(b[:0], &e, v); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
