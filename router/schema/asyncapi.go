package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// AsyncAPI returns an AsyncAPI 3.0 document, as JSON. Its operations are the
// server's: it receives events and requests, and sends emitted events. The
// members x-kind of operations have the Kind.
func (a *API) AsyncAPI() ([]byte, error) {
	d := &document{
		api: a, definitions: newDefinitions(),
		messages: object{}, channel: object{}, operations: object{},
	}
	for i := range a.Messages {
		d.add(&a.Messages[i])
	}
	schemas := object{"Error": errorSchema}
	for name, n := range d.nodes {
		schemas[name] = n.schema()
	}
	title, version := a.Title, a.Version
	if title == "" {
		title = "API"
	}
	if version == "" {
		version = "0.0.0"
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	err := e.Encode(object{
		"asyncapi":           "3.0.0",
		"info":               describe(object{"title": title, "version": version}, a.Description),
		"defaultContentType": "application/json",
		"channels":           object{"connection": object{"address": nil, "messages": d.channel}},
		"operations":         d.operations,
		"components":         object{"messages": d.messages, "schemas": schemas},
	})
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return b.Bytes(), nil
}

var errorSchema = object{
	"type":        "object",
	"description": "Why a request failed. The code is one of bad_envelope, unknown_type, bad_payload, invalid, unauthorized, forbidden, not_found, conflict, rate_limited, timeout, canceled, unavailable, internal, or one of the server's own.",
	"properties": object{
		"code":     object{"type": "string"},
		"message":  object{"type": "string", "description": "for people"},
		"details":  object{},
		"retry_ms": object{"type": "integer", "minimum": 0, "description": "after how many milliseconds it makes sense to try again"},
	},
	"required": []string{"code"},
}

type document struct {
	api *API
	*definitions
	messages, channel, operations object
}

func (d *document) add(m *Message) {
	name := d.unusedKey(m)
	op := describe(object{
		"action":   "receive",
		"channel":  object{"$ref": "#/channels/connection"},
		"messages": []any{d.message(name, m.Type, d.sent(m))},
		"x-kind":   m.Kind,
	}, m.Doc)
	switch m.Kind {
	case Emitted:
		op["action"] = "send"
	case Request, Stream:
		op["reply"] = object{
			"channel":  object{"$ref": "#/channels/connection"},
			"messages": []any{d.message(name+".reply", m.Type+" reply", d.reply(m)), d.failure()},
		}
	}
	d.operations[name] = op
}

// unusedKey makes a type into what may be a key, in a way that no two have the same.
func (d *document) unusedKey(m *Message) string {
	name := strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
			return c
		}
		return '_'
	}, m.Type)
	if m.Kind == Emitted || m.Kind == Published {
		name += "." + string(m.Kind)
	}
	for unique, i := name, 2; ; unique, i = fmt.Sprint(name, "_", i), i+1 {
		if _, taken := d.operations[unique]; !taken {
			return unique
		}
	}
}

// message makes a message known and returns a reference to it.
func (d *document) message(key, name string, payload object) object {
	d.messages[key] = object{"name": name, "payload": payload}
	d.channel[key] = object{"$ref": "#/components/messages/" + key}
	return object{"$ref": "#/channels/connection/messages/" + key}
}

var idSchema = object{"type": "integer", "minimum": 0, "maximum": 1<<53 - 1}

// sent is the envelope of an event or a request.
func (d *document) sent(m *Message) object {
	t := m.In
	if m.Kind == Emitted {
		t = m.Out
	}
	properties := object{"type": object{"const": m.Type}, "data": d.node(t).schema()}
	required := []string{"type", "data"}
	switch m.Kind {
	case Published:
		properties["room"] = object{"type": "string"}
		properties["id"] = object{"type": "string", "description": "of the client's own: sent again with the same one, a message is published once"}
		required = append(required, "room")
	case Request, Stream:
		properties["id"] = idSchema
		properties["timeout_ms"] = idSchema
		required = append(required, "id")
	}
	return object{"type": "object", "properties": properties, "required": required}
}

// reply is the envelope of a reply, or of an item of a stream; at the stream's
// end it has neither more nor data.
func (d *document) reply(m *Message) object {
	properties := object{"id": idSchema, "data": d.node(m.Out).schema()}
	required := []string{"id", "data"}
	if m.Kind == Stream {
		properties["more"] = object{"const": true}
		required = required[:1]
	}
	return object{"type": "object", "properties": properties, "required": required}
}

func (d *document) failure() object {
	return d.message("error", "error", object{
		"type":       "object",
		"properties": object{"id": idSchema, "error": ref("Error")},
		"required":   []string{"error"},
	})
}
