package codec

import (
	"encoding/json"
	"errors"
	"sync"
)

// JSON is encoding/json as a Codec, without HTML escaping. What is ordinary is
// decoded with less effort than encoding/json takes, to the same result.
var JSON Codec = jsonCodec{}

var (
	_ Enveloper = jsonCodec{}
	_ Placer    = jsonCodec{}
)

type jsonCodec struct{}

func (jsonCodec) Name() string { return "json" }

func (jsonCodec) Binary() bool { return false }

func (jsonCodec) Append(b []byte, v any) ([]byte, error) {
	e := encoders.Get().(*encoder)
	n := len(b)
	e.out.b = b
	err := e.enc.Encode(v)
	b, e.out.b = e.out.b, nil
	encoders.Put(e) // not if Encode panics: its state is anyone's guess then
	if err != nil {
		return b[:n], err
	}
	return b[:len(b)-1], nil // without Encode's newline
}

func (jsonCodec) Decode(p []byte, v any) error {
	if len(p) == 0 {
		return errors.New("empty message")
	}
	return decodeJSON(p, v)
}

func (j jsonCodec) ScanEnvelope(p []byte, e *Envelope) error { return scanEnvelope(p, e) }

func (j jsonCodec) AppendEnvelope(b []byte, e *Envelope, v any) ([]byte, error) {
	return appendEnvelope(j, b, e, v)
}

func (j jsonCodec) AppendPlaced(b, envelope []byte, room string, pos Position) []byte {
	return appendPlaced(b, envelope, room, pos)
}

// encoder is a json.Encoder with what it writes to: making one for each value
// would be two allocations.
type encoder struct {
	out appender
	enc *json.Encoder
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.enc = json.NewEncoder(&e.out)
	e.enc.SetEscapeHTML(false)
	return e
}}

type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}
