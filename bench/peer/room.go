//go:build linux

package peer

import (
	"bytes"
	"sync"
)

// A room is the set of a broadcasting server's connections.
type room[C comparable] struct {
	mu      sync.RWMutex // guards members
	members map[C]bool
}

// join adds c, for good: a broadcast's connections stay to its end.
func (r *room[C]) join(c C) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members == nil {
		r.members = map[C]bool{}
	}
	r.members[c] = true
}

// each calls f for every member. A connection that fails is left to its own reader.
func (r *room[C]) each(f func(C) error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for c := range r.members {
		f(c)
	}
}

// burst returns n messages made of p, counted by their first byte.
func burst(p []byte, n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = bytes.Clone(p)
		all[i][0] = byte(i)
	}
	return all
}

// writeFromMany calls write Each times from each of Goroutines goroutines, and waits for them.
func writeFromMany(write func() error) {
	var wg sync.WaitGroup
	for range Goroutines {
		wg.Go(func() {
			for range Each {
				if write() != nil {
					return
				}
			}
		})
	}
	wg.Wait()
}
