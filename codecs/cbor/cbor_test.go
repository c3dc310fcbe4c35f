package cbor_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/codec/codectest"
	"github.com/tidewire/ws/codecs/cbor"
	"github.com/tidewire/ws/router"
)

type point struct {
	X     int            `json:"x"`
	Label string         `json:"label,omitempty"`
	Next  *point         `json:"next"`
	Data  []byte         `json:"data"`
	Ages  map[string]int `json:"ages"`
}

func TestConformance(t *testing.T) {
	codectest.Test(t, cbor.Codec, nil, point{X: -7, Label: "a", Next: &point{}, Data: []byte{0, 255}, Ages: map[string]int{"ada": 36}},
		"text", 7, []string{"a", ""}, true, time.Unix(1e9, 1).UTC())
}

// The names are those of the json tags.
func TestNames(t *testing.T) {
	b, err := cbor.Codec.Append(nil, struct {
		Long int `json:"s"`
	}{1})
	if string(b) != "\xa1\x61s\x01" || err != nil {
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
	codecs := map[string]codec.Codec{"cbor": cbor.Codec}
	srv := httptest.NewServer(&ws.Handler{Events: r, Options: ws.Options{Subprotocols: []string{"cbor"}, Codecs: codecs}})
	defer srv.Close()
	c, _, err := ws.Dial(t.Context(), srv.URL, &ws.DialOptions{Subprotocols: []string{"cbor"}, Codecs: codecs})
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

func FuzzScanEnvelope(f *testing.F) {
	env := cbor.Codec.(codec.Enveloper)
	b, _ := env.AppendEnvelope(nil, &codec.Envelope{ID: 7, HasID: true, Type: []byte("x")}, point{X: 1})
	f.Add(b)
	f.Fuzz(func(t *testing.T, p []byte) {
		var e codec.Envelope
		if env.ScanEnvelope(p, &e) == nil && (e.ID > codec.MaxID || e.TimeoutMS > codec.MaxID) {
			t.Errorf("%x: %+v", p, e)
		}
	})
}
