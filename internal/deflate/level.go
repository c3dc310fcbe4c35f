package deflate

import (
	"sync"

	"github.com/klauspost/compress/flate"
)

// BestSpeed and BestCompression are the ends of what Options.Level takes.
const (
	BestSpeed       = 1
	BestCompression = 9
)

// levelWriter is an encoder for a level above BestSpeed, and the slice it appends to. It holds 0.8 to 1.2 MB, so it is
// borrowed for one Append and given the history anew.
type levelWriter struct {
	out []byte
	w   *flate.Writer
}

// levelWriters are in pools by level and window. The encoder that keeps to a smaller window has one level only.
var levelWriters [BestCompression + 1][MaxWindowBits + 1]sync.Pool

// appendLevel appends src to dst as blocks that may refer to past and end with the flush marker.
func appendLevel(dst, past, src []byte, level, windowBits int) []byte {
	if windowBits < MaxWindowBits {
		level = 0
	}
	pool := &levelWriters[level][windowBits]
	lw, _ := pool.Get().(*levelWriter)
	if lw == nil {
		lw = newLevelWriter(level, windowBits)
	}
	lw.out = dst
	lw.w.ResetDict(lw, past)
	_, _ = lw.w.Write(src) // neither can fail: our Write doesn't
	_ = lw.w.Flush()
	dst, lw.out = lw.out, nil
	lw.w.ResetDict(nil, nil)
	pool.Put(lw)
	return dst
}

func newLevelWriter(level, windowBits int) *levelWriter {
	lw := new(levelWriter)
	var err error
	if level == 0 {
		lw.w, err = flate.NewWriterWindow(lw, 1<<windowBits)
	} else {
		lw.w, err = flate.NewWriter(lw, level)
	}
	if err != nil {
		panic("deflate: " + err.Error()) // both numbers were checked
	}
	return lw
}

func (lw *levelWriter) Write(p []byte) (int, error) {
	lw.out = append(lw.out, p...)
	return len(p), nil
}
