package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// node is a type, on its way to JSON Schema and TypeScript. Without anything set
// it is any value at all.
type node struct {
	ref      string // the name of a definition; all below but nullable and doc is empty then
	typ      string // of JSON, or "integer"
	format   string
	doc      string
	base64   bool
	unsigned bool
	nullable bool
	enum     []any
	items    *node // of an array
	length   int   // of an array of fixed length; -1: any
	values   *node // of a map
	members  []member
	object   bool // members counts, even if there are none
}

type member struct {
	name     string
	doc      string
	optional bool
	node     *node
}

// definitions are the types that have names.
type definitions struct {
	names map[reflect.Type]string
	nodes map[string]*node
}

func newDefinitions() *definitions {
	return &definitions{names: make(map[reflect.Type]string), nodes: make(map[string]*node)}
}

// sorted returns the names of all definitions.
func (d *definitions) sorted() []string { return slices.Sorted(maps.Keys(d.nodes)) }

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	numberType   = reflect.TypeFor[json.Number]()
	rawType      = reflect.TypeFor[json.RawMessage]()
	bigIntType   = reflect.TypeFor[big.Int]()
)

// node returns what t is, and defines what it needs.
func (d *definitions) node(t reflect.Type) *node {
	if t.Kind() == reflect.Pointer {
		n := *d.node(t.Elem())
		n.nullable = true
		return &n
	}
	if n := known(t); n != nil {
		return n
	}
	if values := enumOf(t); values != nil {
		return d.define(t, func() *node {
			n := d.kind(t)
			if implements(t, jsonMarshaler) || implements(t, textMarshaler) {
				n = &node{typ: typeOf(values)} // whatever t's kind is
			}
			n.enum = values
			return n
		})
	}
	if implements(t, textMarshaler) {
		return &node{typ: "string"}
	}
	if composite(t) && t.Name() != "" {
		return d.define(t, func() *node { return d.kind(t) })
	}
	return d.kind(t)
}

// known are the standard library's types that do not look like what they are sent as.
func known(t reflect.Type) *node {
	switch t {
	case timeType:
		return &node{typ: "string", format: "date-time"}
	case durationType:
		return &node{typ: "integer", doc: "nanoseconds"}
	case numberType:
		return &node{typ: "number"}
	case bigIntType:
		return &node{typ: "integer"}
	case rawType:
		return new(node)
	}
	if implements(t, jsonMarshaler) && enumOf(t) == nil {
		return new(node)
	}
	return nil
}

func composite(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct, reflect.Map, reflect.Array:
		return true
	case reflect.Slice:
		return !isBytes(t)
	}
	return false
}

// define gives t a name, if it has none yet, and returns a reference to it.
func (d *definitions) define(t reflect.Type, describe func() *node) *node {
	name, ok := d.names[t]
	if !ok {
		name = d.newName(t)
		d.names[t] = name
		d.nodes[name] = nil // it is taken; and t may be recursive
		d.nodes[name] = describe()
	}
	return &node{ref: name, nullable: t.Kind() == reflect.Slice || t.Kind() == reflect.Map}
}

// newName returns a name for t: its own, if that is free.
func (d *definitions) newName(t reflect.Type) string {
	name := identifier(t.Name())
	if reserved[name] {
		name += "Data"
	}
	if _, taken := d.nodes[name]; taken {
		name = upperFirst(identifier(path.Base(t.PkgPath()))) + name
	}
	unique := name
	for i := 2; ; i++ {
		if _, taken := d.nodes[unique]; !taken {
			return unique
		}
		unique = fmt.Sprint(name, i)
	}
}

// reserved are the names that generated clients and documents have themselves,
// and those of TypeScript that would be hidden.
var reserved = map[string]bool{
	"Requests": true, "Streams": true, "Events": true, "Emitted": true, "Published": true, "Client": true, "RequestError": true,
	"CallOptions": true, "Options": true, "State": true, "Envelope": true, "Pending": true, "Error": true,
	"Room": true, "JoinOptions": true, "PublishOptions": true, "Position": true, "Member": true, "Change": true, "Place": true,
	"Publication": true, "Joined": true, "Presence": true, "Link": true, "Seat": true, "Listeners": true, "Uint8Array": true,
	"Map": true, "Set": true, "Promise": true, "Date": true, "Math": true, "JSON": true, "URL": true, "Array": true,
	"Record": true, "String": true, "Number": true, "Boolean": true, "Object": true, "Symbol": true, "Function": true,
	"WebSocket": true, "AbortSignal": true, "AbortController": true, "AsyncGenerator": true, "MessageEvent": true,
	"CloseEvent": true, "ReturnType": true, "RegExp": true,
}

// identifier makes Page[example.com/shop.Item] into PageItem.
func identifier(name string) string {
	var b strings.Builder
	for part := range strings.FieldsFuncSeq(name, func(c rune) bool { return strings.ContainsRune("[],*{} ;·\"", c) }) {
		part = part[strings.LastIndexAny(part, "/.")+1:]
		part = strings.Map(func(c rune) rune {
			if c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c) {
				return c
			}
			return -1
		}, part)
		b.WriteString(upperFirst(part))
	}
	return b.String()
}

func upperFirst(s string) string {
	c, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(c)) + s[n:]
}

// kind describes t by its kind.
func (d *definitions) kind(t reflect.Type) *node {
	switch k := t.Kind(); {
	case k == reflect.Bool:
		return &node{typ: "boolean"}
	case k == reflect.String:
		return &node{typ: "string"}
	case k == reflect.Float32 || k == reflect.Float64:
		return &node{typ: "number"}
	case isNumber(k):
		return &node{typ: "integer", unsigned: k >= reflect.Uint}
	case k == reflect.Slice && isBytes(t):
		return &node{typ: "string", base64: true, nullable: true}
	case k == reflect.Slice:
		return &node{typ: "array", items: d.node(t.Elem()), length: -1, nullable: t.Name() == ""}
	case k == reflect.Array:
		return &node{typ: "array", items: d.node(t.Elem()), length: t.Len()}
	case k == reflect.Map:
		return &node{typ: "object", values: d.node(t.Elem()), nullable: t.Name() == ""}
	case k == reflect.Struct:
		return d.structure(t)
	}
	return new(node) // an interface
}

// isBytes reports whether a slice is sent as base64.
func isBytes(t reflect.Type) bool {
	e := t.Elem()
	return e.Kind() == reflect.Uint8 && !implements(e, jsonMarshaler) && !implements(e, textMarshaler)
}

func (d *definitions) structure(t reflect.Type) *node {
	n := &node{typ: "object", object: true}
	for _, f := range fieldsOf(t) {
		m := member{name: f.Name, doc: f.Doc, optional: f.OmitEmpty || f.OmitZero || f.Optional, node: d.node(f.Type)}
		if f.Quoted {
			m.node = &node{typ: "string", nullable: m.node.nullable}
		}
		if f.OmitEmpty && f.Type.Kind() != reflect.Interface || f.OmitZero {
			bare := *m.node // null would have been omitted
			bare.nullable = false
			m.node = &bare
		}
		n.members = append(n.members, m)
	}
	return n
}

// typeOf returns the JSON type that all values have; "" if there is no such type.
func typeOf(values []any) (typ string) {
	for i, v := range values {
		t := "number"
		switch v.(json.RawMessage)[0] {
		case '"':
			t = "string"
		case 't', 'f':
			t = "boolean"
		case '{', '[', 'n':
			return ""
		}
		if i > 0 && t != typ {
			return ""
		}
		typ = t
	}
	return typ
}

// enumOf returns the values of a type that has a method Enum; nil if it hasn't.
func enumOf(t reflect.Type) []any {
	m, ok := t.MethodByName("Enum")
	if !ok || m.Type.NumIn() != 1 || m.Type.NumOut() != 1 || m.Type.Out(0) != reflect.SliceOf(t) {
		return nil
	}
	all := m.Func.Call([]reflect.Value{reflect.Zero(t)})[0]
	values := make([]any, 0, all.Len())
	for i := range all.Len() {
		b, err := json.Marshal(all.Index(i).Interface())
		if err != nil {
			panic(fmt.Sprintf("schema: %s's Enum: %v", t, err))
		}
		values = append(values, json.RawMessage(b))
	}
	return values
}
