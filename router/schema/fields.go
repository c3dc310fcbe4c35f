package schema

import (
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// field is a member of the object that encoding/json makes of a struct.
type field struct {
	Name      string // of the member
	GoName    string
	Type      reflect.Type
	Doc       string // the tag doc:"..."
	OmitEmpty bool
	OmitZero  bool
	Quoted    bool // the option ,string, where it has an effect
	Optional  bool // of an embedded pointer, which may be nil

	index  []int
	tagged bool
}

// fieldsOf returns the members of a struct in their order, with those of embedded
// structs, as encoding/json finds them: of several with one name that of the least
// depth wins, then the only one that has its name from a tag, then none.
func fieldsOf(t reflect.Type) []field {
	byName := make(map[string][]field)
	collect(t, field{}, nil, byName)
	var all []field
	for _, same := range byName {
		if f, ok := dominant(same); ok {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b field) int { return slices.Compare(a.index, b.index) })
	return all
}

// collect adds the fields of t, which is the type of the field at, to byName.
func collect(t reflect.Type, at field, outer []reflect.Type, byName map[string][]field) {
	if slices.Contains(outer, t) {
		return
	}
	outer = append(outer[:len(outer):len(outer)], t)
	for i := range t.NumField() {
		sf := t.Field(i)
		f, embedded, ok := parseField(sf)
		f.index = append(at.index[:len(at.index):len(at.index)], i)
		f.Optional = at.Optional || embedded && sf.Type.Kind() == reflect.Pointer
		switch {
		case !ok:
		case embedded:
			collect(deref(sf.Type), f, outer, byName)
		default:
			byName[f.Name] = append(byName[f.Name], f)
		}
	}
}

func deref(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// parseField reads a field's tag. ok is false if encoding/json ignores the field;
// embedded says that its own fields stand in its place.
func parseField(sf reflect.StructField) (f field, embedded, ok bool) {
	isStruct := deref(sf.Type).Kind() == reflect.Struct
	if !sf.IsExported() && !(sf.Anonymous && isStruct) {
		return f, false, false
	}
	tag := sf.Tag.Get("json")
	if tag == "-" {
		return f, false, false
	}
	name, options, _ := strings.Cut(tag, ",")
	if !validName(name) {
		name = ""
	}
	if sf.Anonymous && name == "" && isStruct {
		return f, true, true
	}
	f = field{Name: name, GoName: sf.Name, Type: sf.Type, Doc: sf.Tag.Get("doc"), tagged: name != ""}
	if name == "" {
		f.Name = sf.Name
	}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "omitempty":
			f.OmitEmpty = true
		case "omitzero":
			f.OmitZero = true
		case "string":
			f.Quoted = quotable(deref(sf.Type).Kind())
		}
	}
	return f, false, true
}

func quotable(k reflect.Kind) bool {
	return k == reflect.Bool || k == reflect.String || isNumber(k)
}

func isNumber(k reflect.Kind) bool {
	return reflect.Int <= k && k <= reflect.Uintptr || k == reflect.Float32 || k == reflect.Float64
}

// validName is encoding/json's rule for names in tags.
func validName(s string) bool {
	for _, c := range s {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return s != ""
}

func dominant(same []field) (field, bool) {
	slices.SortStableFunc(same, func(a, b field) int {
		if d := len(a.index) - len(b.index); d != 0 {
			return d
		}
		switch {
		case a.tagged == b.tagged:
			return 0
		case a.tagged:
			return -1
		}
		return 1
	})
	if len(same) > 1 && len(same[0].index) == len(same[1].index) && same[0].tagged == same[1].tagged {
		return field{}, false
	}
	return same[0], true
}
