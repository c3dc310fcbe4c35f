package schema

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

//go:embed client/client.ts
var clientTS string

//go:embed client/client.js
var clientJS []byte

// JavaScript returns the generated client without its types: an ES module, the
// same for every API.
func JavaScript() []byte { return bytes.Clone(clientJS) }

const mark = "// client\n"

// TypeScript returns a client: one file without dependencies, with the types of
// all messages and a class Client.
func (a *API) TypeScript() ([]byte, error) {
	_, runtime, ok := strings.Cut(clientTS, mark)
	if !ok {
		panic("schema: client.ts has no mark")
	}
	d := newDefinitions()
	w := new(typeWriter)
	maps := []struct {
		kind Kind
		name string
	}{{Request, "Requests"}, {Stream, "Streams"}, {Event, "Events"}, {Emitted, "Emitted"}, {Published, "Published"}}
	for _, m := range maps {
		w.messages(m.name, a.Messages, m.kind, d)
	}
	for _, name := range d.sorted() {
		w.definition(name, d.nodes[name])
	}
	title := a.Title
	if title == "" {
		title = "API"
	}
	head := fmt.Sprintf("// Client of %s. Generated; DO NOT EDIT.\n\n", strings.Join(strings.Fields(title+" "+a.Version), " "))
	return []byte(head + w.String() + runtime[1:]), nil
}

// typeWriter writes TypeScript's types.
type typeWriter struct{ strings.Builder }

func (w *typeWriter) printf(format string, args ...any) { fmt.Fprintf(w, format, args...) }

func (w *typeWriter) doc(indent, text string) {
	if text != "" {
		text = strings.ReplaceAll(text, "*/", "* /")
		w.printf("%s/** %s */\n", indent, strings.ReplaceAll(text, "\n", "\n"+indent+" * "))
	}
}

// messages writes the table of one kind of message.
func (w *typeWriter) messages(name string, all []Message, kind Kind, d *definitions) {
	w.printf("export interface %s {\n", name)
	for _, m := range all {
		if m.Kind != kind {
			continue
		}
		w.doc("  ", m.Doc)
		switch kind {
		case Event, Published:
			w.printf("  %s: %s;\n", key(m.Type), d.node(m.In).typescript("  "))
		case Emitted:
			w.printf("  %s: %s;\n", key(m.Type), d.node(m.Out).typescript("  "))
		default:
			w.printf("  %s: [%s, %s];\n", key(m.Type), d.node(m.In).typescript("  "), d.node(m.Out).typescript("  "))
		}
	}
	w.printf("}\n\n")
}

func (w *typeWriter) definition(name string, n *node) {
	w.doc("", n.doc)
	if n.object && len(n.members) > 0 {
		w.printf("export interface %s %s\n\n", name, n.typescript(""))
	} else {
		w.printf("export type %s = %s;\n\n", name, n.typescript(""))
	}
}

var plainKey = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

// key is a member's name, quoted if it has to be.
func key(name string) string {
	if plainKey.MatchString(name) {
		return name
	}
	b, _ := json.Marshal(name) // never fails for a string
	return string(b)
}

// typescript returns the type of a node.
func (n *node) typescript(indent string) string {
	t := n.bare(indent)
	if n.nullable && t != "unknown" {
		t += " | null"
	}
	return t
}

func (n *node) bare(indent string) string {
	switch {
	case n.ref != "":
		return n.ref
	case n.enum != nil:
		return union(n.enum)
	case n.object:
		return n.literal(indent)
	case n.values != nil:
		return "{ [key: string]: " + n.values.typescript(indent) + " }"
	case n.items != nil:
		return n.array(indent)
	}
	switch n.typ {
	case "":
		return "unknown"
	case "integer":
		return "number"
	}
	return n.typ
}

func union(values []any) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v.(json.RawMessage))
	}
	if len(all) == 0 {
		return "never"
	}
	return strings.Join(all, " | ")
}

// maxTuple is up to which length an array is written as a tuple.
const maxTuple = 16

func (n *node) array(indent string) string {
	item := n.items.typescript(indent)
	if n.length >= 0 && n.length <= maxTuple {
		return "[" + strings.Join(repeat(item, n.length), ", ") + "]"
	}
	if strings.ContainsAny(item, " {") {
		item = "(" + item + ")"
	}
	return item + "[]"
}

func repeat(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

func (n *node) literal(indent string) string {
	if len(n.members) == 0 {
		return "Record<string, never>"
	}
	w := new(typeWriter)
	w.printf("{\n")
	for _, m := range n.members {
		doc := m.doc
		if doc == "" {
			doc = m.node.doc
		}
		w.doc(indent+"  ", doc)
		mark := ""
		if m.optional {
			mark = "?"
		}
		w.printf("%s  %s%s: %s;\n", indent, key(m.name), mark, m.node.typescript(indent+"  "))
	}
	w.printf("%s}", indent)
	return w.String()
}
