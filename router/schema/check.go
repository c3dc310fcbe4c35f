package schema

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
)

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// Check reports what in a type, if anything, can't be encoded.
func Check(t reflect.Type) error {
	return check(t, t.String(), make(map[reflect.Type]bool))
}

func check(t reflect.Type, path string, seen map[reflect.Type]bool) error {
	if seen[t] || implements(t, jsonMarshaler) || implements(t, textMarshaler) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Errorf("%s is a %s", path, t.Kind())
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return check(t.Elem(), path, seen)
	case reflect.Map:
		if !isKey(t.Key()) {
			return fmt.Errorf("%s is a map with keys of type %s", path, t.Key())
		}
		return check(t.Elem(), path, seen)
	case reflect.Struct:
		for _, f := range fieldsOf(t) {
			if err := check(f.Type, path+"."+f.GoName, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

// implements reports whether encoding/json finds t's own method, which may be a pointer's.
func implements(t, iface reflect.Type) bool {
	return t.Implements(iface) || t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(iface)
}

// isKey reports whether a map with such keys can be encoded.
func isKey(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return true
	}
	return implements(t, textMarshaler)
}
