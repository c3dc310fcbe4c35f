package flate_test

import (
	"bytes"
	stdflate "compress/flate"
	"fmt"
	"io"
	"testing"

	kpflate "github.com/klauspost/compress/flate"
	"github.com/tidewire/ws/internal/deflate/traffic"
	"github.com/tidewire/ws/internal/flate"
)

func TestEncode(t *testing.T) {
	for _, c := range []struct{ history, maxDist, bits int }{{0, 32768, 12}, {32768, 32768, 13}, {8192, 8192, 11}, {256, 256, 8}, {4096, 512, 10}} {
		e := flate.NewEncoder(c.history, c.maxDist, c.bits)
		var wire, plain []byte
		for range 2 {
			for name, text := range texts() {
				before := len(wire)
				wire = e.Append(wire, text)
				plain = append(plain, text...)
				if !bytes.HasSuffix(wire, []byte("\x00\x00\xff\xff")) {
					t.Fatalf("%+v %s: no flush marker", c, name)
				}
				if n := len(wire) - before; n > len(text)+5*(1+len(text)/4096)+6 {
					t.Errorf("%+v %s: %d bytes for %d", c, name, n, len(text))
				}
			}
		}
		got, err := io.ReadAll(stdflate.NewReader(bytes.NewReader(append(wire, 1, 0, 0, 0xff, 0xff))))
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%+v: std decodes %d of %d bytes: %v", c, len(got), len(plain), err)
		}
		var d flate.Decoder
		d.Reset(nil, c.maxDist)
		if out, _, err := d.Append(nil, 0, wire, len(plain)); err != nil || !bytes.Equal(out, plain) {
			t.Fatalf("%+v: %d of %d bytes within the window: %v", c, len(out), len(plain), err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"128", 128}, {"512", 512}, {"1k", 1024}, {"2k", 2048}, {"16k", 16384}} {
		texts := traffic.Messages(7, size.bytes, 300)
		run := func(name string, enc func(p []byte) int) {
			plain, wire := 0, 0
			for i, p := range texts {
				n := enc(p)
				if i >= 100 {
					plain += len(p)
					wire += n - 4
				}
			}
			b.Run(name+"/"+size.name, func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					enc(texts[i%len(texts)])
				}
				b.ReportMetric(float64(wire)/float64(plain), "ratio")
			})
		}
		var buf []byte
		e := flate.NewEncoder(32768, 32768, 12)
		run("own", func(p []byte) int { e.Reset(32768, 32768); buf = e.Append(buf[:0], p); return len(buf) })
		var bb bytes.Buffer
		w, _ := stdflate.NewWriter(&bb, 1)
		run("std1", func(p []byte) int { bb.Reset(); w.Reset(&bb); w.Write(p); w.Flush(); return bb.Len() })
		k, _ := kpflate.NewWriter(&bb, 1)
		run("kp1", func(p []byte) int { bb.Reset(); k.Reset(&bb); k.Write(p); k.Flush(); return bb.Len() })
		run("kpless", func(p []byte) int { bb.Reset(); kpflate.StatelessDeflate(&bb, p, false, nil); return bb.Len() })
		for _, h := range []struct{ kb, bits int }{{4, 10}, {8, 11}, {16, 12}, {32, 13}} {
			e := flate.NewEncoder(h.kb<<10, 32768, h.bits)
			run(fmt.Sprintf("own-take%d", h.kb), func(p []byte) int { buf = e.Append(buf[:0], p); return len(buf) })
		}
		k1, _ := kpflate.NewWriter(&bb, 1)
		run("kp1-take", func(p []byte) int { bb.Reset(); k1.Write(p); k1.Flush(); return bb.Len() })
		k5, _ := kpflate.NewWriter(&bb, 5)
		run("kp5-take", func(p []byte) int { bb.Reset(); k5.Write(p); k5.Flush(); return bb.Len() })
	}
}
