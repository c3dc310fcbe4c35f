package conn_test

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"

	"github.com/tidewire/ws/conn"
)

// Many writers combine: every message arrives once and whole, and each writer's
// in its order, also when the one who sends for the others has had enough of it.
func TestManyWriters(t *testing.T) {
	const writers, each = 16, 3000
	a, b := (mode{stream: overTCP}).pair(t, conn.Config{}, conn.Config{})
	ctx := context.Background()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			var p [64]byte
			for i := range each {
				binary.BigEndian.PutUint32(p[:], uint32(w))
				binary.BigEndian.PutUint32(p[4:], uint32(i))
				if err := a.Write(ctx, conn.Binary, p[:]); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var next [writers]uint32
	for range writers * each {
		_, p, err := b.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		w, i := binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])
		if i != next[w] {
			t.Fatalf("writer %d: message %d instead of %d", w, i, next[w])
		}
		next[w]++
	}
	wg.Wait()
	if err := a.Write(ctx, conn.Text, []byte("last")); err != nil {
		t.Fatal(err)
	}
	if _, p, err := b.Read(ctx); err != nil || string(p) != "last" {
		t.Errorf("behind all of them: %q, %v", p, err)
	}
}
