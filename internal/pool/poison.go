package pool

// Overwrite fills b with nonsense, so that whoever has kept a slice of it sees
// that at once, instead of another connection's bytes some day.
func Overwrite(b []byte) {
	for i := range b {
		b[i] = 0xDB
	}
}
