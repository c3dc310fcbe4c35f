package codec

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
)

// InJSON puts another codec's payloads, which have to be JSON, into JSON
// envelopes: for codecs that encode JSON faster, or otherwise.
func InJSON(c Codec) interface {
	Codec
	Enveloper
	Placer
} {
	return inJSON{c}
}

type inJSON struct{ Codec }

func (c inJSON) ScanEnvelope(p []byte, e *Envelope) error { return scanEnvelope(p, e) }

func (c inJSON) AppendEnvelope(b []byte, e *Envelope, v any) ([]byte, error) {
	return appendEnvelope(c.Codec, b, e, v)
}

func (c inJSON) AppendPlaced(b, envelope []byte, room string, pos Position) []byte {
	return appendPlaced(b, envelope, room, pos)
}

var (
	errNoObject = errors.New("message is not a JSON object")
	errID       = errors.New("id is not an integer from 0 to 2^53-1")
	errType     = errors.New("type is not a string, or empty")
	errMore     = errors.New("more is neither true nor false")
	errTimeout  = errors.New("timeout_ms is not an integer from 0 to 2^53-1")
	errRoom     = errors.New("room is not a string, or empty")
	errPos      = errors.New(`pos is not [offset,"epoch"]`)
	errError    = errors.New("error is not an object with a code")
)

// scanEnvelope does what json.Unmarshal into a struct would, except that names
// of members are matched exactly. Of members that occur twice the last counts,
// and null is as good as absent, except for data.
func scanEnvelope(p []byte, e *Envelope) error {
	var id, typ, more, timeout, failure, room, pos []byte
	o := openObject(p)
	for o.next() {
		switch string(o.key) {
		case "id":
			id = o.value
		case "type":
			typ = o.value
		case "data":
			e.Data = o.value
		case "more":
			more = o.value
		case "timeout_ms":
			timeout = o.value
		case "error":
			failure = o.value
		case "room":
			room = o.value
		case "pos":
			pos = o.value
		}
	}
	if !o.whole() {
		*e = Envelope{}
		return errNoObject
	}
	var ok bool
	if e.ID, e.HasID, ok = parseUint(id); !ok {
		return errID
	}
	if e.Type, ok = parseType(typ); !ok {
		return errType
	}
	if e.TimeoutMS, _, ok = parseUint(timeout); !ok {
		return errTimeout
	}
	if e.More, ok = parseBool(more); !ok {
		return errMore
	}
	if e.Error, ok = parseError(failure); !ok {
		return errError
	}
	return e.scanPlace(room, pos)
}

// scanPlace parses the members room and pos.
func (e *Envelope) scanPlace(room, pos []byte) error {
	var ok bool
	if e.Room, ok = parseType(room); !ok {
		return errRoom
	}
	if !absent(pos) && e.Pos.UnmarshalJSON(pos) != nil {
		return errPos
	}
	return nil
}

// absent reports whether a member's value says nothing.
func absent(p []byte) bool { return p == nil || string(p) == "null" }

// parseUint parses an integer without sign, fraction or exponent.
func parseUint(p []byte) (n uint64, present, ok bool) {
	if absent(p) {
		return 0, false, true
	}
	if len(p) > 16 {
		return 0, false, false
	}
	for _, c := range p {
		if c < '0' || c > '9' {
			return 0, false, false
		}
		n = 10*n + uint64(c-'0')
	}
	if n > MaxID {
		return 0, false, false
	}
	return n, true, true
}

func parseType(p []byte) (typ []byte, ok bool) {
	if absent(p) {
		return nil, true
	}
	if p[0] != '"' {
		return nil, false
	}
	typ = unquote(p)
	return typ, len(typ) > 0
}

func parseBool(p []byte) (v, ok bool) {
	if absent(p) || string(p) == "false" {
		return false, true
	}
	return true, string(p) == "true"
}

func parseError(p []byte) (e *Error, ok bool) {
	if absent(p) {
		return nil, true
	}
	e = new(Error)
	if err := json.Unmarshal(p, e); err != nil || e.Code == "" {
		return nil, false
	}
	return e, true
}

// appendEnvelope writes v with c, which encodes JSON.
func appendEnvelope(c Codec, b []byte, e *Envelope, v any) ([]byte, error) {
	start := len(b)
	b = append(b, '{')
	if e.Room != nil {
		b = appendPlace(b, e.Room, e.Pos)
	}
	if e.HasID {
		b = append(b, `"id":`...)
		b = append(strconv.AppendUint(b, e.ID, 10), ',')
	}
	if e.Type != nil {
		b = append(b, `"type":`...)
		b = append(appendString(b, e.Type), ',')
	}
	if e.TimeoutMS > 0 {
		b = append(b, `"timeout_ms":`...)
		b = append(strconv.AppendUint(b, e.TimeoutMS, 10), ',')
	}
	if e.More {
		b = append(b, `"more":true,`...)
	}
	var err error
	switch {
	case e.Error != nil:
		b, err = JSON.Append(append(b, `"error":`...), e.Error)
	case v != nil:
		b, err = c.Append(append(b, `"data":`...), v)
	case len(b) > start+1:
		b = b[:len(b)-1] // the comma
	}
	if err != nil {
		return b[:start], err
	}
	return append(b, '}'), nil
}

// appendPlaced puts the members in front: an envelope is never empty.
func appendPlaced(b, envelope []byte, room string, pos Position) []byte {
	if room == "" {
		return append(b, envelope...)
	}
	b = slices.Grow(b, len(envelope)+len(room)+len(pos.Epoch)+48)
	return append(appendPlace(append(b, '{'), room, pos), envelope[1:]...)
}

// appendPlace appends the members room and pos, each with a comma behind it.
func appendPlace[T string | []byte](b []byte, room T, pos Position) []byte {
	b = append(appendString(append(b, `"room":`...), room), ',')
	if pos == (Position{}) {
		return b
	}
	b = strconv.AppendUint(append(b, `"pos":[`...), pos.Offset, 10)
	return append(appendString(append(b, ','), pos.Epoch), `],`...)
}

// appendString appends s as a JSON string.
func appendString[T string | []byte](b []byte, s T) []byte {
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c >= 0x80 || c == '"' || c == '\\' {
			q, _ := json.Marshal(string(s)) // never fails for a string
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
