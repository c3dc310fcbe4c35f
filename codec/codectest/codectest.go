// Package codectest tests implementations of codec.Codec and codec.Enveloper.
package codectest

import (
	"bytes"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/tidewire/ws/codec"
)

// Test tests that c, which has to be a codec.Enveloper, keeps its promises. equal
// compares decoded values; nil means reflect.DeepEqual. At least one value is needed.
func Test(t *testing.T, c codec.Codec, equal func(a, b any) bool, values ...any) {
	if equal == nil {
		equal = reflect.DeepEqual
	}
	s := suite{c, c.(codec.Enveloper), equal, values}
	t.Run("values", s.testValues)
	t.Run("unencodable", s.testUnencodable)
	t.Run("envelopes", s.testEnvelopes)
	t.Run("limits", s.testLimits)
	t.Run("damaged", s.testDamaged)
	t.Run("concurrent", s.testConcurrent)
}

type suite struct {
	codec.Codec
	codec.Enveloper
	equal  func(a, b any) bool
	values []any
}

// decode decodes p as another of v's type, and then overwrites p.
func (s *suite) decode(t *testing.T, p []byte, v any) any {
	t.Helper()
	to := reflect.New(reflect.TypeOf(v))
	p = bytes.Clone(p)
	if err := s.Decode(p, to.Interface()); err != nil {
		t.Errorf("Decode(%q) as %T: %v", p, v, err)
	}
	for i := range p {
		p[i] = 0xDB
	}
	return to.Elem().Interface()
}

func (s *suite) testValues(t *testing.T) {
	for _, v := range s.values {
		b, err := s.Append([]byte("before"), v)
		if err != nil || !bytes.HasPrefix(b, []byte("before")) {
			t.Fatalf("Append(%#v) = %q, %v", v, b, err)
		}
		if got := s.decode(t, b[len("before"):], v); !s.equal(got, v) {
			t.Errorf("%#v came back as %#v", v, got)
		}
	}
}

func (s *suite) testUnencodable(t *testing.T) {
	v := make(chan int)
	if b, err := s.Append([]byte("before"), v); err == nil || string(b) != "before" {
		t.Errorf("Append of a chan = %q, %v", b, err)
	}
	if b, err := s.AppendEnvelope([]byte("before"), &codec.Envelope{ID: 1, HasID: true}, v); err == nil || string(b) != "before" {
		t.Errorf("AppendEnvelope of a chan = %q, %v", b, err)
	}
}

// envelopes are all the forms that package router uses.
var envelopes = map[string]struct {
	e    codec.Envelope
	data bool
}{
	"event":   {codec.Envelope{Type: []byte("chat.typing")}, true},
	"bare":    {codec.Envelope{Type: []byte("chat.typing")}, false},
	"request": {codec.Envelope{Type: []byte("chat.post"), ID: 1, HasID: true}, true},
	"limited": {codec.Envelope{Type: []byte(strings.Repeat("é", 200)), ID: 1 << 40, HasID: true, TimeoutMS: 70_000}, true},
	"reply":   {codec.Envelope{ID: 0, HasID: true}, true},
	"end":     {codec.Envelope{ID: codec.MaxID, HasID: true}, false},
	"item":    {codec.Envelope{ID: 300, HasID: true, More: true}, true},
	"cancel":  {codec.Envelope{Type: []byte("$cancel"), ID: 70_000, HasID: true}, false},
	"failure": {codec.Envelope{ID: 7, HasID: true, Error: &codec.Error{Code: "x"}}, false},
	"details": {codec.Envelope{ID: 7, HasID: true, Error: &codec.Error{Code: "x", Message: "no", RetryMS: 1500,
		Details: []any{"a", map[string]any{"b": true, "c": nil}}}}, false},
	"complaint": {codec.Envelope{Error: &codec.Error{Code: "bad_envelope"}}, false},
}

func (s *suite) testEnvelopes(t *testing.T) {
	for name, test := range envelopes {
		t.Run(name, func(t *testing.T) {
			if !test.data {
				s.testEnvelope(t, test.e, nil)
				return
			}
			for _, v := range s.values {
				s.testEnvelope(t, test.e, v)
			}
		})
	}
}

func (s *suite) testEnvelope(t *testing.T, e codec.Envelope, v any) {
	b, err := s.AppendEnvelope([]byte("before"), &e, v)
	if err != nil || !bytes.HasPrefix(b, []byte("before")) {
		t.Fatalf("AppendEnvelope(%#v) = %q, %v", v, b, err)
	}
	b = b[len("before"):]
	var got codec.Envelope
	if err := s.ScanEnvelope(b, &got); err != nil {
		t.Fatalf("ScanEnvelope(%q): %v", b, err)
	}
	if v == nil {
		if got.Data != nil {
			t.Errorf("data %q came out of nothing", got.Data)
		}
	} else if got.Data == nil {
		t.Errorf("the data of %q was lost", b)
	} else if back := s.decode(t, got.Data, v); !s.equal(back, v) {
		t.Errorf("%#v came back as %#v", v, back)
	}
	got.Data = nil
	if !reflect.DeepEqual(got, e) {
		t.Errorf("%+v came back as %+v (error %+v)", e, got, got.Error)
	}
}

func (s *suite) testLimits(t *testing.T) {
	for _, e := range []codec.Envelope{
		{Type: []byte("x"), ID: codec.MaxID + 1, HasID: true},
		{Type: []byte("x"), TimeoutMS: codec.MaxID + 1},
		{Type: []byte{}},
		{ID: 1, HasID: true, Error: &codec.Error{}},
	} {
		b, err := s.AppendEnvelope(nil, &e, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got codec.Envelope
		if err := s.ScanEnvelope(b, &got); err == nil {
			t.Errorf("%+v was accepted as %+v", e, got)
		}
	}
}

// Damaged messages are refused, or read as something else, but nothing worse.
func (s *suite) testDamaged(t *testing.T) {
	for _, test := range envelopes {
		b, err := s.AppendEnvelope(nil, &test.e, s.values[0])
		if err != nil {
			t.Fatal(err)
		}
		for i := range b {
			_ = s.ScanEnvelope(b[:i:i], new(codec.Envelope))
			damaged := bytes.Clone(b)
			damaged[i] ^= 0xFF
			_ = s.ScanEnvelope(damaged, new(codec.Envelope))
		}
		if err := s.ScanEnvelope(append(b, 0xFF), new(codec.Envelope)); err == nil {
			t.Errorf("a byte too much behind %q was accepted", b)
		}
	}
}

func (s *suite) testConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				s.testEnvelope(t, codec.Envelope{Type: []byte("x"), ID: 1, HasID: true}, s.values[0])
			}
		})
	}
	wg.Wait()
}
