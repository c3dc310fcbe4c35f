package flate

// Window keeps the end of a stream of plain bytes for a Decoder: a ring that takes memory as bytes come, up to its
// size. The zero value keeps nothing.
type Window struct {
	buf  []byte // grows to size, then is a ring
	size int
	next int // where the next byte goes once the ring is closed
}

// NewWindow returns an empty window for size bytes, at most 32768.
func NewWindow(size int) *Window { return &Window{size: min(size, maxWindow)} }

// Len returns how many bytes the window holds.
func (w *Window) Len() int { return len(w.buf) }

// Reset empties the window and keeps its memory.
func (w *Window) Reset() { w.buf, w.next = w.buf[:0], 0 }

// Write appends p to the stream.
func (w *Window) Write(p []byte) {
	if len(p) > w.size {
		p = p[len(p)-w.size:]
	}
	if room := w.size - len(w.buf); room > 0 {
		n := min(room, len(p))
		w.extend(p[:n])
		p = p[n:]
	}
	for len(p) > 0 { // twice at most
		n := copy(w.buf[w.next:], p)
		p = p[n:]
		if w.next += n; w.next == len(w.buf) {
			w.next = 0
		}
	}
}

// extend appends p where the ring isn't closed yet. append would take more than size in the end.
func (w *Window) extend(p []byte) {
	if need := len(w.buf) + len(p); need > cap(w.buf) {
		grown := make([]byte, len(w.buf), min(max(need, 2*cap(w.buf), 512), w.size))
		copy(grown, w.buf)
		w.buf = grown
	}
	w.buf = append(w.buf, p...)
}

// copyBack copies into p the bytes that start back bytes before the stream's end, and returns how many there were.
// 0 < back <= Len.
func (w *Window) copyBack(p []byte, back int) int {
	p = p[:min(len(p), back)]
	from := w.next - back
	if from < 0 {
		from += len(w.buf)
	}
	n := copy(p, w.buf[from:])
	return n + copy(p[n:], w.buf)
}

// AppendTo appends what the window holds to dst, oldest first.
func (w *Window) AppendTo(dst []byte) []byte {
	return append(append(dst, w.buf[w.next:]...), w.buf[:w.next]...)
}
