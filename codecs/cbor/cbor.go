// Package cbor is CBOR (RFC 8949) as a codec.Codec. Structs are encoded as maps,
// with the names that their cbor or json tags give, times as RFC 3339 text with
// tag 0, and envelopes as maps with the members that they have in JSON.
package cbor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"reflect"

	"github.com/fxamacker/cbor/v2"
	"github.com/tidewire/ws/codec"
)

// Codec is CBOR by github.com/fxamacker/cbor.
var Codec codec.Codec = cborCodec{}

var (
	_ codec.Enveloper = cborCodec{}
	_ codec.Placer    = cborCodec{}
)

type cborCodec struct{}

var (
	encoding = must(cbor.EncOptions{Time: cbor.TimeRFC3339Nano, TimeTag: cbor.EncTagRequired}.EncMode())
	decoding = must(cbor.DecOptions{
		DefaultMapType: reflect.TypeFor[map[string]any](),
		DupMapKey:      cbor.DupMapKeyEnforcedAPF,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (cborCodec) Name() string { return "cbor" }

func (cborCodec) Binary() bool { return true }

func (cborCodec) Append(b []byte, v any) ([]byte, error) {
	w := bytes.NewBuffer(b)
	if err := encoding.NewEncoder(w).Encode(v); err != nil {
		return b, err
	}
	return w.Bytes(), nil
}

func (cborCodec) Decode(p []byte, v any) error { return decoding.Unmarshal(p, v) }

// envelope is codec.Envelope as it is received.
type envelope struct {
	ID        *uint64         `cbor:"id"`
	Type      *string         `cbor:"type"`
	Data      cbor.RawMessage `cbor:"data"`
	More      bool            `cbor:"more"`
	TimeoutMS uint64          `cbor:"timeout_ms"`
	Error     *codec.Error    `cbor:"error"`
	Room      *string         `cbor:"room"`
	Pos       *position       `cbor:"pos"`
}

// position is codec.Position as it is received.
type position struct {
	_      struct{} `cbor:",toarray"`
	Offset uint64
	Epoch  string
}

// The major types of RFC 8949 3.1 that envelopes are made of.
const (
	majorUint  = 0 << 5
	majorText  = 3 << 5
	majorArray = 4 << 5
	majorMap   = 5 << 5
	majorMask  = 7 << 5
	isTrue     = 0xf5
)

var (
	errNoMap    = errors.New("message is not a map")
	errEnvelope = errors.New("id, type, timeout_ms, error, room or pos is out of range")
)

func (c cborCodec) ScanEnvelope(p []byte, e *codec.Envelope) error {
	if len(p) == 0 || p[0]&majorMask != majorMap {
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

func (c cborCodec) AppendEnvelope(b []byte, e *codec.Envelope, v any) ([]byte, error) {
	start, members := len(b), byte(0)
	b = append(b, majorMap)
	member := func(key string) {
		members++
		b = appendText(b, key)
	}
	if e.HasID {
		member("id")
		b = appendHead(b, majorUint, e.ID)
	}
	if e.Type != nil {
		member("type")
		b = append(appendHead(b, majorText, uint64(len(e.Type))), e.Type...)
	}
	if e.TimeoutMS > 0 {
		member("timeout_ms")
		b = appendHead(b, majorUint, e.TimeoutMS)
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

// AppendPlaced makes room in the map's head, which has fewer than 22 members.
func (cborCodec) AppendPlaced(b, envelope []byte, room string, pos codec.Position) []byte {
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
	b = appendText(appendText(b, "room"), room)
	if pos == (codec.Position{}) {
		return b, 1
	}
	b = appendHead(appendText(b, "pos"), majorArray, 2)
	b = appendHead(b, majorUint, pos.Offset)
	return appendText(b, pos.Epoch), 2
}

func appendText(b []byte, s string) []byte {
	return append(appendHead(b, majorText, uint64(len(s))), s...)
}

// appendHead appends the head of a data item in its shortest form (RFC 8949 3).
func appendHead(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}
