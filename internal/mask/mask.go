// Package mask applies the masking of RFC 6455 section 5.3: byte i of a payload is XORed with byte i mod 4 of the key.
//
// A key is the little-endian load of its four bytes on the wire, so that its lowest byte belongs to the first byte of the
// payload. A payload may come in pieces of any length: each call returns the key, rotated, for the piece that follows.
// Masking and unmasking are the same operation.
package mask

import (
	"encoding/binary"
	"math/bits"
)

// le is called directly in the loops: shorter names through functions of one's own would leave a NOP for each of them in the
// machine code, and the loops at two thirds of their speed.
var le = binary.LittleEndian

// What masks the byte behind the end of a piece also masks the piece's last four bytes and its last eight, counted from
// their own start: n and n-4 are the same modulo 4. So both functions do the end as one full word, whatever the length is.
// It overlaps what comes before it, so it is loaded before anything is stored.

// Bytes masks b in place and returns the key for the byte that follows b.
func Bytes(b []byte, key uint32) uint32 {
	n := len(b)
	next := after(n, key)
	if n < 8 {
		short(b, b, key, next)
		return next
	}
	k, end := double(key), le.Uint64(b[n-8:])^double(next)
	p := b
	for len(p) > 64 {
		w := (*[64]byte)(p)
		le.PutUint64(w[0:], le.Uint64(w[0:])^k)
		le.PutUint64(w[8:], le.Uint64(w[8:])^k)
		le.PutUint64(w[16:], le.Uint64(w[16:])^k)
		le.PutUint64(w[24:], le.Uint64(w[24:])^k)
		le.PutUint64(w[32:], le.Uint64(w[32:])^k)
		le.PutUint64(w[40:], le.Uint64(w[40:])^k)
		le.PutUint64(w[48:], le.Uint64(w[48:])^k)
		le.PutUint64(w[56:], le.Uint64(w[56:])^k)
		p = p[64:]
	}
	for len(p) > 8 {
		le.PutUint64(p, le.Uint64(p)^k)
		p = p[8:]
	}
	le.PutUint64(b[n-8:], end)
	return next
}

// Copy writes the masked src to the start of dst, which must be at least as long, and returns the key for the byte that
// follows src. The two may start at the same byte; otherwise they must not overlap.
func Copy(dst, src []byte, key uint32) uint32 {
	n := len(src)
	dst = dst[:n]
	next := after(n, key)
	if n < 8 {
		short(dst, src, key, next)
		return next
	}
	k, end := double(key), le.Uint64(src[n-8:])^double(next)
	d, s := dst, src
	for len(d) > 64 && len(s) > 64 {
		to, from := (*[64]byte)(d), (*[64]byte)(s)
		le.PutUint64(to[0:], le.Uint64(from[0:])^k)
		le.PutUint64(to[8:], le.Uint64(from[8:])^k)
		le.PutUint64(to[16:], le.Uint64(from[16:])^k)
		le.PutUint64(to[24:], le.Uint64(from[24:])^k)
		le.PutUint64(to[32:], le.Uint64(from[32:])^k)
		le.PutUint64(to[40:], le.Uint64(from[40:])^k)
		le.PutUint64(to[48:], le.Uint64(from[48:])^k)
		le.PutUint64(to[56:], le.Uint64(from[56:])^k)
		d, s = d[64:], s[64:]
	}
	for len(d) > 8 && len(s) > 8 {
		le.PutUint64(d, le.Uint64(s)^k)
		d, s = d[8:], s[8:]
	}
	le.PutUint64(dst[n-8:], end)
	return next
}

// short is Copy for fewer than eight bytes.
func short(dst, src []byte, key, next uint32) {
	n := len(src)
	if n < 4 {
		for i := range src {
			dst[i] = src[i] ^ byte(key)
			key >>= 8
		}
		return
	}
	start, end := le.Uint32(src)^key, le.Uint32(src[n-4:])^next
	le.PutUint32(dst, start)
	le.PutUint32(dst[n-4:], end)
}

// after is the key for the byte behind n bytes masked with key.
func after(n int, key uint32) uint32 { return bits.RotateLeft32(key, -8*(n&3)) }

// double repeats the key for eight bytes.
func double(key uint32) uint64 { return uint64(key)<<32 | uint64(key) }
