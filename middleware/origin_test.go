package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tidewire/ws/middleware"
)

func TestOrigin(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		s.start(middleware.Origin(middleware.OriginOptions{Allow: []string{"https://*.page.example"}}))
		s.opens("Origin", "https://a.page.example")
		s.refuses(http.StatusForbidden, "Origin", "https://evil.example")
	})
}

// upgradeRequest is one to http://site.example/ws with the given fields.
func upgradeRequest(fields ...string) *http.Request {
	r := httptest.NewRequest("GET", "http://site.example/ws", nil)
	r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == "Host" {
			r.Host = fields[i+1]
		} else {
			r.Header.Add(fields[i], fields[i+1])
		}
	}
	return r
}

// status is what m answers an upgrade with; 204 if it lets it through.
func status(m func(http.Handler) http.Handler, r *http.Request) int {
	w := httptest.NewRecorder()
	m(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })).ServeHTTP(w, r)
	return w.Code
}

func TestOriginRules(t *testing.T) {
	const pass, refused, misdirected = http.StatusNoContent, http.StatusForbidden, http.StatusMisdirectedRequest
	lists := middleware.OriginOptions{
		Allow:     []string{"https://app.example", "https://*.wild.example", "http://localhost:5173"},
		AllowFunc: func(r *http.Request, origin string) bool { return origin == "https://func.example" && r.Host != "" },
	}
	hosts := middleware.OriginOptions{Hosts: []string{"site.example", "*.site.example", "localhost:8080"}}
	for _, tt := range []struct {
		name   string
		o      middleware.OriginOptions
		fields []string
		want   int
	}{
		{"no origin", lists, nil, pass},
		{"own", lists, []string{"Origin", "http://site.example"}, pass},
		{"own, by https through a proxy", lists, []string{"Origin", "https://site.example"}, pass},
		{"own, other port", lists, []string{"Origin", "http://site.example:81"}, refused},
		{"exact", lists, []string{"Origin", "https://app.example"}, pass},
		{"exact, other scheme", lists, []string{"Origin", "http://app.example"}, refused},
		{"exact with a port", lists, []string{"Origin", "http://localhost:5173"}, pass},
		{"wildcard", lists, []string{"Origin", "https://a.wild.example"}, pass},
		{"wildcard, two labels", lists, []string{"Origin", "https://a.b.wild.example"}, refused},
		{"wildcard, no label", lists, []string{"Origin", "https://wild.example"}, refused},
		{"wildcard in the request", lists, []string{"Origin", "https://*.wild.example"}, refused},
		{"suffix", lists, []string{"Origin", "https://evilapp.example"}, refused},
		{"predicate", lists, []string{"Origin", "https://func.example"}, pass},
		{"null", lists, []string{"Origin", "null"}, refused},
		{"empty", lists, []string{"Origin", ""}, refused},
		{"unparsable", lists, []string{"Origin", "https://app.example/path"}, refused},
		{"several", lists, []string{"Origin", "https://app.example", "Origin", "https://app.example"}, refused},

		{"same-origin behind a proxy that changes Host", lists,
			[]string{"Origin", "https://public.example", "Sec-Fetch-Site", "same-origin"}, pass},
		{"null is not the same origin", lists, []string{"Origin", "null", "Sec-Fetch-Site", "same-origin"}, refused},
		{"http page, https server behind a proxy", lists,
			[]string{"Origin", "http://site.example", "Sec-Fetch-Site", "cross-site"}, refused},
		{"cross-site, listed", lists, []string{"Origin", "https://app.example", "Sec-Fetch-Site", "cross-site"}, pass},
		{"same-site, not listed", lists, []string{"Origin", "https://b.site.example", "Sec-Fetch-Site", "same-site"}, refused},
		{"cross-site, predicate", lists, []string{"Origin", "https://func.example", "Sec-Fetch-Site", "cross-site"}, pass},

		{"host", hosts, []string{"Origin", "http://site.example"}, pass},
		{"host in other letters", hosts, []string{"Host", "SITE.example", "Origin", "http://site.example"}, pass},
		{"subdomain", hosts, []string{"Host", "a.site.example", "Origin", "http://a.site.example"}, pass},
		{"host with a port", hosts, []string{"Host", "localhost:8080", "Origin", "http://localhost:8080"}, pass},
		{"other port", hosts, []string{"Host", "localhost:8081"}, misdirected},
		{"rebound", hosts, []string{"Host", "evil.example", "Origin", "http://evil.example"}, misdirected},
		{"rebound, same-origin", hosts,
			[]string{"Host", "evil.example", "Origin", "http://evil.example", "Sec-Fetch-Site", "same-origin"}, misdirected},
		{"host that is none", hosts, []string{"Host", "site.example/x"}, misdirected},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := status(middleware.Origin(tt.o), upgradeRequest(tt.fields...)); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestOriginPanicsOnPatterns(t *testing.T) {
	for _, o := range []middleware.OriginOptions{
		{Allow: []string{"app.example"}},
		{Allow: []string{"https://app.example/"}},
		{Hosts: []string{"http://site.example"}},
		{Hosts: []string{"site.example/path"}},
	} {
		mustPanic(t, func() { middleware.Origin(o) })
	}
}

func mustPanic(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	f()
}
