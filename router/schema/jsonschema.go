package schema

// object is a JSON object; encoding/json sorts its members.
type object = map[string]any

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

// schema returns the JSON Schema (draft 7, as AsyncAPI has it) of a node.
func (n *node) schema() object {
	if n.ref != "" {
		return n.reference()
	}
	s := object{}
	put := func(key string, v any, when bool) {
		if when {
			s[key] = v
		}
	}
	put("type", n.typ, n.typ != "" && !n.nullable)
	put("type", []string{n.typ, "null"}, n.typ != "" && n.nullable)
	put("format", n.format, n.format != "")
	put("description", n.doc, n.doc != "")
	put("contentEncoding", "base64", n.base64)
	put("minimum", 0, n.unsigned)
	put("enum", n.enum, n.enum != nil)
	if n.items != nil {
		s["items"] = n.items.schema()
		put("minItems", n.length, n.length >= 0)
		put("maxItems", n.length, n.length >= 0)
	}
	if n.values != nil {
		s["additionalProperties"] = n.values.schema()
	}
	if n.object {
		n.properties(s)
	}
	return s
}

// reference is a node with a name; what stands beside a $ref would be ignored.
func (n *node) reference() object {
	switch {
	case n.nullable:
		return describe(object{"anyOf": []any{ref(n.ref), object{"type": "null"}}}, n.doc)
	case n.doc != "":
		return describe(object{"allOf": []any{ref(n.ref)}}, n.doc)
	}
	return ref(n.ref)
}

func describe(s object, doc string) object {
	if doc != "" {
		s["description"] = doc
	}
	return s
}

func (n *node) properties(s object) {
	properties, required := object{}, []string{}
	for _, m := range n.members {
		described := *m.node
		if m.doc != "" {
			described.doc = m.doc
		}
		properties[m.name] = described.schema()
		if !m.optional {
			required = append(required, m.name)
		}
	}
	s["properties"] = properties
	if len(required) > 0 {
		s["required"] = required
	}
}
