package middleware_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/middleware"
)

func TestRateLimit(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		s.start(middleware.RateLimit(middleware.RateLimitOptions{Rate: 0.1, Burst: 2}))
		s.opens()
		s.opens()
		resp := s.refuses(http.StatusTooManyRequests)
		if got := resp.Header.Get("Retry-After"); got != "10" {
			t.Errorf("Retry-After %q", got)
		}
		time.Sleep(9 * time.Second)
		if got := s.refuses(http.StatusTooManyRequests).Header.Get("Retry-After"); got != "1" {
			t.Errorf("Retry-After %q", got)
		}
		time.Sleep(time.Second)
		s.opens()
		s.refuses(http.StatusTooManyRequests)
	})
}

// from is an upgrade that comes from an address.
func from(addr string, fields ...string) *http.Request {
	r := upgradeRequest(fields...)
	r.RemoteAddr = addr
	return r
}

func TestRateLimitKeys(t *testing.T) {
	for _, tt := range []struct {
		name, a, b string
		same       bool
	}{
		{"ports", "192.0.2.1:1", "192.0.2.1:2", true},
		{"addresses", "192.0.2.1:1", "192.0.2.2:1", false},
		{"within a /64", "[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff::9]:1", true},
		{"beyond a /64", "[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1", false},
		{"IPv4 in IPv6", "192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		{"IPv4s in IPv6", "[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1", false},
		{"no addresses", "@", "@", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := middleware.RateLimit(middleware.RateLimitOptions{Rate: 1e-6})
			first, second := status(m, from(tt.a)), status(m, from(tt.b))
			if first != http.StatusNoContent || (second == http.StatusTooManyRequests) != tt.same {
				t.Errorf("got %d and %d", first, second)
			}
		})
	}
}

func TestRateLimitKeyFunc(t *testing.T) {
	m := middleware.RateLimit(middleware.RateLimitOptions{Rate: 1e-6, Key: func(r *http.Request) string { return r.Header.Get("User") }})
	for _, tt := range []struct {
		user string
		want int
	}{{"a", 204}, {"b", 204}, {"a", 429}, {"2001:db8::1", 204}, {"2001:db8::2", 429}, {"x:y", 204}} {
		if got := status(m, upgradeRequest("User", tt.user)); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.user, got, tt.want)
		}
	}
}

// TestRateLimitForgetsWithoutLoss checks a key over a long time, in which it is remembered and forgotten, against the
// definition of a token bucket.
func TestRateLimitForgetsWithoutLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, burst = 0.5, 4.0
		m := middleware.RateLimit(middleware.RateLimitOptions{Rate: rate, Burst: burst})
		tokens := burst
		for i := range 400 {
			wait := time.Duration(i*i%23) * 500 * time.Millisecond
			time.Sleep(wait)
			tokens = min(tokens+rate*wait.Seconds(), burst)
			want := http.StatusTooManyRequests
			if tokens >= 1 {
				want, tokens = http.StatusNoContent, tokens-1
			}
			if got := status(m, from("192.0.2.1:1")); got != want {
				t.Fatalf("request %d, with %v tokens: got %d, want %d", i, tokens, got, want)
			}
		}
	})
}

// TestRateLimitSpray sends upgrades from far more addresses than are remembered, and from one that goes on all the time.
func TestRateLimitSpray(t *testing.T) {
	m := middleware.RateLimit(middleware.RateLimitOptions{Rate: 1e-6, MaxKeys: 1000})
	before := heap()
	const sprayed = 20_000
	for i := range sprayed {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if got := status(m, from(a.String()+":1")); got != http.StatusNoContent {
			t.Fatalf("%v: got %d", a, got)
		}
		if i%10 == 0 {
			if got := status(m, from("192.0.2.1:1")); (got == http.StatusTooManyRequests) != (i > 0) {
				t.Fatalf("the steady one, with %d sprayed: got %d", i, got)
			}
		}
	}
	grown := heap() - before
	t.Logf("%d keys, of which 1000 are kept, take %d bytes", sprayed, grown)
	if grown > 1<<20 {
		t.Errorf("%d bytes are kept", grown)
	}
	runtime.KeepAlive(m)
}

// TestRateLimitLongKeys has clients choose keys that are as long as a header can be.
func TestRateLimitLongKeys(t *testing.T) {
	m := middleware.RateLimit(middleware.RateLimitOptions{Rate: 1e-6, Key: func(r *http.Request) string { return r.Header.Get("User") }})
	before := heap()
	for i := range 20 {
		user := fmt.Sprint(strings.Repeat("x", 1<<20), i)
		for _, want := range []int{http.StatusNoContent, http.StatusTooManyRequests} {
			if got := status(m, upgradeRequest("User", user)); got != want {
				t.Fatalf("user %d: got %d, want %d", i, got, want)
			}
		}
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("%d bytes are kept", grown)
	}
	runtime.KeepAlive(m)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestRateLimitPanics(t *testing.T) {
	for _, o := range []middleware.RateLimitOptions{{}, {Rate: -1}, {Rate: 1, Burst: -1}, {Rate: 1, MaxKeys: -1}} {
		mustPanic(t, func() { middleware.RateLimit(o) })
	}
}

func TestClientIP(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:f::/48")}
	for _, tt := range []struct {
		name, header, remote string
		fields               []string
		want                 string
	}{
		{"direct", "X-Forwarded-For", "192.0.2.1:1", nil, "192.0.2.1"},
		{"direct, made up", "X-Forwarded-For", "192.0.2.1:1", []string{"X-Forwarded-For", "198.51.100.1"}, "192.0.2.1"},
		{"one proxy", "X-Forwarded-For", "10.0.0.1:1", []string{"X-Forwarded-For", "198.51.100.1"}, "198.51.100.1"},
		{"one proxy, made up before", "x-forwarded-for", "10.0.0.1:1", []string{"X-Forwarded-For", "1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		{"two lines", "X-Forwarded-For", "10.0.0.1:1",
			[]string{"X-Forwarded-For", "1.1.1.1", "X-Forwarded-For", "198.51.100.1,10.0.0.2"}, "198.51.100.1"},
		{"proxies only", "X-Forwarded-For", "10.0.0.1:1", []string{"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"nothing", "X-Forwarded-For", "10.0.0.1:1", nil, "10.0.0.1"},
		{"no address", "X-Forwarded-For", "10.0.0.1:1", []string{"X-Forwarded-For", "198.51.100.1, unknown"}, "10.0.0.1"},
		{"port", "X-Forwarded-For", "10.0.0.1:1", []string{"X-Forwarded-For", "198.51.100.1:4000"}, "198.51.100.1"},
		{"IPv6", "X-Forwarded-For", "[2001:db8:f::1]:1", []string{"X-Forwarded-For", "2001:db8::1"}, "2001:db8::1"},
		{"the other header", "X-Forwarded-For", "10.0.0.1:1", []string{"Forwarded", "for=198.51.100.1"}, "10.0.0.1"},
		{"Forwarded", "Forwarded", "10.0.0.1:1", []string{"Forwarded", "for=1.1.1.1, for=198.51.100.1;proto=https;by=10.0.0.1"}, "198.51.100.1"},
		{"Forwarded, IPv6", "Forwarded", "10.0.0.1:1", []string{"Forwarded", `For="[2001:db8::1]:4711"`}, "2001:db8::1"},
		{"Forwarded, IPv6 alone", "Forwarded", "10.0.0.1:1", []string{"Forwarded", `for="[2001:db8::1]"`}, "2001:db8::1"},
		{"Forwarded, twice in one", "Forwarded", "10.0.0.1:1", []string{"Forwarded", "for=1.1.1.1;for=198.51.100.1"}, "10.0.0.1"},
		{"Forwarded, hidden", "Forwarded", "10.0.0.1:1", []string{"Forwarded", "for=1.1.1.1, for=_hidden"}, "10.0.0.1"},
		{"no TCP", "X-Forwarded-For", "@", []string{"X-Forwarded-For", "1.1.1.1"}, "@"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := middleware.ClientIP(tt.header, trusted...)(from(tt.remote, tt.fields...)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	mustPanic(t, func() { middleware.ClientIP("X-Forwarded-For") })
	mustPanic(t, func() { middleware.ClientIP("X-Real-IP", trusted...) })
}

func BenchmarkRateLimit(b *testing.B) {
	m := middleware.RateLimit(middleware.RateLimitOptions{Rate: 1e9, Burst: 1 << 30})
	h := m(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := from(fmt.Sprintf("[2001:db8::%x]:1", 5))
	for b.Loop() {
		h.ServeHTTP(nil, r)
	}
}
