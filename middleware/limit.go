package middleware

import (
	"hash/maphash"
	"net/http"
	"sync"
	"time"

	"github.com/tidewire/ws/internal/upgrade"
)

// LimitOptions bound how many connections there are at a time. 0 is no limit.
type LimitOptions struct {
	Total   int // connections, and upgrades on their way to one
	PerKey  int // of these, each key's
	Pending int // upgrades on their way alone: what waits for middleware further in

	// Key tells requests apart for PerKey; nil: by the address that they come
	// from. Behind a proxy that is the proxy: see ClientIP. A key that is an IPv6
	// address stands for its whole /64.
	Key func(*http.Request) string

	// RetryAfter is what refused clients are told to wait; default 5 s.
	RetryAfter time.Duration
}

const defaultRetryAfter = 5 * time.Second

// Limit refuses upgrades that would be one connection too many: with 429 if the
// key has enough, else with 503. A connection counts until it has ended. Limit
// panics if no limit is set, or a negative one.
func Limit(o LimitOptions) func(http.Handler) http.Handler {
	if o.Total < 0 || o.PerKey < 0 || o.Pending < 0 || o.Total+o.PerKey+o.Pending == 0 {
		panic("middleware: Limit: no limit is set, or a negative one")
	}
	if o.RetryAfter == 0 {
		o.RetryAfter = defaultRetryAfter
	}
	census, seed := &census{limits: o, perKey: make(map[uint64]int)}, maphash.MakeSeed()
	return upgrades(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		var key uint64
		if o.PerKey > 0 {
			key = maphash.String(seed, keyOf(o.Key, r))
		}
		if ref := census.enter(key); ref != nil {
			ref.By, ref.RetryAfter = "limit", o.RetryAfter
			upgrade.Refuse(w, r, *ref)
			return
		}
		upgrade.Serve(next, w, r, upgrade.Hooks{
			Opened: func(upgrade.Opening) { census.opened() },
			Done:   func(e upgrade.End) { census.leave(key, e.Upgraded) },
		})
	})
}

// census counts who is there.
type census struct {
	limits LimitOptions

	mu      sync.Mutex // guards all below
	total   int
	pending int
	perKey  map[uint64]int // by the key's hash, which is short however long the key is; no zeros
}

func (c *census) enter(key uint64) *upgrade.Refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case reached(c.perKey[key], c.limits.PerKey):
		return &upgrade.Refusal{Status: http.StatusTooManyRequests, Text: "too many connections from this client"}
	case reached(c.total, c.limits.Total):
		return &upgrade.Refusal{Status: http.StatusServiceUnavailable, Text: "too many connections"}
	case reached(c.pending, c.limits.Pending):
		return &upgrade.Refusal{Status: http.StatusServiceUnavailable, Text: "too many connections are being opened"}
	}
	c.total++
	c.pending++
	if c.limits.PerKey > 0 {
		c.perKey[key]++
	}
	return nil
}

func reached(n, limit int) bool { return limit > 0 && n >= limit }

func (c *census) opened() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending--
}

func (c *census) leave(key uint64, opened bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if !opened {
		c.pending--
	}
	if c.perKey[key]--; c.perKey[key] <= 0 {
		delete(c.perKey, key)
	}
}
