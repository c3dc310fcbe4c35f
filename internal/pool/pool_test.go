package pool_test

import (
	"bytes"
	"testing"

	"github.com/tidewire/ws/internal/pool"
)

func TestGet(t *testing.T) {
	for _, c := range []struct{ n, size int }{
		{0, pool.Small}, {1, pool.Small}, {pool.Small, pool.Small},
		{pool.Small + 1, pool.Medium}, {pool.Medium, pool.Medium},
		{pool.Medium + 1, pool.Large}, {pool.Large, pool.Large},
		{pool.Large + 1, pool.Huge}, {pool.Huge, pool.Huge},
		{pool.Huge + 1, pool.Most}, {pool.Most, pool.Most},
		{pool.Most + 1, pool.Most + 1}, {5 << 20, 5 << 20},
	} {
		for range 2 { // fresh, then perhaps used
			b := pool.Get(c.n)
			if len(b) != 0 || cap(b) != c.size {
				t.Errorf("Get(%d): %d of %d", c.n, len(b), cap(b))
			}
			pool.Put(append(b, "used"...))
		}
	}
}

// Buffers that aren't the pool's are let go, whatever they are.
func TestPutForeign(t *testing.T) {
	for _, b := range [][]byte{nil, {}, make([]byte, 1), make([]byte, 0, pool.Small+1), make([]byte, 2*pool.Most)} {
		pool.Put(b)
	}
	own := pool.Get(1)
	pool.Put(own[:0:10])
	if b := pool.Get(1); cap(b) != pool.Small {
		t.Errorf("the pool lends a buffer of %d", cap(b))
	}
}

func TestGrow(t *testing.T) {
	for _, c := range []struct{ have, size, more, want int }{
		{0, 0, 1, pool.Small},
		{10, pool.Small, pool.Small - 10, pool.Small},
		{10, pool.Small, pool.Small - 9, pool.Medium},
		{pool.Large, pool.Large, 1, pool.Huge},
		{pool.Huge, pool.Huge, pool.Large, pool.Most},
		{pool.Most, pool.Most, 1, 2 * pool.Most}, // from here on it doubles, so that growing is linear
		{2 * pool.Most, 2 * pool.Most, 5 << 20, 7 << 20},
	} {
		b := bytes.Repeat([]byte("x"), c.have)
		b = append(make([]byte, 0, c.size), b...)
		g := pool.Grow(b, c.more)
		if len(g) != c.have || cap(g) != c.want || bytes.Count(g, []byte("x")) != c.have {
			t.Errorf("%d of %d and %d more: %d of %d", c.have, c.size, c.more, len(g), cap(g))
		}
	}
}

// Under the race detector a buffer that is given back loses its contents at once.
func TestPoison(t *testing.T) {
	kept := append(pool.Get(1), "secret"...)
	pool.Put(kept)
	if race && string(kept) == "secret" {
		t.Error("what was given back can still be read")
	}
	b := []byte("abc")
	if pool.Poison(b); (string(b) != "abc") != race {
		t.Errorf("Poison leaves %q", b)
	}
}
