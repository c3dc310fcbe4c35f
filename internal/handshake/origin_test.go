package handshake

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestCheckOriginDefault(t *testing.T) {
	tests := []struct {
		name, origin, host string
		tls, want          bool
	}{
		{"same", "http://example.com", "example.com", false, true},
		{"same over TLS", "https://example.com", "example.com", true, true},
		{"TLS ended at a proxy", "https://example.com", "example.com", false, true},
		{"plain page, TLS connection", "http://example.com", "example.com", true, false},
		{"plain page, TLS connection, port named", "http://example.com:443", "example.com:443", true, false},
		{"case", "HTTP://Example.COM", "eXample.com", false, true},
		{"plain page in capitals, TLS connection", "HTTP://example.com", "example.com", true, false},
		{"other host", "http://evil.example", "example.com", false, false},
		{"subdomain", "http://a.example.com", "example.com", false, false},
		{"parent", "http://example.com", "a.example.com", false, false},
		{"suffix", "http://notexample.com", "example.com", false, false},
		{"same port", "http://example.com:8080", "example.com:8080", false, true},
		{"other port", "http://example.com:8080", "example.com:8081", false, false},
		{"port only in Origin", "http://example.com:8080", "example.com", false, false},
		{"port only in Host", "http://example.com", "example.com:8080", false, false},
		{"http default named in Host", "http://example.com", "example.com:80", false, true},
		{"http default named in Origin", "http://example.com:80", "example.com", false, true},
		{"https default named in Host", "https://example.com", "example.com:443", false, true},
		{"https default named in Origin", "https://example.com:443", "example.com", true, true},
		{"http default is not https's", "https://example.com", "example.com:80", false, false},
		{"https default is not http's", "http://example.com", "example.com:443", false, false},
		{"trailing dot in both", "http://example.com.", "example.com.", false, true},
		{"trailing dot in Origin", "http://example.com.", "example.com", false, false},
		{"trailing dot in Host", "http://example.com", "example.com.", false, false},
		{"IPv4", "http://127.0.0.1:8080", "127.0.0.1:8080", false, true},
		{"IPv6", "http://[::1]:8080", "[::1]:8080", false, true},
		{"IPv6, default port", "http://[::1]", "[::1]:80", false, true},
		{"IPv6, case", "http://[2001:DB8::1]", "[2001:db8::1]", false, true},
		{"IPv6, other", "http://[::1]", "[::2]", false, false},
		{"IPv6 without brackets", "http://::1", "::1", false, false},
		{"IPv6 with a zone", "http://[fe80::1%25eth0]", "[fe80::1%25eth0]", false, false},
		{"IPv4 in brackets", "http://[127.0.0.1]", "[127.0.0.1]", false, false},
		{"open bracket", "http://[::1", "[::1", false, false},
		{"punycode", "https://xn--bcher-kva.example", "xn--bcher-kva.example", true, true},
		{"punycode is not decoded", "https://bücher.example", "xn--bcher-kva.example", true, false},
		{"fold into ASCII", "https://\u212aelvin.example", "kelvin.example", true, false},
		{"null", "null", "example.com", false, false},
		{"null host", "null", "null", false, false},
		{"empty", "", "example.com", false, false},
		{"empty host", "http://", "", false, false},
		{"no scheme", "example.com", "example.com", false, false},
		{"no scheme, slashes", "//example.com", "example.com", false, false},
		{"userinfo", "http://example.com@evil.example", "example.com", false, false},
		{"userinfo of the same host", "http://a:b@example.com", "example.com", false, false},
		{"path", "http://example.com/", "example.com", false, false},
		{"query", "http://example.com?", "example.com", false, false},
		{"fragment", "http://example.com#", "example.com", false, false},
		{"backslash", `http://example.com\`, "example.com", false, false},
		{"two in one line", "http://example.com http://evil.example", "example.com", false, false},
		{"list", "http://example.com, http://evil.example", "example.com", false, false},
		{"white space", "http://example.com ", "example.com", false, false},
		{"empty port", "http://example.com:", "example.com", false, false},
		{"port 0", "http://example.com:0", "example.com", false, false},
		{"leading zero", "http://example.com:080", "example.com", false, false},
		{"signed port", "http://example.com:+80", "example.com", false, false},
		{"port too large", "http://example.com:65616", "example.com", false, false}, // 80 modulo 65536
		{"other scheme", "ws://example.com", "example.com", false, false},
		{"extension", "chrome-extension://example.com", "example.com", false, false},
		{"file", "file://", "example.com", false, false},
		{"percent-encoded", "http://ex%61mple.com", "example.com", false, false},
		{"empty Host", "http://example.com", "", false, false},
		{"bad Host", "http://example.com", "example.com:http", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkOrigin(t, originRequest(tt.host, tt.tls, tt.origin), nil, tt.want)
		})
	}
}

func TestCheckOriginPatterns(t *testing.T) {
	tests := []struct {
		name, origin string
		patterns     []string
		want         bool
	}{
		{"own host still passes", "http://api.example", []string{"https://other.example"}, true},
		{"exact", "https://app.example.com", []string{"https://other.example", "https://app.example.com"}, true},
		{"exact, case", "https://app.example.com", []string{"HTTPS://App.Example.com"}, true},
		{"other scheme", "http://app.example.com", []string{"https://app.example.com"}, false},
		{"port", "http://localhost:5173", []string{"http://localhost:5173"}, true},
		{"other port", "http://localhost:5174", []string{"http://localhost:5173"}, false},
		{"default port in the pattern", "https://app.example.com", []string{"https://app.example.com:443"}, true},
		{"default port in the origin", "https://app.example.com:443", []string{"https://app.example.com"}, true},
		{"star", "https://a.example.com", []string{"https://*.example.com"}, true},
		{"star, case", "https://A.Example.Com", []string{"https://*.eXample.com"}, true},
		{"star is one label", "https://a.b.example.com", []string{"https://*.example.com"}, false},
		{"star is not none", "https://example.com", []string{"https://*.example.com"}, false},
		{"star is not empty", "https://.example.com", []string{"https://*.example.com"}, false},
		{"star, suffix of a label", "https://aexample.com", []string{"https://*.example.com"}, false},
		{"star, longer", "https://a.example.com.evil.example", []string{"https://*.example.com"}, false},
		{"star, trailing dot", "https://a.example.com.", []string{"https://*.example.com"}, false},
		{"star, other scheme", "http://a.example.com", []string{"https://*.example.com"}, false},
		{"star and port", "https://a.example.com:8443", []string{"https://*.example.com:8443"}, true},
		{"star and other port", "https://a.example.com:8443", []string{"https://*.example.com"}, false},
		{"star within one label", "http://a.localhost:3000", []string{"http://*.localhost:3000"}, true},
		{"IPv6", "http://[::1]:8080", []string{"http://[::1]:8080"}, true},
		{"extension", "chrome-extension://abcdefg", []string{"chrome-extension://abcdefg"}, true},
		{"other extension", "chrome-extension://abcdefg", []string{"chrome-extension://hijklmn"}, false},
		{"file", "file://", []string{"file://"}, true},
		{"null is never allowed", "null", []string{"null", "*", "https://*"}, false},
		{"star for everything matches nothing", "https://evil.example", []string{"*", "https://*", "*://*", "https://*.*"}, false},
		{"pattern with a path matches nothing", "https://app.example.com", []string{"https://app.example.com/"}, false},
		{"userinfo", "https://app.example.com@evil.example", []string{"https://app.example.com"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkOrigin(t, originRequest("api.example", false, tt.origin), tt.patterns, tt.want)
		})
	}
}

func TestCheckOriginPatternOverTLS(t *testing.T) {
	r := originRequest("api.example", true, "http://api.example")
	checkOrigin(t, r, []string{"http://api.example"}, true) // who lists a plain origin means it
}

func TestCheckOriginHowMany(t *testing.T) {
	checkOrigin(t, originRequest("example.com", false), nil, true)
	checkOrigin(t, originRequest("example.com", false, "http://example.com", "http://example.com"), nil, false)
}

func TestCheckOriginSaysWhatToDo(t *testing.T) {
	err := CheckOrigin(originRequest("10.0.0.7:8080", false, "https://app.example.com"), nil)
	for _, want := range []string{"app.example.com", "10.0.0.7:8080", "forward the Host header", "Options.Origins"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}

func TestValidateOrigins(t *testing.T) {
	good := []string{"https://example.com", "http://localhost:5173", "https://*.example.com", "https://*.example.com:8443",
		"http://[::1]:80", "capacitor://localhost", "file://", "https://xn--bcher-kva.example"}
	if err := ValidateOrigins(good); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "*", "null", "example.com", "*.example.com", "https://", "https://*", "https://*.", "https://*.*.example.com",
		"https://a.*.example.com", "https://*a.example.com", "https://*.[::1]", "https://example.com/", "https://example.com:*",
		"https://bücher.example", "https://a@example.com", "1http://example.com", "://example.com", "*://example.com"} {
		if err := ValidateOrigins([]string{good[0], bad}); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

func originRequest(host string, overTLS bool, origins ...string) *http.Request {
	r := &http.Request{Host: host, Header: http.Header{}}
	if overTLS {
		r.TLS = &tls.ConnectionState{}
	}
	if origins != nil {
		r.Header["Origin"] = origins
	}
	return r
}

func checkOrigin(t *testing.T, r *http.Request, patterns []string, want bool) {
	t.Helper()
	err := CheckOrigin(r, patterns)
	if (err == nil) != want {
		t.Errorf("got %v, want allowed: %v", err, want)
	}
	var e *Error
	if err != nil && (!errors.As(err, &e) || e.Status != http.StatusForbidden) {
		t.Errorf("%v is no 403", err)
	}
}

// FuzzOrigin lets url.Parse judge what was allowed by default: same host, same port, nothing else in the origin.
func FuzzOrigin(f *testing.F) {
	f.Add("http://example.com", "example.com", false)
	f.Add("https://[::1]:8443", "[::1]:8443", true)
	f.Add("http://a@b:80", "b", false)
	f.Fuzz(func(t *testing.T, origin, host string, overTLS bool) {
		if CheckOrigin(originRequest(host, overTLS, origin), nil) != nil {
			return
		}
		o, err := url.Parse(origin)
		if err != nil {
			t.Fatalf("allowed %q: %v", origin, err)
		}
		h, err := url.Parse("//" + host)
		if err != nil || h.Host != host {
			t.Fatalf("allowed host %q: %v", host, err)
		}
		bare := o.User == nil && o.Path == "" && o.RawQuery == "" && !o.ForceQuery && o.Fragment == "" && !strings.HasSuffix(origin, "#")
		same := strings.EqualFold(o.Hostname(), h.Hostname()) && portOf(o, o.Scheme) == portOf(h, o.Scheme)
		plain := o.Scheme == "http" && overTLS
		if !bare || !same || plain || o.Scheme != "http" && o.Scheme != "https" {
			t.Errorf("origin %q on host %q (TLS %v) was allowed", origin, host, overTLS)
		}
	})
}

func portOf(u *url.URL, scheme string) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[scheme]
}
