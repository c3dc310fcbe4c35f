package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Breaking compares two documents that AsyncAPI has made, and says what in the
// newer one breaks clients of the older one, naming the message and the field. What the
// server takes may become wider and what it sends narrower, not the other way
// round; nothing may go away. New optional members and new messages break nothing.
func Breaking(older, newer []byte) ([]string, error) {
	was, err := parseDocument(older)
	if err != nil {
		return nil, fmt.Errorf("schema: the older document: %w", err)
	}
	is, err := parseDocument(newer)
	if err != nil {
		return nil, fmt.Errorf("schema: the newer document: %w", err)
	}
	c := &comparison{was: was, is: is, seen: make(map[[2]string]bool)}
	for _, key := range slices.Sorted(maps.Keys(was.messages())) {
		c.message(was.messages()[key], is.messages()[key])
	}
	return c.found, nil
}

// parsedDocument is as much of a document as the comparison needs.
type parsedDocument struct {
	Operations map[string]struct {
		Kind     Kind `json:"x-kind"`
		Messages []struct {
			Ref string `json:"$ref"`
		}
		Reply struct {
			Messages []struct {
				Ref string `json:"$ref"`
			}
		}
	}
	Components struct {
		Messages map[string]struct {
			Payload struct{ Properties map[string]object }
		}
		Schemas map[string]object
	}
}

func parseDocument(b []byte) (*parsedDocument, error) {
	d := new(parsedDocument)
	if err := json.Unmarshal(b, d); err != nil {
		return nil, err
	}
	for name, op := range d.Operations {
		if len(op.Messages) != 1 {
			return nil, fmt.Errorf("operation %s has not one message", name)
		}
	}
	return d, nil
}

// parsedMessage is one type of message; in is what the server takes, out what it sends.
type parsedMessage struct {
	name    string
	kind    Kind
	in, out object
}

func (d *parsedDocument) messages() map[string]*parsedMessage {
	all := make(map[string]*parsedMessage)
	for _, op := range d.Operations {
		sent := d.payload(op.Messages[0].Ref)
		m := &parsedMessage{kind: op.Kind}
		m.name, _ = sent["type"]["const"].(string)
		if m.kind == Emitted {
			m.out = sent["data"]
			all["< "+m.name] = m
			continue
		}
		m.in = sent["data"]
		if m.kind == Published {
			all["^ "+m.name] = m
			continue
		}
		if len(op.Reply.Messages) > 0 {
			m.out = d.payload(op.Reply.Messages[0].Ref)["data"]
		}
		all["> "+m.name] = m
	}
	return all
}

func (d *parsedDocument) payload(ref string) map[string]object {
	return d.Components.Messages[ref[strings.LastIndex(ref, "/")+1:]].Payload.Properties
}

// resolve follows a reference, also one that is wrapped for the sake of a description.
func (d *parsedDocument) resolve(s object) (resolved object, name string) {
	if all, ok := s["allOf"].([]any); ok && len(all) == 1 {
		s, _ = all[0].(object)
	}
	if ref, ok := s["$ref"].(string); ok {
		name = ref[strings.LastIndex(ref, "/")+1:]
		return d.Components.Schemas[name], name
	}
	return s, ""
}

// comparison collects what breaks.
type comparison struct {
	was, is *parsedDocument
	seen    map[[2]string]bool // pairs of definitions, with the direction, that are being compared or have been
	found   []string
}

func (c *comparison) report(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

func (c *comparison) message(was, is *parsedMessage) {
	switch {
	case is == nil:
		c.report("%s: %s removed", was.name, was.kind)
	case was.kind != is.kind:
		c.report("%s: was %s, is %s", was.name, was.kind, is.kind)
	default:
		if was.in != nil {
			c.compare(was.name+" data", was.in, is.in, true)
		}
		if was.out != nil {
			c.compare(was.name+" "+outName[was.kind], was.out, is.out, false)
		}
	}
}

var outName = map[Kind]string{Request: "reply", Stream: "item", Emitted: "data"}

// compare compares two schemas. taken says that the server takes such values;
// else it sends them.
func (c *comparison) compare(path string, was, is object, taken bool) {
	was, wasNull := c.was.nullable(was)
	is, isNull := c.is.nullable(is)
	was, a := c.was.resolve(was)
	is, b := c.is.resolve(is)
	if a != "" && b != "" {
		pair := [2]string{a, b + fmt.Sprint(taken)}
		if c.seen[pair] {
			return
		}
		c.seen[pair] = true
	}
	narrow, wide := is, was // what may not be wider than the other
	if taken {
		narrow, wide = was, is
	}
	switch {
	case taken && wasNull && !isNull:
		c.report("%s: may no longer be null", path)
	case !taken && isNull && !wasNull:
		c.report("%s: may now be null", path)
	}
	if !fits(narrow, wide) {
		c.report("%s: was %s, is %s", path, typeName(was), typeName(is))
		return
	}
	c.properties(path, was, is, taken)
	for _, key := range []string{"items", "additionalProperties"} {
		x, xOK := was[key].(object)
		y, yOK := is[key].(object)
		if xOK && yOK {
			c.compare(path+"[]", x, y, taken)
		}
	}
}

// nullable takes null out of a schema.
func (d *parsedDocument) nullable(s object) (object, bool) {
	if any, ok := s["anyOf"].([]any); ok && len(any) == 2 {
		inner, _ := any[0].(object)
		return inner, true
	}
	if types, ok := s["type"].([]any); ok && len(types) == 2 {
		inner := maps.Clone(s)
		inner["type"] = types[0]
		return inner, true
	}
	return s, false
}

// fits reports whether all values of narrow, taken by themselves, are values of wide.
func fits(narrow, wide object) bool {
	if wide["type"] == nil {
		return true
	}
	if narrow["type"] != wide["type"] && !(narrow["type"] == "integer" && wide["type"] == "number") {
		return false
	}
	if narrow["contentEncoding"] != wide["contentEncoding"] { // the same text means something else
		return false
	}
	for _, key := range []string{"format", "minItems", "maxItems", "minimum"} {
		if wide[key] != nil && narrow[key] != wide[key] {
			return false
		}
	}
	values, ok := wide["enum"].([]any)
	if !ok {
		return (narrow["properties"] == nil) == (wide["properties"] == nil)
	}
	some, ok := narrow["enum"].([]any)
	for _, v := range some {
		ok = ok && slices.ContainsFunc(values, func(w any) bool { return reflect.DeepEqual(v, w) })
	}
	return ok
}

// typeName says what a schema is, for people.
func typeName(s object) string {
	if values, ok := s["enum"].([]any); ok {
		return "one of " + strings.Trim(fmt.Sprint(values), "[]")
	}
	name, ok := s["type"].(string)
	if !ok {
		return "anything"
	}
	for _, key := range []string{"format", "contentEncoding"} {
		if v, ok := s[key].(string); ok {
			name += " (" + v + ")"
		}
	}
	if s["minimum"] != nil {
		name = "unsigned " + name
	}
	if n := s["minItems"]; n != nil {
		name += fmt.Sprintf(" of %v", n)
	}
	if s["additionalProperties"] != nil {
		name = "map"
	}
	return name
}

func (c *comparison) properties(path string, was, is object, taken bool) {
	before, _ := was["properties"].(object)
	after, _ := is["properties"].(object)
	for _, name := range slices.Sorted(maps.Keys(before)) {
		x, _ := before[name].(object)
		y, ok := after[name].(object)
		switch at := path + "." + name; {
		case !ok:
			c.report("%s: removed", at)
		default:
			if !taken && requires(was, name) && !requires(is, name) {
				c.report("%s: may now be absent", at)
			}
			c.compare(at, x, y, taken)
		}
	}
	if !taken {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if requires(is, name) && !requires(was, name) {
			c.report("%s.%s: now required", path, name)
		}
	}
}

func requires(s object, name string) bool {
	required, _ := s["required"].([]any)
	return slices.Contains(required, any(name))
}
