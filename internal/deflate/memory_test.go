package deflate_test

import (
	"runtime"
	"testing"

	"github.com/tidewire/ws/internal/deflate"
	"github.com/tidewire/ws/internal/deflate/traffic"
)

// What a connection with context takeover keeps between two messages, after more traffic than its windows hold: the bounds
// are those of README.md.
func TestKeptMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's memory is no measure")
	}
	const pairs = 100
	texts := traffic.Messages(5, 1000, 50)
	for _, tt := range []struct {
		bits, history           int
		sender, idle, receiving uint64
	}{
		{12, 0, 12<<10 + 512, 256, 5 << 10},
		{13, 0, 20<<10 + 512, 256, 9 << 10},
		{15, 0, 20<<10 + 512, 256, 33 << 10},
		{15, 4096, 12<<10 + 512, 256, 33 << 10},
	} {
		dir := deflate.Direction{Takeover: true, WindowBits: tt.bits}
		var cs [pairs]*deflate.Compressor
		var ds [pairs]*deflate.Decompressor
		var wire, out []byte
		before := heap()
		for i := range pairs {
			cs[i] = deflate.NewCompressor(dir, deflate.Options{History: tt.history})
			for _, text := range texts {
				wire = cs[i].Append(wire[:0], text, true)
			}
		}
		if n := (heap() - before) / pairs; n > tt.sender {
			t.Errorf("%d bits: a sender keeps %d bytes, more than %d", tt.bits, n, tt.sender)
		}
		for _, c := range cs {
			c.Forget()
		}
		if n := (heap() - before) / pairs; n > tt.idle {
			t.Errorf("%d bits: a sender that forgot keeps %d bytes", tt.bits, n)
		}
		before = heap()
		for i := range pairs {
			c := deflate.NewCompressor(dir, deflate.Options{History: tt.history})
			ds[i] = deflate.NewDecompressor(dir)
			for _, text := range texts {
				var err error
				wire = c.Append(wire[:0], text, true)
				if out, err = ds[i].Append(out[:0], 0, wire, true, 1<<20); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := (heap() - before) / pairs; n > tt.receiving {
			t.Errorf("%d bits: a receiver keeps %d bytes, more than %d", tt.bits, n, tt.receiving)
		}
		runtime.KeepAlive(&cs)
		runtime.KeepAlive(&ds)
	}
}

// heap is what is in use once the pools are empty: they keep things for two collections.
func heap() uint64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
