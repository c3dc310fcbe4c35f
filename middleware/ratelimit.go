package middleware

import (
	"hash/maphash"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tidewire/ws/internal/upgrade"
)

// RateLimitOptions say how many upgrades a key may ask for.
type RateLimitOptions struct {
	// Rate is how many upgrades a second each key has; more than 0.
	Rate float64
	// Burst is how many it may ask for at once; at least 1, which 0 means, too.
	Burst int

	// Key tells requests apart; nil: by the address that they come from. Behind
	// a proxy that is the proxy: see ClientIP. A key that is an IPv6 address
	// stands for its whole /64.
	Key func(*http.Request) string

	// MaxKeys bounds how many keys are remembered; default 100,000, about 15 MB
	// however long they are. Under a spray of more the ones that were heard of
	// longest ago are forgotten.
	MaxKeys int
}

const defaultMaxKeys = 100_000

// RateLimit refuses upgrades of a key that has asked for too many with 429 and
// the time at which there is room for the next one. Every request that gets here
// counts, whether or not something further in refuses it. It panics if Rate or
// Burst make no sense.
func RateLimit(o RateLimitOptions) func(http.Handler) http.Handler {
	if o.Rate <= 0 || o.Burst < 0 || o.MaxKeys < 0 {
		panic("middleware: RateLimit: Rate must be more than 0, Burst and MaxKeys not less")
	}
	limiters := newLimiters(o)
	return upgrades(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		if wait := limiters.take(keyOf(o.Key, r), time.Now()); wait > 0 {
			upgrade.Refuse(w, r, upgrade.Refusal{By: "rate limit", Status: http.StatusTooManyRequests,
				RetryAfter: wait, Text: "too many connection attempts"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limiters has a limiter for each key, in shards so that keys rarely wait for
// each other.
type limiters struct {
	seed   maphash.Seed
	shards [32]limiterShard
}

func newLimiters(o RateLimitOptions) *limiters {
	burst := max(o.Burst, 1)
	keys := o.MaxKeys
	if keys == 0 {
		keys = defaultMaxKeys
	}
	l := &limiters{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i] = limiterShard{
			rate:  rate.Limit(o.Rate),
			burst: burst,
			fill:  time.Duration(float64(burst) / o.Rate * float64(time.Second)),
			half:  max(keys/len(l.shards)/2, 1),
		}
	}
	return l
}

// take takes a token of key's, or says how long there will be none. A key is
// remembered by its hash: clients that choose theirs choose its length, too.
func (l *limiters) take(key string, now time.Time) (wait time.Duration) {
	hash := maphash.String(l.seed, key)
	return l.shards[hash%uint64(len(l.shards))].take(hash, now)
}

// limiterShard remembers its keys in two generations. A key that is heard of
// moves to the young one. When that has been filled for as long as a bucket takes
// to fill up, the old one is dropped: its keys have not been heard of for so long
// that their buckets are full, and nothing is lost.
type limiterShard struct {
	rate  rate.Limit
	burst int
	fill  time.Duration // from an empty bucket to a full one
	half  int           // most keys of a generation

	mu         sync.Mutex               // guards all below
	young, old map[uint64]*rate.Limiter // by the key's hash
	since      time.Time                // young's beginning
}

func (s *limiterShard) take(key uint64, now time.Time) (wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.get(key, now)
	r := l.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// get returns key's limiter, which is in the young generation then.
func (s *limiterShard) get(key uint64, now time.Time) *rate.Limiter {
	if now.Sub(s.since) >= s.fill {
		s.turn(now)
	}
	if l := s.young[key]; l != nil {
		return l
	}
	if len(s.young) >= s.half {
		s.turn(now)
	}
	l := s.old[key]
	if l == nil {
		l = rate.NewLimiter(s.rate, s.burst)
	}
	s.young[key] = l
	return l
}

// turn begins a new generation.
func (s *limiterShard) turn(now time.Time) {
	if now.Sub(s.since) >= 2*s.fill { // nobody has been here for long
		s.young = nil
	}
	s.old, s.young, s.since = s.young, make(map[uint64]*rate.Limiter), now
}
