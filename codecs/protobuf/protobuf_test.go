package protobuf_test

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/codec/codectest"
	"github.com/tidewire/ws/codecs/protobuf"
	"github.com/tidewire/ws/router"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func equal(a, b any) bool {
	x, ok := a.(proto.Message)
	y, too := b.(proto.Message)
	return ok && too && proto.Equal(x, y) || a == b
}

func TestConformance(t *testing.T) {
	object, err := structpb.NewStruct(map[string]any{"a": []any{1, "b", nil}})
	if err != nil {
		t.Fatal(err)
	}
	codectest.Test(t, protobuf.Codec, equal, wrapperspb.String("text"), object, wrapperspb.Int64(0), wrapperspb.Bytes(make([]byte, 300)), struct{}{})
}

// Both a message and a pointer to one can be decoded into; nothing else.
func TestDecode(t *testing.T) {
	b, err := protobuf.Codec.Append(nil, wrapperspb.String("x"))
	if err != nil {
		t.Fatal(err)
	}
	var m wrapperspb.StringValue
	if err := protobuf.Codec.Decode(b, &m); err != nil || m.Value != "x" {
		t.Error(m.Value, err)
	}
	if err := protobuf.Codec.Decode(b, new(int)); err == nil {
		t.Error("decoded as an int")
	}
	if err := protobuf.Codec.Decode(b, new(*int)); err == nil {
		t.Error("decoded as a *int")
	}
}

// descriptor is envelope.proto's Envelope, written down once more.
func descriptor(t *testing.T) protoreflect.MessageDescriptor {
	field := func(name string, n int32, typ descriptorpb.FieldDescriptorProto_Type, message string) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &n, Type: &typ, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
		if message != "" {
			f.TypeName = &message
		}
		return f
	}
	const (
		u64     = descriptorpb.FieldDescriptorProto_TYPE_UINT64
		text    = descriptorpb.FieldDescriptorProto_TYPE_STRING
		message = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	)
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("envelope.proto"), Package: new("w"), Dependency: []string{"google/protobuf/struct.proto"},
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: new("Envelope"), Field: []*descriptorpb.FieldDescriptorProto{
				field("id", 1, u64, ""), field("type", 2, text, ""), field("data", 3, descriptorpb.FieldDescriptorProto_TYPE_BYTES, ""),
				field("more", 4, descriptorpb.FieldDescriptorProto_TYPE_BOOL, ""), field("timeout_ms", 5, u64, ""), field("error", 6, message, ".w.Error"),
			}},
			{Name: new("Error"), Field: []*descriptorpb.FieldDescriptorProto{
				field("code", 1, text, ""), field("message", 2, text, ""), field("details", 3, message, ".google.protobuf.Value"), field("retry_ms", 4, u64, ""),
			}},
		},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().ByName("Envelope")
}

// What is sent means the same to the official library, and what that makes of it
// is received alike.
func TestEnvelopeByOfficialLibrary(t *testing.T) {
	env := protobuf.Codec.(codec.Enveloper)
	d := descriptor(t)
	for want, test := range map[string]struct {
		e codec.Envelope
		v any
	}{
		`type:"a.b" id:7 data:"\n\x01x" timeout_ms:5`: {codec.Envelope{ID: 7, HasID: true, Type: []byte("a.b"), TimeoutMS: 5}, wrapperspb.String("x")},
		`id:7 data:"" more:true`:                      {codec.Envelope{ID: 7, HasID: true, More: true}, wrapperspb.String("")},
		`id:7 error:{code:"c" message:"m" details:{list_value:{values:{number_value:1}}} retry_ms:3}`: {codec.Envelope{ID: 7, HasID: true,
			Error: &codec.Error{Code: "c", Message: "m", Details: []any{1.0}, RetryMS: 3}}, nil},
	} {
		b, err := env.AppendEnvelope(nil, &test.e, test.v)
		if err != nil {
			t.Fatal(err)
		}
		got, expected := dynamicpb.NewMessage(d), dynamicpb.NewMessage(d)
		if err := proto.Unmarshal(b, got); err != nil {
			t.Fatal(err)
		}
		if err := prototext.Unmarshal([]byte(want), expected); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got, expected) {
			t.Errorf("%v, want %v", got, expected)
		}
		theirs, err := proto.Marshal(expected)
		if err != nil {
			t.Fatal(err)
		}
		var back codec.Envelope
		if err := env.ScanEnvelope(theirs, &back); err != nil || back.ID != 7 || !back.HasID || (back.Data == nil) != (test.v == nil) {
			t.Errorf("%+v, %v", back, err)
		}
	}
}

func TestRouter(t *testing.T) {
	r := router.New()
	router.Handle(r, "length", func(_ context.Context, in *wrapperspb.StringValue) (*wrapperspb.Int64Value, error) {
		if in.Value == "" {
			return nil, &router.Error{Code: router.Invalid, Details: []string{"value"}}
		}
		return wrapperspb.Int64(int64(len(in.Value))), nil
	})
	codecs := map[string]codec.Codec{"protobuf": protobuf.Codec}
	srv := httptest.NewServer(&ws.Handler{Events: r, Options: ws.Options{Subprotocols: []string{"protobuf"}, Codecs: codecs}})
	defer srv.Close()
	c, _, err := ws.Dial(t.Context(), srv.URL, &ws.DialOptions{Subprotocols: []string{"protobuf"}, Codecs: codecs})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	go router.New().Serve(t.Context(), c)
	if got, err := router.Call[*wrapperspb.Int64Value](t.Context(), c, "length", wrapperspb.String("hello")); err != nil || got.Value != 5 {
		t.Error(got, err)
	}
	_, err = router.Call[*wrapperspb.Int64Value](t.Context(), c, "length", wrapperspb.String(""))
	if e, ok := err.(*router.Error); !ok || e.Code != router.Invalid || e.Details.([]any)[0] != "value" {
		t.Errorf("%#v", err)
	}
}

func FuzzScanEnvelope(f *testing.F) {
	env := protobuf.Codec.(codec.Enveloper)
	b, _ := env.AppendEnvelope(nil, &codec.Envelope{ID: 7, HasID: true, Type: []byte("x")}, wrapperspb.String("y"))
	f.Add(b)
	f.Fuzz(func(t *testing.T, p []byte) {
		var e codec.Envelope
		if env.ScanEnvelope(p, &e) == nil && (e.ID > codec.MaxID || e.TimeoutMS > codec.MaxID) {
			t.Errorf("%x: %+v", p, e)
		}
	})
}
