// Package msgpack is MessagePack as a codec.Codec. Structs are encoded as maps,
// with the names that their json tags give, and envelopes as maps with the
// members that they have in JSON.
package msgpack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"

	"github.com/tidewire/ws/codec"
	"github.com/vmihailenco/msgpack/v5"
)

// Codec is MessagePack by github.com/vmihailenco/msgpack.
var Codec codec.Codec = msgpackCodec{}

var (
	_ codec.Enveloper = msgpackCodec{}
	_ codec.Placer    = msgpackCodec{}
)

type msgpackCodec struct{}

func (msgpackCodec) Name() string { return "msgpack" }

func (msgpackCodec) Binary() bool { return true }

func (msgpackCodec) Append(b []byte, v any) ([]byte, error) {
	e := msgpack.GetEncoder()
	defer msgpack.PutEncoder(e)
	w := bytes.NewBuffer(b)
	e.ResetWriter(w)
	e.SetCustomStructTag("json")
	e.UseCompactInts(true)
	if err := e.Encode(v); err != nil {
		return b, err
	}
	return w.Bytes(), nil
}

var errNoValue = errors.New("msgpack: not one whole value, or nested too deep")

func (msgpackCodec) Decode(p []byte, v any) error {
	if !whole(p) {
		return errNoValue
	}
	d := msgpack.GetDecoder()
	defer msgpack.PutDecoder(d)
	d.Reset(bytes.NewReader(p))
	d.SetCustomStructTag("json")
	return d.Decode(v)
}

var (
	errNoMap    = errors.New("message is not a map")
	errEnvelope = errors.New("id, type, timeout_ms, more, error, room or pos is not what it should be")
)

// ScanEnvelope takes members by their exact names, as in JSON: of those that
// occur twice the last counts, and nil is as good as absent, except for data.
func (c msgpackCodec) ScanEnvelope(p []byte, e *codec.Envelope) error {
	n, i, ok := mapHead(p)
	if !ok || !whole(p) {
		return errNoMap
	}
	var m members
	for ; n > 0; n-- {
		k := skip(p, i, 1)
		v := skip(p, k, 1)
		m.set(p[i:k], p[k:v:v])
		i = v
	}
	return m.fill(e)
}

// members are what an envelope has, as it stands there; nil: it hasn't.
type members struct{ id, typ, data, more, timeout, failure, room, pos []byte }

func (m *members) set(key, value []byte) {
	name, _ := text(key)
	switch string(name) {
	case "id":
		m.id = value
	case "type":
		m.typ = value
	case "data":
		m.data = value
	case "more":
		m.more = value
	case "timeout_ms":
		m.timeout = value
	case "error":
		m.failure = value
	case "room":
		m.room = value
	case "pos":
		m.pos = value
	}
}

// fill takes the id first: an error about the rest needs it.
func (m *members) fill(e *codec.Envelope) error {
	e.Data = m.data
	id, ok := optionalInteger(m.id)
	if !ok {
		return errEnvelope
	}
	e.ID, e.HasID = id, !absent(m.id)
	var okType, okTimeout, okRoom bool
	e.Type, okType = optionalText(m.typ)
	e.TimeoutMS, okTimeout = optionalInteger(m.timeout)
	e.Room, okRoom = optionalText(m.room)
	if !okType || !okTimeout || !okRoom || !m.fillMore(e) || !m.fillError(e) || !m.fillPos(e) {
		return errEnvelope
	}
	return nil
}

func (m *members) fillMore(e *codec.Envelope) bool {
	if absent(m.more) {
		return true
	}
	e.More = m.more[0] == isTrue
	return e.More || m.more[0] == isFalse
}

func (m *members) fillError(e *codec.Envelope) bool {
	if absent(m.failure) {
		return true
	}
	e.Error = new(codec.Error)
	return msgpackCodec{}.Decode(m.failure, e.Error) == nil && e.Error.Code != ""
}

// position is codec.Position as it is received.
type position struct {
	_msgpack struct{} `msgpack:",as_array"` //nolint:unused // it is how the package wants to be told
	Offset   uint64
	Epoch    string
}

func (m *members) fillPos(e *codec.Envelope) bool {
	if absent(m.pos) {
		return true
	}
	var pos position
	err := msgpackCodec{}.Decode(m.pos, &pos)
	e.Pos = codec.Position{Offset: pos.Offset, Epoch: pos.Epoch}
	return err == nil
}

// absent reports whether a member's value says nothing.
func absent(p []byte) bool { return p == nil || p[0] == isNil }

func optionalInteger(p []byte) (n uint64, ok bool) {
	if absent(p) {
		return 0, true
	}
	if n, ok = integer(p); !ok || n > codec.MaxID {
		return 0, false
	}
	return n, true
}

// optionalText returns a string that is not empty.
func optionalText(p []byte) (s []byte, ok bool) {
	if absent(p) {
		return nil, true
	}
	s, ok = text(p)
	return s, ok && len(s) > 0 && utf8.Valid(s)
}

func (c msgpackCodec) AppendEnvelope(b []byte, e *codec.Envelope, v any) ([]byte, error) {
	start, members := len(b), byte(0)
	b = append(b, 0x80) // a map of up to 15 members
	member := func(key string) {
		members++
		b = append(append(b, 0xa0|byte(len(key))), key...)
	}
	if e.HasID {
		member("id")
		b = appendUint(b, e.ID)
	}
	if e.Type != nil {
		member("type")
		b = appendString(b, e.Type)
	}
	if e.TimeoutMS > 0 {
		member("timeout_ms")
		b = appendUint(b, e.TimeoutMS)
	}
	if e.More {
		member("more")
		b = append(b, isTrue)
	}
	if e.Room != nil {
		var n byte
		b, n = appendPlace(b, string(e.Room), e.Pos)
		members += n
	}
	var err error
	if e.Error != nil {
		member("error")
		b, err = c.Append(b, e.Error)
	} else if v != nil {
		member("data")
		b, err = c.Append(b, v)
	}
	if err != nil {
		return b[:start], err
	}
	b[start] |= members
	return b, nil
}

// AppendPlaced makes room in the map's head, which has at most 15 members.
func (msgpackCodec) AppendPlaced(b, envelope []byte, room string, pos codec.Position) []byte {
	start := len(b)
	b = append(b, envelope...)
	if room == "" {
		return b
	}
	b, n := appendPlace(b, room, pos)
	b[start] += n
	return b
}

// appendPlace appends the members room and pos, and says how many that makes.
func appendPlace(b []byte, room string, pos codec.Position) ([]byte, byte) {
	b = appendString(append(b, "\xa4room"...), room)
	if pos == (codec.Position{}) {
		return b, 1
	}
	b = appendUint(append(b, "\xa3pos\x92"...), pos.Offset)
	return appendString(b, pos.Epoch), 2
}

const (
	isNil   = 0xc0
	isFalse = 0xc2
	isTrue  = 0xc3
)

func appendUint(b []byte, n uint64) []byte {
	switch {
	case n < 0x80:
		return append(b, byte(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xcf), n)
}

func appendString[T string | []byte](b []byte, s T) []byte {
	if len(s) < 32 {
		b = append(b, 0xa0|byte(len(s)))
	} else {
		b = binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(len(s)))
	}
	return append(b, s...)
}
