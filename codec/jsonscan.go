package codec

import (
	"bytes"
	"encoding/json"
)

// The scanner takes JSON (RFC 8259) apart where it lies, and accepts exactly
// what encoding/json does. Its functions take the text and an offset and return
// the offset behind what they have read, or -1.

// maxDepth is encoding/json's own limit.
const maxDepth = 10_000

// object walks through the members of a JSON object.
type object struct {
	p          []byte
	i          int // of what comes next; -1: p is no JSON object
	first      bool
	closed     bool
	key, value []byte // the member's: unescaped, and as it stands
}

func openObject(p []byte) object {
	o := object{p: p, i: skipSpace(p, 0), first: true}
	if o.i >= len(p) || p[o.i] != '{' {
		o.i = -1
		return o
	}
	o.i++
	return o
}

// next reads a member. It returns false at the end of the object, and where
// something is wrong: whole tells which.
func (o *object) next() bool {
	if o.i < 0 || o.closed {
		return false
	}
	i := skipSpace(o.p, o.i)
	if i >= len(o.p) {
		return o.fail()
	}
	if o.p[i] == '}' && o.first {
		o.closed, o.i = true, i+1
		return false
	}
	o.first = false
	return o.member(i)
}

func (o *object) member(i int) bool {
	k := scanString(o.p, i)
	if k < 0 {
		return o.fail()
	}
	o.key = unquote(o.p[i:k])
	if i = skipSpace(o.p, k); i >= len(o.p) || o.p[i] != ':' {
		return o.fail()
	}
	i = skipSpace(o.p, i+1)
	v := scanValue(o.p, i, 2)
	if v < 0 {
		return o.fail()
	}
	o.value = o.p[i:v:v]
	i = skipSpace(o.p, v)
	switch {
	case i >= len(o.p):
		return o.fail()
	case o.p[i] == '}':
		o.closed = true
	case o.p[i] == ',':
		// No '}' may follow: member asks for a string.
	default:
		return o.fail()
	}
	o.i = i + 1
	return true
}

func (o *object) fail() bool {
	o.i = -1
	return false
}

// whole reports whether the object, which next has walked to its end, was all there is.
func (o *object) whole() bool {
	return o.closed && o.i >= 0 && skipSpace(o.p, o.i) == len(o.p)
}

// unquote returns what a valid JSON string says; without escapes that is a part of it.
func unquote(q []byte) []byte {
	s := q[1 : len(q)-1 : len(q)-1]
	if bytes.IndexByte(s, '\\') >= 0 {
		var v string
		_ = json.Unmarshal(q, &v) // it is valid
		return []byte(v)
	}
	return s
}

func skipSpace(p []byte, i int) int {
	for i < len(p) && (p[i] == ' ' || p[i] == '\n' || p[i] == '\t' || p[i] == '\r') {
		i++
	}
	return i
}

// scanValue reads a value; depth is that of the object or array that it may be.
func scanValue(p []byte, i, depth int) int {
	if i >= len(p) {
		return -1
	}
	switch c := p[i]; {
	case c == '"':
		return scanString(p, i)
	case c == '{':
		return scanObject(p, i+1, depth)
	case c == '[':
		return scanArray(p, i+1, depth)
	case c == '-' || '0' <= c && c <= '9':
		return scanNumber(p, i)
	case c == 't':
		return scanWord(p, i, "true")
	case c == 'f':
		return scanWord(p, i, "false")
	case c == 'n':
		return scanWord(p, i, "null")
	}
	return -1
}

func scanWord(p []byte, i int, word string) int {
	if len(p)-i >= len(word) && string(p[i:i+len(word)]) == word {
		return i + len(word)
	}
	return -1
}

// scanObject reads what follows a '{'.
func scanObject(p []byte, i, depth int) int {
	if depth > maxDepth {
		return -1
	}
	if i = skipSpace(p, i); i < len(p) && p[i] == '}' {
		return i + 1
	}
	for {
		if i = scanString(p, i); i < 0 {
			return -1
		}
		if i = skipSpace(p, i); i >= len(p) || p[i] != ':' {
			return -1
		}
		if i = scanValue(p, skipSpace(p, i+1), depth+1); i < 0 {
			return -1
		}
		i = skipSpace(p, i)
		switch {
		case i >= len(p):
			return -1
		case p[i] == '}':
			return i + 1
		case p[i] != ',':
			return -1
		}
		i = skipSpace(p, i+1)
	}
}

// scanArray reads what follows a '['.
func scanArray(p []byte, i, depth int) int {
	if depth > maxDepth {
		return -1
	}
	if i = skipSpace(p, i); i < len(p) && p[i] == ']' {
		return i + 1
	}
	for {
		if i = scanValue(p, i, depth+1); i < 0 {
			return -1
		}
		i = skipSpace(p, i)
		switch {
		case i >= len(p):
			return -1
		case p[i] == ']':
			return i + 1
		case p[i] != ',':
			return -1
		}
		i = skipSpace(p, i+1)
	}
}

func scanString(p []byte, i int) int {
	if i >= len(p) || p[i] != '"' {
		return -1
	}
	for i++; i < len(p); i++ {
		c := p[i]
		if !special[c] {
			continue
		}
		switch c {
		case '"':
			return i + 1
		case '\\':
			if i = scanEscape(p, i+1); i < 0 {
				return -1
			}
		default:
			return -1
		}
	}
	return -1
}

// special are the bytes that a string can't have as they are.
var special = func() (all [256]bool) {
	for c := range ' ' {
		all[c] = true
	}
	all['"'], all['\\'] = true, true
	return all
}()

// scanEscape reads what follows a backslash, and returns the offset of its last byte.
func scanEscape(p []byte, i int) int {
	if i >= len(p) {
		return -1
	}
	switch p[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i
	case 'u':
		for k := 1; k <= 4; k++ {
			if i+k >= len(p) || !isHex(p[i+k]) {
				return -1
			}
		}
		return i + 4
	}
	return -1
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func scanNumber(p []byte, i int) int {
	if p[i] == '-' {
		i++
	}
	if i < len(p) && p[i] == '0' {
		i++
	} else if i = scanDigits(p, i); i < 0 {
		return -1
	}
	if i < len(p) && p[i] == '.' {
		if i = scanDigits(p, i+1); i < 0 {
			return -1
		}
	}
	if i < len(p) && (p[i] == 'e' || p[i] == 'E') {
		if i++; i < len(p) && (p[i] == '+' || p[i] == '-') {
			i++
		}
		return scanDigits(p, i)
	}
	return i
}

// scanDigits reads one digit or more.
func scanDigits(p []byte, i int) int {
	start := i
	for i < len(p) && '0' <= p[i] && p[i] <= '9' {
		i++
	}
	if i == start {
		return -1
	}
	return i
}
