// Package codec turns values into messages and back.
package codec

import (
	"encoding/json"
	"errors"
)

// Codec encodes values into message payloads and decodes them. Implementations
// are safe for concurrent use.
type Codec interface {
	// Name is a short name for logs and documents, such as "json".
	Name() string
	// Binary reports whether payloads go out as binary messages; text otherwise.
	Binary() bool
	// Append appends v's encoding to b. On an error b comes back as it was.
	Append(b []byte, v any) ([]byte, error)
	// Decode decodes the whole of p into the value that v points to. It keeps
	// no reference to p.
	Decode(p []byte, v any) error
}

// JSON is encoding/json as a Codec, without HTML escaping.
var JSON Codec = jsonCodec{}

type jsonCodec struct{}

func (jsonCodec) Name() string { return "json" }

func (jsonCodec) Binary() bool { return false }

func (jsonCodec) Append(b []byte, v any) ([]byte, error) {
	w := appender{b}
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return b, err
	}
	return w.b[:len(w.b)-1], nil // without Encode's newline
}

func (jsonCodec) Decode(p []byte, v any) error {
	if len(p) == 0 {
		return errors.New("empty message")
	}
	return json.Unmarshal(p, v)
}

type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}
