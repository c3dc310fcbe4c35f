package mask_test

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tidewire/ws/internal/mask"
)

// naive is section 5.3 as it is written: transformed[i] = original[i] XOR key[i MOD 4].
func naive(b []byte, key [4]byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i] ^ key[i%4]
	}
	return out
}

func random(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// The masked "Hello" of RFC 6455 section 5.7.
func TestRFCExample(t *testing.T) {
	b := []byte{0x7f, 0x9f, 0x4d, 0x51, 0x58}
	mask.Bytes(b, binary.LittleEndian.Uint32([]byte{0x37, 0xfa, 0x21, 0x3d}))
	if string(b) != "Hello" {
		t.Errorf("unmasked to %q", b)
	}
}

// Every length up to several unrolled steps, at every alignment, in place and copied; nothing around it is touched.
func TestEveryLengthAndAlignment(t *testing.T) {
	key := [4]byte{0x12, 0x34, 0xab, 0xcd}
	k := binary.LittleEndian.Uint32(key[:])
	src := random(320)
	for n := range 280 {
		for at := range 16 {
			want := bytes.Clone(src)
			copy(want[at:], naive(src[at:at+n], key))
			inPlace := bytes.Clone(src)
			mask.Bytes(inPlace[at:at+n], k)
			copied := bytes.Clone(src)
			mask.Copy(copied[at:], src[at:at+n], k)
			if !bytes.Equal(inPlace, want) || !bytes.Equal(copied, want) {
				t.Fatalf("length %d at %d: wrong bytes", n, at)
			}
		}
	}
}

func TestCopyIntoShortPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	mask.Copy(make([]byte, 8), make([]byte, 9), 1)
}

// A payload cut into random pieces comes out as if it had been whole.
func FuzzPieces(f *testing.F) {
	f.Add([]byte("Hello"), uint32(0x3d21fa37), uint64(1), uint8(2))
	f.Add(random(100), uint32(0x01020304), uint64(2), uint8(3))
	f.Add(random(300), uint32(0xfffefdfc), uint64(3), uint8(200))
	f.Fuzz(func(t *testing.T, src []byte, key uint32, seed uint64, longest uint8) {
		want := naive(src, [4]byte(binary.LittleEndian.AppendUint32(nil, key)))
		r := rand.New(rand.NewPCG(seed, 0))
		copied, inPlace := make([]byte, len(src)), bytes.Clone(src)
		k1, k2 := key, key
		for i := 0; i < len(src); {
			j := min(len(src), i+r.IntN(int(longest)+2))
			k1 = mask.Copy(copied[i:], src[i:j], k1)
			k2 = mask.Bytes(inPlace[i:j], k2)
			i = j
		}
		if !bytes.Equal(copied, want) || !bytes.Equal(inPlace, want) {
			t.Fatalf("%d bytes with key %08x: wrong", len(src), key)
		}
	})
}

// Bytes and Copy beside the naive loop and the standard library's XOR, which needs the key laid out at full length.
func BenchmarkMask(b *testing.B) {
	for _, n := range []int{5, 32, 125, 1 << 10, 64 << 10} {
		src, dst, keys := random(n), make([]byte, n), bytes.Repeat([]byte{1, 2, 3, 4}, n/4+1)
		run := func(name string, f func()) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.SetBytes(int64(n))
				for b.Loop() {
					f()
				}
			})
		}
		run("bytes", func() { mask.Bytes(src, 0x04030201) })
		run("copy", func() { mask.Copy(dst, src, 0x04030201) })
		run("naive", func() {
			for i := range src {
				src[i] ^= keys[i&3]
			}
		})
		run("subtle", func() { subtle.XORBytes(src, src, keys) })
	}
}
