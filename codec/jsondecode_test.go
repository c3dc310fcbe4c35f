//go:build !goexperiment.jsonv2

package codec_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tidewire/ws/codec"
)

type leaf struct {
	A int8
	B *leaf `json:"b"`
	C []leaf
}

type embedding struct {
	leaf
	D string
}

// everything has what a plan knows, and what it does not.
type everything struct {
	S    string           `json:"s"`
	T    *string          `json:"t,omitempty"`
	B    bool             `json:"b"`
	I    int              `json:"i"`
	I8   int8             `json:"i8"`
	U    uint             `json:"u"`
	U16  *uint16          `json:"u16"`
	F    float64          `json:"f"`
	F32  float32          `json:"f32"`
	L    []int            `json:"l"`
	LL   [][]string       `json:"ll"`
	P    **leaf           `json:"p"`
	X    leaf             `json:"x"`
	XS   []*leaf          `json:"xs"`
	Raw  json.RawMessage  `json:"raw"`
	Num  json.Number      `json:"num"`
	Q    int              `json:"q,string"`
	M    map[string]int   `json:"m"`
	Any  any              `json:"any"`
	At   time.Time        `json:"at"`
	Addr netip.Addr       `json:"addr"`
	Big  *big.Int         `json:"big"`
	Data []byte           `json:"data"`
	Arr  [2]int           `json:"arr"`
	E    embedding        `json:"e"`
	Odd  string           `json:"odd name"`
	Dash int              `json:"-"`
	None chan int         `json:"none"`
	Long map[string]*leaf `json:"long"`
}

// plain is what a plan does by itself.
type plain struct {
	S  string `json:"s"`
	I  int    `json:"i"`
	U  uint8
	B  bool
	F  float64
	L  []int `json:"l"`
	X  leaf
	P  *leaf
	LS []leaf
	un string //nolint:unused // as users have them
}

var decoded = []any{
	new(plain), new(everything), new(leaf), new([]plain), new(*plain), new(embedding), new(string), new(int), new(uint64), new(float64), new(bool), new([]string), new(any),
}

// (Not where encoding/json is the experimental one, which panics on some of the texts.)

func decodes(t *testing.T, p []byte) { decodesAs(t, p, decoded...) }

// decodesAs holds Decode and encoding/json together, into a new value of each type.
func decodesAs(t *testing.T, p []byte, types ...any) {
	t.Helper()
	for _, v := range types {
		got, want := reflect.New(reflect.TypeOf(v).Elem()), reflect.New(reflect.TypeOf(v).Elem())
		wantErr := json.Unmarshal(p, want.Interface())
		if len(p) == 0 {
			continue // Decode says that in its own way
		}
		err := codec.JSON.Decode(p, got.Interface())
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("%.200q as %T: %v; encoding/json: %v", p, v, err, wantErr)
		}
		if !reflect.DeepEqual(got.Interface(), want.Interface()) {
			t.Fatalf("%.200q as %T:\n got %+v\nwant %+v", p, v, got.Elem(), want.Elem())
		}
	}
}

var texts = []string{
	`{"s":"a","i":-7,"U":255,"B":true,"F":-1.5e3,"l":[1,2],"X":{"A":1,"b":{"A":2},"C":[{},{"A":-128}]},"P":{"b":null},"LS":[]}`,
	`{"s":"\u00e9\n\"","S":"fold","ſ":"folds, too","\u0073":"again","unknown":{"s":[1,{"x":null}]},"un":"x"}`,
	`{"s":null,"i":null,"U":null,"B":null,"F":null,"l":null,"X":null,"P":null,"LS":[null,{"A":1}],"t":null,"p":null,"xs":[null]}`,
	`{"l":[1,2,3],"l":[4],"X":{"A":1},"X":{"b":{}},"P":{"A":1},"P":{"C":[]},"LS":[{"A":1}],"LS":[{"b":{}}]}`,
	`{"i":1.0}`, `{"i":1e2}`, `{"U":256}`, `{"U":-1}`, `{"i":9223372036854775808}`, `{"F":1e999}`, `{"i":-0,"F":-0}`, `{"i":"1"}`, `{"s":1}`, `{"B":0}`,
	`{"q":"12","raw": {"a" : 1},"num":1.50,"m":{"a":1,"b":2},"any":[1,"x"],"at":"2026-01-02T03:04:05Z","addr":"::1","big":123456789012345678901,"data":"AP8=","arr":[1],"e":{"A":1,"D":"d"},"odd name":"o","-":1,"long":{"x":{"A":1}},"f32":1.5,"u16":3,"ll":[["a"],[]]}`,
	`{"i":1,"s":"x"} x`, `{"i":1,}`, `{"i" 1}`, `{"i":}`, `{`, `[`, `{"l":[1,]}`, `{"l":[,]}`, `{"l":[1 2]}`, `{"s":"a`, "{\"s\":\"a\nb\"}", `{"s":"\x"}`, `{"none":1}`, `{"none":null}`,
	` { "s" : "x" , "l" : [ 1 , 2 ] } `, `null`, ` null `, `"text"`, `7`, `-7.5`, `true`, `[]`, `["a","b"]`, `[{"i":1},{"i":2}]`, `nul`, `tru`, `01`, `-`, "\"\xff\"", "{\"s\":\"\xff\"}", "{\"\xff\":1}",
}

func TestDecode(t *testing.T) {
	for _, text := range texts {
		decodes(t, []byte(text))
	}
	for _, n := range []int{9_999, 10_000, 10_001} {
		decodesAs(t, []byte(strings.Repeat(`{"b":`, n)+"null"+strings.Repeat("}", n)), new(leaf))
	}
}

// A value that has something already is merged with, as encoding/json does.
func TestDecodeMerges(t *testing.T) {
	fill := func() *plain { return &plain{S: "s", I: 1, L: []int{1, 2}, P: &leaf{A: 1}} }
	for _, text := range texts {
		got, want := fill(), fill()
		err, wantErr := codec.JSON.Decode([]byte(text), got), json.Unmarshal([]byte(text), want)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v, %v", text, got, err, want, wantErr)
		}
	}
	for _, v := range []any{nil, plain{}, (*plain)(nil)} {
		if err := codec.JSON.Decode([]byte(`{}`), v); err == nil {
			t.Errorf("decoded into a %T", v)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(decodes)
}
