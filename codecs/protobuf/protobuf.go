// Package protobuf is Protocol Buffers as a codec.Codec, for types that protoc has
// generated: functions take and return pointers to them. An empty struct stands
// for no data. envelope.proto has the envelopes.
package protobuf

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"

	"github.com/tidewire/ws/codec"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// Codec is Protocol Buffers by google.golang.org/protobuf.
var Codec codec.Codec = protobufCodec{}

var (
	_ codec.Enveloper = protobufCodec{}
	_ codec.Placer    = protobufCodec{}
)

type protobufCodec struct{}

func (protobufCodec) Name() string { return "protobuf" }

func (protobufCodec) Binary() bool { return true }

func (protobufCodec) Append(b []byte, v any) ([]byte, error) {
	switch m := v.(type) {
	case proto.Message:
		out, err := proto.MarshalOptions{}.MarshalAppend(b, m)
		if err != nil {
			return b, err
		}
		return out, nil
	case struct{}:
		return b, nil
	}
	return b, fmt.Errorf("protobuf: %T is not a message", v)
}

// Decode takes a message, or a pointer to where a pointer to one is to be.
func (protobufCodec) Decode(p []byte, v any) error {
	switch m := v.(type) {
	case proto.Message:
		return proto.Unmarshal(p, m)
	case *struct{}:
		return nil
	}
	to := reflect.ValueOf(v)
	if to.Kind() == reflect.Pointer && !to.IsNil() && to.Elem().Kind() == reflect.Pointer {
		made := reflect.New(to.Type().Elem().Elem())
		if m, ok := reflect.TypeAssert[proto.Message](made); ok {
			to.Elem().Set(made)
			return proto.Unmarshal(p, m)
		}
	}
	return fmt.Errorf("protobuf: %T is no pointer to a message", v)
}

// The fields of Envelope, Error and Position in envelope.proto.
const (
	fieldID        = 1
	fieldType      = 2
	fieldData      = 3
	fieldMore      = 4
	fieldTimeoutMS = 5
	fieldError     = 6
	fieldRoom      = 7
	fieldPos       = 8

	fieldCode    = 1
	fieldMessage = 2
	fieldDetails = 3
	fieldRetryMS = 4

	fieldOffset = 1
	fieldEpoch  = 2
)

var (
	errWire     = errors.New("message is not an envelope of Protocol Buffers")
	errEnvelope = errors.New("id, type, timeout_ms, error or room is out of range")
)

// fields calls f with each field of a message: n for varints, p for bytes. Others
// are passed over. f says whether the field is in order.
func fields(p []byte, f func(num protowire.Number, n uint64, b []byte) bool) error {
	for len(p) > 0 {
		num, typ, size := protowire.ConsumeTag(p)
		if size < 0 {
			return errWire
		}
		p = p[size:]
		var n uint64
		var b []byte
		switch typ {
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(p)
		case protowire.BytesType:
			b, size = protowire.ConsumeBytes(p)
		default:
			size = protowire.ConsumeFieldValue(num, typ, p)
			num = 0 // nothing that an envelope has
		}
		if size < 0 || !f(num, n, b) {
			return errWire
		}
		p = p[size:]
	}
	return nil
}

func (protobufCodec) ScanEnvelope(p []byte, e *codec.Envelope) error {
	err := fields(p, func(num protowire.Number, n uint64, b []byte) bool {
		switch num {
		case fieldID:
			e.ID, e.HasID = n, b == nil
		case fieldType:
			e.Type = b
			return b != nil && utf8.Valid(b)
		case fieldData:
			e.Data = b
			return b != nil
		case fieldMore:
			e.More = n != 0
		case fieldTimeoutMS:
			e.TimeoutMS = n
		case fieldError:
			e.Error = new(codec.Error)
			return scanError(b, e.Error) == nil
		case fieldRoom:
			e.Room = b
			return b != nil && utf8.Valid(b)
		case fieldPos:
			return scanPosition(b, &e.Pos) == nil
		}
		return true
	})
	if err != nil {
		*e = codec.Envelope{}
		return err
	}
	if e.ID > codec.MaxID || e.TimeoutMS > codec.MaxID || e.Type != nil && len(e.Type) == 0 || e.Room != nil && len(e.Room) == 0 || e.Error != nil && e.Error.Code == "" {
		e.HasID = e.HasID && e.ID <= codec.MaxID
		return errEnvelope
	}
	return nil
}

func scanError(p []byte, e *codec.Error) error {
	return fields(p, func(num protowire.Number, n uint64, b []byte) bool {
		switch num {
		case fieldCode:
			e.Code = string(b)
		case fieldMessage:
			e.Message = string(b)
		case fieldDetails:
			var v structpb.Value
			if proto.Unmarshal(b, &v) != nil {
				return false
			}
			e.Details = v.AsInterface()
		case fieldRetryMS:
			e.RetryMS = n
		}
		return true
	})
}

func scanPosition(p []byte, pos *codec.Position) error {
	return fields(p, func(num protowire.Number, n uint64, b []byte) bool {
		switch num {
		case fieldOffset:
			pos.Offset = n
		case fieldEpoch:
			pos.Epoch = string(b)
			return utf8.Valid(b)
		}
		return true
	})
}

// AppendPlaced appends fields: messages that stand behind each other are one.
func (protobufCodec) AppendPlaced(b, envelope []byte, room string, pos codec.Position) []byte {
	b = append(b, envelope...)
	if room == "" {
		return b
	}
	return appendPlace(b, room, pos)
}

func appendPlace(b []byte, room string, pos codec.Position) []byte {
	b = protowire.AppendString(protowire.AppendTag(b, fieldRoom, protowire.BytesType), room)
	if pos == (codec.Position{}) {
		return b
	}
	b, _ = appendField(b, fieldPos, func(b []byte) ([]byte, error) { // never fails
		b = protowire.AppendVarint(protowire.AppendTag(b, fieldOffset, protowire.VarintType), pos.Offset)
		return protowire.AppendString(protowire.AppendTag(b, fieldEpoch, protowire.BytesType), pos.Epoch), nil
	})
	return b
}

func (c protobufCodec) AppendEnvelope(b []byte, e *codec.Envelope, v any) ([]byte, error) {
	start := len(b)
	if e.HasID {
		b = protowire.AppendVarint(protowire.AppendTag(b, fieldID, protowire.VarintType), e.ID)
	}
	if e.Type != nil {
		b = protowire.AppendBytes(protowire.AppendTag(b, fieldType, protowire.BytesType), e.Type)
	}
	if e.More {
		b = protowire.AppendVarint(protowire.AppendTag(b, fieldMore, protowire.VarintType), 1)
	}
	if e.TimeoutMS > 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, fieldTimeoutMS, protowire.VarintType), e.TimeoutMS)
	}
	if e.Room != nil {
		b = appendPlace(b, string(e.Room), e.Pos)
	}
	var err error
	if e.Error != nil {
		b, err = appendField(b, fieldError, func(b []byte) ([]byte, error) { return appendError(b, e.Error) })
	} else if v != nil {
		b, err = appendField(b, fieldData, func(b []byte) ([]byte, error) { return c.Append(b, v) })
	}
	if err != nil {
		return b[:start], err
	}
	return b, nil
}

// appendField appends a field whose length is known only when it is written.
func appendField(b []byte, num protowire.Number, write func([]byte) ([]byte, error)) ([]byte, error) {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	start := len(b)
	b, err := write(b)
	if err != nil {
		return b, err
	}
	n := len(b) - start
	size := protowire.SizeVarint(uint64(n))
	b = append(b, make([]byte, size)...)
	copy(b[start+size:], b[start:start+n])
	protowire.AppendVarint(b[:start], uint64(n))
	return b, nil
}

func appendError(b []byte, e *codec.Error) ([]byte, error) {
	b = protowire.AppendString(protowire.AppendTag(b, fieldCode, protowire.BytesType), e.Code)
	if e.Message != "" {
		b = protowire.AppendString(protowire.AppendTag(b, fieldMessage, protowire.BytesType), e.Message)
	}
	if e.RetryMS > 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, fieldRetryMS, protowire.VarintType), e.RetryMS)
	}
	if e.Details == nil {
		return b, nil
	}
	details, err := toValue(e.Details)
	if err != nil {
		return b, err
	}
	return appendField(b, fieldDetails, func(b []byte) ([]byte, error) { return proto.MarshalOptions{}.MarshalAppend(b, details) })
}

// toValue makes a google.protobuf.Value of anything that JSON can say.
func toValue(v any) (*structpb.Value, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	value := new(structpb.Value)
	return value, value.UnmarshalJSON(b)
}
