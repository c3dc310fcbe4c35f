// Package pool lends byte buffers of a few sizes, for the time that bytes are
// in work. A connection that waits holds none.
package pool

import "sync"

// The sizes. Small to Large are for what one system call moves, the other two
// for messages. A larger buffer is made for its one use and left to the garbage
// collector, so that one huge message does not stay in memory.
const (
	Small  = 4 << 10
	Medium = 16 << 10
	Large  = 64 << 10
	Huge   = 256 << 10
	Most   = 1 << 20
)

var (
	small  = sync.Pool{New: func() any { return new([Small]byte) }}
	medium = sync.Pool{New: func() any { return new([Medium]byte) }}
	large  = sync.Pool{New: func() any { return new([Large]byte) }}
	huge   = sync.Pool{New: func() any { return new([Huge]byte) }}
	most   = sync.Pool{New: func() any { return new([Most]byte) }}
)

// Get lends a buffer of length 0 with room for at least n bytes.
func Get(n int) []byte {
	switch {
	case n <= Small:
		return small.Get().(*[Small]byte)[:0]
	case n <= Medium:
		return medium.Get().(*[Medium]byte)[:0]
	case n <= Large:
		return large.Get().(*[Large]byte)[:0]
	case n <= Huge:
		return huge.Get().(*[Huge]byte)[:0]
	case n <= Most:
		return most.Get().(*[Most]byte)[:0]
	}
	return make([]byte, 0, n)
}

// Put takes back a buffer from Get; b must not be used any more. A buffer of
// another size is let go.
func Put(b []byte) {
	switch cap(b) {
	case Small:
		Poison(b[:cap(b)])
		small.Put((*[Small]byte)(b[:Small]))
	case Medium:
		Poison(b[:cap(b)])
		medium.Put((*[Medium]byte)(b[:Medium]))
	case Large:
		Poison(b[:cap(b)])
		large.Put((*[Large]byte)(b[:Large]))
	case Huge:
		Poison(b[:cap(b)])
		huge.Put((*[Huge]byte)(b[:Huge]))
	case Most:
		Poison(b[:cap(b)])
		most.Put((*[Most]byte)(b[:Most]))
	}
}

// Grow returns b with room for n more bytes; if it has to move, the old buffer
// goes back to the pool.
func Grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	need := len(b) + n
	if need > Most {
		need = max(need, 2*cap(b))
	}
	g := append(Get(need), b...)
	Put(b)
	return g
}
