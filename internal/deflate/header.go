package deflate

import (
	"errors"
	"strings"
)

// extension is one element of a Sec-WebSocket-Extensions field.
type extension struct {
	name   string
	params []param
}

type param struct {
	name, value string
	hasValue    bool
}

// errSyntax is fatal to a handshake: RFC 6455 9.1 leaves no choice.
var errSyntax = errors.New("malformed Sec-WebSocket-Extensions (RFC 6455 9.1)")

// parseExtensions parses all lines of the field, which count as one list (RFC 9110 5.3). Empty elements are skipped (5.6.1.2).
func parseExtensions(lines []string) ([]extension, error) {
	var list []extension
	for _, line := range lines {
		for s := (scanner{line}); !s.done(); {
			if s.skip(',') {
				continue
			}
			ext, ok := s.extension()
			if !ok || !s.done() && !s.skip(',') {
				return nil, errSyntax
			}
			list = append(list, ext)
		}
	}
	return list, nil
}

// scanner reads tokens off the front of a field's value.
type scanner struct{ rest string }

// space skips optional whitespace.
func (s *scanner) space() { s.rest = strings.TrimLeft(s.rest, " \t") }

func (s *scanner) done() bool {
	s.space()
	return s.rest == ""
}

func (s *scanner) skip(c byte) bool {
	s.space()
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) extension() (ext extension, ok bool) {
	if ext.name = s.token(); ext.name == "" {
		return ext, false
	}
	for s.skip(';') {
		p, ok := s.param()
		if !ok {
			return ext, false
		}
		ext.params = append(ext.params, p)
	}
	return ext, true
}

func (s *scanner) param() (p param, ok bool) {
	if p.name = s.token(); p.name == "" {
		return p, false
	}
	if p.hasValue = s.skip('='); p.hasValue {
		p.value, ok = s.value()
		return p, ok
	}
	return p, true
}

// value is a token, or a quoted string that is a token once unquoted (RFC 6455 9.1).
func (s *scanner) value() (v string, ok bool) {
	if !s.skip('"') {
		v = s.token()
		return v, v != ""
	}
	var b strings.Builder
	for i := 0; i < len(s.rest); i++ {
		c := s.rest[i]
		switch {
		case c == '"':
			s.rest = s.rest[i+1:]
			return b.String(), b.Len() > 0
		case c == '\\' && i+1 < len(s.rest):
			i++
			c = s.rest[i]
		}
		if !tokenByte(c) {
			return "", false
		}
		b.WriteByte(c)
	}
	return "", false
}

// token returns the longest token at the front, perhaps none.
func (s *scanner) token() string {
	s.space()
	n := 0
	for n < len(s.rest) && tokenByte(s.rest[n]) {
		n++
	}
	t := s.rest[:n]
	s.rest = s.rest[n:]
	return t
}

// tokenByte reports whether c may stand in a token (RFC 9110 5.6.2).
func tokenByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c != 0 && strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
