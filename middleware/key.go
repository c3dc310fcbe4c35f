package middleware

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ClientIP returns a key for RateLimit and Limit: the address of the client
// behind proxies of one's own, whose addresses are in the trusted prefixes. It
// reads one header, "X-Forwarded-For" or "Forwarded" (RFC 7239), namely the one
// to which every proxy appends the address that it was connected from. The other
// one may be passed on by them as a client has made it up.
//
// The client is the last address in the header that is not trusted, as everything
// before it may be made up. If the connection comes from no trusted address the
// header isn't looked at; an entry that is no address ends the search at the
// proxy that appended it.
//
// ClientIP panics without a prefix, or with another header.
func ClientIP(header string, trusted ...netip.Prefix) func(*http.Request) string {
	header = http.CanonicalHeaderKey(header)
	entry := map[string]func(string) string{
		"X-Forwarded-For": func(s string) string { return s },
		"Forwarded":       forwardedFor,
	}[header]
	if entry == nil {
		panic(`middleware: ClientIP: the header is neither "X-Forwarded-For" nor "Forwarded"`)
	}
	if len(trusted) == 0 {
		panic("middleware: ClientIP: without trusted proxies everybody could choose an address")
	}
	trusted = slices.Clone(trusted)
	return func(r *http.Request) string {
		addr, ok := parseAddr(r.RemoteAddr)
		if !ok {
			return r.RemoteAddr
		}
		entries := strings.Split(strings.Join(r.Header[header], ","), ",")
		for _, e := range slices.Backward(entries) {
			if !contains(trusted, addr) {
				break
			}
			next, ok := parseAddr(entry(e))
			if !ok {
				break
			}
			addr = next
		}
		return addr.String()
	}
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// forwardedFor is the for parameter of a Forwarded entry; "" without exactly one.
func forwardedFor(entry string) (node string) {
	for pair := range strings.SplitSeq(entry, ";") {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "for") {
			continue
		}
		if node != "" {
			return ""
		}
		node = strings.Trim(strings.TrimSpace(value), `"`)
	}
	return node
}

// parseAddr reads an address with or without a port; IPv4 in IPv6 is IPv4.
func parseAddr(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		s = strings.TrimSuffix(inner, "]")
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap().WithZone(""), err == nil
}

// remoteIP is the key of those who name none: the address of the connection.
func remoteIP(r *http.Request) string {
	if host, _, _ := strings.Cut(r.RemoteAddr, ":"); strings.Contains(host, ".") {
		return host // IPv4, as net/http writes it
	}
	if a, ok := parseAddr(r.RemoteAddr); ok {
		return a.String()
	}
	return r.RemoteAddr
}

// keyOf is the key that f returns for r, with an IPv6 address cut to its /64:
// one customer has as many addresses as that.
func keyOf(f func(*http.Request) string, r *http.Request) string {
	if f == nil {
		f = remoteIP
	}
	key := f(r)
	if !strings.Contains(key, ":") {
		return key
	}
	if a, err := netip.ParseAddr(key); err == nil && a.Is6() {
		p, _ := a.Prefix(64)
		return p.String()
	}
	return key
}
