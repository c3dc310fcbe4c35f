package msgpack_test

import (
	"bytes"
	"context"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/codec/codectest"
	"github.com/tidewire/ws/codecs/msgpack"
	"github.com/tidewire/ws/router"
	library "github.com/vmihailenco/msgpack/v5"
)

type point struct {
	X     int            `json:"x"`
	Label string         `json:"label,omitempty"`
	Next  *point         `json:"next"`
	Data  []byte         `json:"data"`
	Ages  map[string]int `json:"ages"`
}

func TestConformance(t *testing.T) {
	codectest.Test(t, msgpack.Codec, nil, point{X: -7, Label: "a", Next: &point{}, Data: []byte{0, 255}, Ages: map[string]int{"ada": 36}},
		"text", 7, []string{"a", ""}, true, time.Unix(1e9, 1))
}

// The names are those of the json tags.
func TestNames(t *testing.T) {
	b, err := msgpack.Codec.Append(nil, struct {
		Long int `json:"s"`
	}{1})
	if string(b) != "\x81\xa1s\x01" || err != nil {
		t.Errorf("%x, %v", b, err)
	}
}

func TestRouter(t *testing.T) {
	r := router.New()
	router.Handle(r, "double", func(_ context.Context, in point) (point, error) {
		if in.X == 0 {
			return in, &router.Error{Code: router.Invalid, Details: []string{"x"}}
		}
		return point{X: 2 * in.X}, nil
	})
	codecs := map[string]codec.Codec{"msgpack": msgpack.Codec}
	srv := httptest.NewServer(&ws.Handler{Events: r, Options: ws.Options{Subprotocols: []string{"msgpack"}, Codecs: codecs}})
	defer srv.Close()
	c, _, err := ws.Dial(t.Context(), srv.URL, &ws.DialOptions{Subprotocols: []string{"msgpack"}, Codecs: codecs})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	go router.New().Serve(t.Context(), c)
	if got, err := router.Call[point](t.Context(), c, "double", point{X: 21}); got.X != 42 || err != nil {
		t.Error(got, err)
	}
	if _, err := router.Call[point](t.Context(), c, "double", point{}); !isInvalid(err) {
		t.Errorf("%#v", err)
	}
}

func isInvalid(err error) bool {
	e, ok := err.(*router.Error)
	return ok && e.Code == router.Invalid && e.Details.([]any)[0] == "x"
}

// A message of a few bytes that announces billions of elements takes no memory for
// them, and one that is nested without end takes no stack.
func TestHostile(t *testing.T) {
	for name, p := range map[string]string{
		"array": "\xdd\xff\xff\xff\xff", "array of some": "\xdd\xff\xff\xff\xff\x01", "map": "\xdf\xff\xff\xff\xff",
		"bin": "\xc6\xff\xff\xff\xff", "str": "\xdb\xff\xff\xff\xff", "ext": "\xc9\xff\xff\xff\xff\x05", "cut": "\xdd\xff",
		"deep": strings.Repeat("\x91", 1<<20) + "\xc0", "deep maps": strings.Repeat("\x81\x01", 1<<20) + "\xc0",
	} {
		data, envelope := []byte(p), []byte("\x82\xa4type\xa1x\xa4data"+p)
		var e codec.Envelope
		if err := msgpack.Codec.(codec.Enveloper).ScanEnvelope(envelope, &e); err == nil {
			t.Errorf("%s: an envelope", name)
		}
		for _, v := range []any{new(any), new([]any), new([]byte), new(map[string]int), new(point)} {
			if n := testing.AllocsPerRun(1, func() {
				if err := msgpack.Codec.Decode(data, v); err == nil {
					t.Errorf("%s: decoded as a %T", name, v)
				}
			}); n > 0 {
				t.Errorf("%s: %v allocations for a %T", name, n, v)
			}
		}
	}
	var v any
	if err := msgpack.Codec.Decode([]byte(strings.Repeat("\x91", 1000)+"\xc0"), &v); err != nil {
		t.Error(err)
	}
}

func TestScanEnvelope(t *testing.T) {
	env := msgpack.Codec.(codec.Enveloper)
	for p, want := range map[string]codec.Envelope{
		"\x82\xa2id\x07\xa4type\xd9\x01x":                   {ID: 7, HasID: true, Type: []byte("x")},
		"\xde\x00\x02\xa2id\xd1\x01\x00\x05\xa4data":        {ID: 256, HasID: true}, // a key that is no text
		"\xdf\x00\x00\x00\x01\xa2id\xcd\x01\x00":            {ID: 256, HasID: true},
		"\x84\xa2id\x01\xa2id\xd0\x02\xa4type\xc0\xa1x\x90": {ID: 2, HasID: true},
		"\x82\xa4data\xc0\xa4more\xc2":                      {Data: []byte{0xc0}},
		"\x81\xa2ID\x07":                                    {},
	} {
		var e codec.Envelope
		if err := env.ScanEnvelope([]byte(p), &e); err != nil || !reflect.DeepEqual(e, want) {
			t.Errorf("%q: %+v, %v", p, e, err)
		}
	}
	for p, id := range map[string]uint64{
		"\x81\xa2id\xff": 0, "\x81\xa2id\xd3\xff\xff\xff\xff\xff\xff\xff\xff": 0, "\x81\xa2id\xcb\x00\x00\x00\x00\x00\x00\x00\x00": 0, "\x81\xa2id\xa17": 0,
		"\x81\xa2id\xcf\x00\x20\x00\x00\x00\x00\x00\x00": 0, "\x82\xa4type\x01\xa2id\x07": 7, "\x82\xa4type\xa1\xff\xa2id\x07": 7,
		"\x82\xa4more\x01\xa2id\x07": 7, "\x82\xa5error\xa1x\xa2id\x07": 7, "\x81\xa2id\x07\x00": 0,
	} {
		var e codec.Envelope
		if err := env.ScanEnvelope([]byte(p), &e); err == nil || e.ID != id || e.HasID != (id > 0) {
			t.Errorf("%q: %+v, %v", p, e, err)
		}
	}
}

// What the scanner takes for a value is one for the library, and the other way round.
func FuzzScan(f *testing.F) {
	for _, s := range []string{"\x07", "\x93\x01\xa1x\xc0", "\x82\xa1a\xca\x00\x00\x00\x00\x01\xcf\x00\x00\x00\x00\x00\x00\x00\x01",
		"\xd6\xff\x00\x00\x00\x00", "\xc7\x01\x05x", "\xde\x00\x01\x01\xdc\x00\x00", "\xc5\x00\x01x", "\xda\x00\x01x", "\xc1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		r := bytes.NewReader(p)
		_, err := library.NewDecoder(r).DecodeRaw()
		want := err == nil && r.Len() == 0
		var raw library.RawMessage
		if err := msgpack.Codec.Decode(p, &raw); (err == nil) != want && bytes.Count(p, []byte{0x91})+bytes.Count(p, []byte{0x81}) < 900 {
			t.Errorf("%q: %v; the library takes it: %v", p, err, want)
		}
	})
}

func FuzzScanEnvelope(f *testing.F) {
	env := msgpack.Codec.(codec.Enveloper)
	b, _ := env.AppendEnvelope(nil, &codec.Envelope{ID: 7, HasID: true, Type: []byte("x")}, point{X: 1})
	f.Add(b)
	f.Fuzz(func(t *testing.T, p []byte) {
		var e codec.Envelope
		if env.ScanEnvelope(p, &e) == nil && (e.ID > codec.MaxID || e.TimeoutMS > codec.MaxID) {
			t.Errorf("%x: %+v", p, e)
		}
	})
}
