package handshake

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// CheckOrigin decides whether the page that sent a request may connect. A request without an Origin comes from no
// browser and passes. An Origin passes when it is the server's own, see sameHost, or matches one of the patterns: exact
// origins ("https://app.example.com", "http://localhost:5173"), or with a star for exactly one label
// ("https://*.example.com"). Patterns that ValidateOrigins refuses match nothing. "null", several Origins and unparsable
// ones never pass. The error is an *Error with status 403 that names both hosts.
func CheckOrigin(r *http.Request, patterns []string) error {
	lines := r.Header["Origin"]
	if len(lines) == 0 {
		return nil
	}
	if len(lines) > 1 {
		return forbidden("the request has several Origin headers")
	}
	o, ok := parseOrigin(lines[0])
	if !ok {
		return forbidden("origin " + quote(lines[0]) + " is never allowed: it is no scheme://host or scheme://host:port")
	}
	if matchesAny(o, patterns) {
		return nil
	}
	return sameHost(o, r)
}

// sameHost is the default rule: Origin's host and port equal Host's, a missing port being the default of Origin's scheme.
// An https page may connect over plaintext, where a proxy ended the TLS; an http page must not reach a TLS connection.
func sameHost(o origin, r *http.Request) error {
	host, port, ok := splitHostPort(r.Host)
	if ok && port == 0 {
		port = defaultPort(o.scheme)
	}
	if !ok || !isWeb(o.scheme) || port != o.port || !equalFold(host, o.host) {
		return forbidden(fmt.Sprintf("origin %s may not connect to host %s: allow it in Options.Origins, or, behind a proxy, "+
			"forward the Host header as the browser sent it", quote(o.text), quote(r.Host)))
	}
	if r.TLS != nil && equalFold(o.scheme, "http") {
		return forbidden(fmt.Sprintf("origin %s is not encrypted and may not connect to host %s over TLS", quote(o.text), quote(r.Host)))
	}
	return nil
}

func forbidden(text string) error { return refuse(http.StatusForbidden, text) }

// ValidateOrigins reports the first pattern that CheckOrigin could never match.
func ValidateOrigins(patterns []string) error {
	for _, p := range patterns {
		if _, _, ok := parsePattern(p); !ok {
			return fmt.Errorf("%s is no origin: write scheme://host or scheme://host:port in ASCII and without a path, "+
				"a leading \"*.\" standing for one label", quote(p))
		}
	}
	return nil
}

func matchesAny(o origin, patterns []string) bool {
	for _, p := range patterns {
		if matches(o, p) {
			return true
		}
	}
	return false
}

func matches(o origin, pattern string) bool {
	p, wild, ok := parsePattern(pattern)
	if !ok || !equalFold(p.scheme, o.scheme) || p.port != o.port {
		return false
	}
	if !wild {
		return equalFold(p.host, o.host)
	}
	label, rest, found := strings.Cut(o.host, ".")
	return found && label != "" && equalFold(rest, p.host)
}

// parsePattern reads an origin that may begin with a star; p.host is what follows the star's dot.
func parsePattern(s string) (p origin, wild, ok bool) {
	scheme, rest, _ := strings.Cut(s, "://")
	host, wild := strings.CutPrefix(rest, "*.")
	if !wild {
		p, ok = parseOrigin(s)
		return p, false, ok
	}
	p, ok = newOrigin(s, scheme, host)
	return p, true, ok && p.host != "" && p.host[0] != '['
}

// origin is a serialized origin of RFC 6454 6.2, taken apart. Names keep their spelling and are compared in ASCII without
// case: browsers send punycode, and a trailing dot makes another host.
type origin struct {
	text   string
	scheme string
	host   string // IPv6 in brackets
	port   uint16 // 0 for a scheme without a default port
}

func parseOrigin(s string) (origin, bool) {
	scheme, hostport, ok := strings.Cut(s, "://")
	if !ok {
		return origin{}, false
	}
	return newOrigin(s, scheme, hostport)
}

// newOrigin allows an empty host to schemes that have none ("file://").
func newOrigin(text, scheme, hostport string) (o origin, ok bool) {
	o = origin{text: text, scheme: scheme}
	if !isScheme(scheme) {
		return o, false
	}
	if hostport == "" {
		return o, !isWeb(scheme)
	}
	if o.host, o.port, ok = splitHostPort(hostport); ok && o.port == 0 {
		o.port = defaultPort(scheme)
	}
	return o, ok
}

// splitHostPort takes host, host:port and [IPv6]:port apart; the port is 0 when there is none. It is strict where
// net.SplitHostPort and url.Parse are generous: no user, no zone, no percent-encoding, no empty port.
func splitHostPort(s string) (host string, port uint16, ok bool) {
	host = s
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		n, err := strconv.ParseUint(s[i+1:], 10, 16)
		if err != nil || n == 0 || s[i+1] == '0' {
			return "", 0, false
		}
		host, port = s[:i], uint16(n)
	}
	return host, port, isHost(host)
}

func isHost(s string) bool {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && addr.Is6() && addr.Zone() == "" && strings.HasSuffix(inner, "]")
	}
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '-' && c != '.' && c != '_' && c != '~' {
			return false
		}
	}
	return s != ""
}

// isScheme follows RFC 3986 3.1.
func isScheme(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && (i == 0 || c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != "" && !isDigit(s[0])
}

func isWeb(scheme string) bool { return equalFold(scheme, "http") || equalFold(scheme, "https") }

func defaultPort(scheme string) uint16 {
	switch {
	case equalFold(scheme, "http"):
		return 80
	case equalFold(scheme, "https"):
		return 443
	}
	return 0
}
