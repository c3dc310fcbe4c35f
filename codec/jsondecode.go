package codec

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// encoding/json reads a text twice, byte by byte, and looks up what it knows of a
// type again for each value. A plan reads it once. What is not ordinary, a plan
// leaves to encoding/json: a part of the value if its type has rules of its own, and
// all of it if the text has an error, or anything else that a plan doesn't know. So
// encoding/json alone says what is right, and what an error is called.

// plan decodes the value at p[i] into v, which is not shared, and returns the
// offset behind it; -1 leaves everything to encoding/json. depth is that of the
// object or array that the value may be.
type plan func(p []byte, i int, v reflect.Value, depth int) int

// plans are those of the types that have been decoded: reflect.Type to plan.
var plans sync.Map

// decodeJSON does what json.Unmarshal does.
func decodeJSON(p []byte, v any) error {
	to := reflect.ValueOf(v)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return json.Unmarshal(p, v)
	}
	// Into a value that has something already, it would be merged.
	to = to.Elem()
	if f := planOf(to.Type()); f != nil && to.IsZero() {
		if i := f(p, skipSpace(p, 0), to, 1); i >= 0 && skipSpace(p, i) == len(p) {
			return nil
		}
		to.SetZero()
	}
	return json.Unmarshal(p, v)
}

// planOf returns nil for a type that a plan would do nothing for.
func planOf(t reflect.Type) plan {
	if f, ok := plans.Load(t); ok {
		return f.(plan)
	}
	f, _ := plans.LoadOrStore(t, makePlan(t))
	return f.(plan)
}

// partPlan returns a plan for a part of a value. It is found while decoding, not
// while plans are made: types may be recursive.
func partPlan(t reflect.Type) plan {
	if f := planOf(t); f != nil {
		return f
	}
	return foreign
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	numberType      = reflect.TypeFor[json.Number]()
)

func makePlan(t reflect.Type) plan {
	pt := reflect.PointerTo(t)
	if t == numberType || pt.Implements(jsonUnmarshaler) || pt.Implements(textUnmarshaler) {
		return nil
	}
	if f := scalars[t.Kind()]; f != nil {
		return f
	}
	switch t.Kind() {
	case reflect.Pointer:
		return pointerPlan(t)
	case reflect.Slice:
		return slicePlan(t)
	case reflect.Struct:
		return structPlan(t)
	}
	return nil
}

var scalars = map[reflect.Kind]plan{
	reflect.Bool: decodeBool, reflect.String: decodeString, reflect.Float64: decodeFloat,
	reflect.Int: decodeInt, reflect.Int8: decodeInt, reflect.Int16: decodeInt, reflect.Int32: decodeInt, reflect.Int64: decodeInt,
	reflect.Uint: decodeUint, reflect.Uint8: decodeUint, reflect.Uint16: decodeUint, reflect.Uint32: decodeUint, reflect.Uint64: decodeUint,
	reflect.Uintptr: decodeUint,
}

// foreign has encoding/json decode a part.
func foreign(p []byte, i int, v reflect.Value, depth int) int {
	end := scanValue(p, i, depth)
	if end < 0 || json.Unmarshal(p[i:end], v.Addr().Interface()) != nil {
		return -1
	}
	return end
}

// null returns the offset behind a null, or -1. For most types it changes nothing.
func null(p []byte, i int) int {
	if i < len(p) && p[i] == 'n' {
		return scanWord(p, i, "null")
	}
	return -1
}

func decodeBool(p []byte, i int, v reflect.Value, _ int) int {
	if i >= len(p) {
		return -1
	}
	switch p[i] {
	case 't':
		v.SetBool(true)
		return scanWord(p, i, "true")
	case 'f':
		v.SetBool(false)
		return scanWord(p, i, "false")
	}
	return null(p, i)
}

func decodeString(p []byte, i int, v reflect.Value, _ int) int {
	end := scanString(p, i)
	if end < 0 {
		return null(p, i)
	}
	s := unquote(p[i:end])
	if !utf8.Valid(s) {
		return -1
	}
	v.SetString(string(s))
	return end
}

// scanInteger returns the text of a number without fraction and exponent.
func scanInteger(p []byte, i int) (text []byte, end int) {
	if i >= len(p) || p[i] != '-' && (p[i] < '0' || p[i] > '9') {
		return nil, null(p, i)
	}
	if end = scanNumber(p, i); end < 0 || bytes.ContainsAny(p[i:end], ".eE") {
		return nil, -1
	}
	return p[i:end], end
}

func decodeInt(p []byte, i int, v reflect.Value, _ int) int {
	text, end := scanInteger(p, i)
	if text == nil {
		return end
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || v.OverflowInt(n) {
		return -1
	}
	v.SetInt(n)
	return end
}

func decodeUint(p []byte, i int, v reflect.Value, _ int) int {
	text, end := scanInteger(p, i)
	if text == nil {
		return end
	}
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil || v.OverflowUint(n) {
		return -1
	}
	v.SetUint(n)
	return end
}

func decodeFloat(p []byte, i int, v reflect.Value, _ int) int {
	if i >= len(p) || p[i] != '-' && (p[i] < '0' || p[i] > '9') {
		return null(p, i)
	}
	end := scanNumber(p, i)
	if end < 0 {
		return -1
	}
	x, err := strconv.ParseFloat(string(p[i:end]), 64)
	if err != nil {
		return -1
	}
	v.SetFloat(x)
	return end
}

func pointerPlan(t reflect.Type) plan {
	return func(p []byte, i int, v reflect.Value, depth int) int {
		if end := null(p, i); end >= 0 {
			v.SetZero()
			return end
		}
		if v.IsNil() {
			v.Set(reflect.New(t.Elem()))
		}
		return partPlan(t.Elem())(p, i, v.Elem(), depth)
	}
}

func slicePlan(t reflect.Type) plan {
	if t.Elem().Kind() == reflect.Uint8 {
		return nil // base64, mostly
	}
	return func(p []byte, i int, v reflect.Value, depth int) int {
		if end := null(p, i); end >= 0 {
			v.SetZero()
			return end
		}
		if i >= len(p) || p[i] != '[' || depth > maxDepth || v.Cap() > 0 { // the same member once more
			return -1
		}
		if i = skipSpace(p, i+1); i < len(p) && p[i] == ']' {
			v.Set(reflect.MakeSlice(t, 0, 0))
			return i + 1
		}
		return decodeItems(p, i, v, depth)
	}
}

// decodeItems reads what follows a '[', unless it is a ']'.
func decodeItems(p []byte, i int, v reflect.Value, depth int) int {
	item := partPlan(v.Type().Elem())
	for n := 0; ; n++ {
		if n == v.Cap() {
			v.Grow(1)
		}
		v.SetLen(n + 1)
		if i = item(p, i, v.Index(n), depth+1); i < 0 {
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

type structField struct {
	name  string
	index int
	plan  plan // of a scalar; nil: it is found while decoding
}

// structPlan is for structs without embedded ones, whose rules are long.
func structPlan(t reflect.Type) plan {
	var fields []structField
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case f.Anonymous || strings.Contains(options, "string"):
			return nil
		case !f.IsExported() || tag == "-":
			continue
		case !isPlainName(name):
			return nil
		case name == "":
			name = f.Name
		}
		field := structField{name: name, index: i}
		if scalars[f.Type.Kind()] != nil {
			field.plan = partPlan(f.Type)
		}
		fields = append(fields, field)
	}
	for i, f := range fields {
		for _, other := range fields[:i] {
			if strings.EqualFold(f.name, other.name) {
				return nil
			}
		}
	}
	return func(p []byte, i int, v reflect.Value, depth int) int {
		if end := null(p, i); end >= 0 {
			return end
		}
		if i >= len(p) || p[i] != '{' || depth > maxDepth {
			return -1
		}
		if i = skipSpace(p, i+1); i < len(p) && p[i] == '}' {
			return i + 1
		}
		return decodeMembers(p, i, v, depth, fields)
	}
}

func isPlainName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// decodeMembers reads what follows a '{', unless it is a '}'.
func decodeMembers(p []byte, i int, v reflect.Value, depth int, fields []structField) int {
	for next := 0; ; next++ {
		k := scanString(p, i)
		if k < 0 {
			return -1
		}
		key := unquote(p[i:k])
		if i = skipSpace(p, k); i >= len(p) || p[i] != ':' {
			return -1
		}
		i = skipSpace(p, i+1)
		var known bool
		if next, known = findField(fields, key, next); !known {
			return -1
		}
		if next < 0 {
			i = scanValue(p, i, depth+1)
		} else {
			to, f := v.Field(fields[next].index), fields[next].plan
			if f == nil {
				f = partPlan(to.Type())
			}
			i = f(p, i, to, depth+1)
		}
		if i < 0 {
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

// findField returns which field has a name, most likely the next one; -1: none. ok
// is false for a name that encoding/json might take for one that is spelled
// otherwise.
func findField(fields []structField, key []byte, next int) (i int, ok bool) {
	for n := range fields {
		i := next + n
		if i >= len(fields) {
			i -= len(fields)
		}
		if string(key) == fields[i].name {
			return i, true
		}
	}
	for _, c := range key {
		if c >= utf8.RuneSelf {
			return -1, false
		}
	}
	for _, f := range fields {
		if len(f.name) == len(key) && strings.EqualFold(f.name, string(key)) {
			return -1, false
		}
	}
	return -1, true
}
