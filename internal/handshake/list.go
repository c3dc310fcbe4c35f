package handshake

import (
	"iter"
	"strings"
)

// elements yields the elements of a header field that is a list (RFC 9110 5.6.1): the field's lines taken as one list,
// white space around elements cut, empty elements left out, commas within quoted strings no separators.
func elements(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for rest, more := line, true; more; {
				var elem string
				elem, rest, more = cutElement(rest)
				if elem = trim(elem); elem != "" && !yield(elem) {
					return
				}
			}
		}
	}
}

// cutElement is strings.Cut at the first comma outside quoted strings (RFC 9110 5.6.4).
func cutElement(s string) (before, after string, found bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// contains reports whether a list has the token, in any case.
func contains(lines []string, token string) bool {
	for elem := range elements(lines) {
		if equalFold(elem, token) {
			return true
		}
	}
	return false
}

// trim cuts optional white space (RFC 9110 5.6.3): spaces and tabs, nothing else.
func trim(s string) string { return strings.Trim(s, " \t") }

// equalFold compares in ASCII only: strings.EqualFold would take the Kelvin sign for a k.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// isToken reports whether s is a token of RFC 9110 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isTokenByte(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isAlphanumeric(c byte) bool {
	return 'a' <= lower(c) && lower(c) <= 'z' || isDigit(c)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
