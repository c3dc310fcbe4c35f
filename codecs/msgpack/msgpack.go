// Package msgpack is MessagePack as a codec.Codec. Structs are encoded as maps,
// with the names that their json tags give, and envelopes as maps with the
// members that they have in JSON.
package msgpack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"

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

var errTrailing = errors.New("msgpack: bytes behind the value")

func (msgpackCodec) Decode(p []byte, v any) error {
	d := msgpack.GetDecoder()
	defer msgpack.PutDecoder(d)
	r := bytes.NewReader(p)
	d.Reset(r)
	d.SetCustomStructTag("json")
	if err := d.Decode(v); err != nil {
		return err
	}
	if r.Len() > 0 {
		return errTrailing
	}
	return nil
}

// envelope is codec.Envelope as it is received.
type envelope struct {
	ID        *uint64            `json:"id"`
	Type      *string            `json:"type"`
	Data      msgpack.RawMessage `json:"data"`
	More      bool               `json:"more"`
	TimeoutMS uint64             `json:"timeout_ms"`
	Error     *codec.Error       `json:"error"`
	Room      *string            `json:"room"`
	Pos       *position          `json:"pos"`
}

// position is codec.Position as it is received.
type position struct {
	_msgpack struct{} `msgpack:",as_array"` //nolint:unused // it is how the package wants to be told
	Offset   uint64
	Epoch    string
}

var (
	errNoMap    = errors.New("message is not a map")
	errEnvelope = errors.New("id, type, timeout_ms, error, room or pos is out of range")
)

func (c msgpackCodec) ScanEnvelope(p []byte, e *codec.Envelope) error {
	if len(p) == 0 || p[0]&0xf0 != 0x80 && p[0] != 0xde && p[0] != 0xdf {
		return errNoMap
	}
	var in envelope
	if err := c.Decode(p, &in); err != nil {
		return err
	}
	if in.ID != nil {
		e.ID, e.HasID = *in.ID, true
	}
	if in.Type != nil {
		e.Type = []byte(*in.Type)
	}
	if in.Room != nil {
		e.Room = []byte(*in.Room)
	}
	if in.Pos != nil {
		e.Pos = codec.Position{Offset: in.Pos.Offset, Epoch: in.Pos.Epoch}
	}
	e.Data, e.More, e.TimeoutMS, e.Error = in.Data, in.More, in.TimeoutMS, in.Error
	if e.ID > codec.MaxID || e.TimeoutMS > codec.MaxID || e.Type != nil && len(e.Type) == 0 || e.Room != nil && len(e.Room) == 0 || e.Error != nil && e.Error.Code == "" {
		e.HasID = e.HasID && e.ID <= codec.MaxID
		return errEnvelope
	}
	return nil
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
		b = append(b, 0xc3)
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
