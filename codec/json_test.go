package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidewire/ws/codec"
)

var env = codec.JSON.(codec.Enveloper)

func TestScanEnvelope(t *testing.T) {
	for _, test := range []struct {
		in   string
		want codec.Envelope
	}{
		{`{"id":7,"type":"chat.post","data":{"a":[1,"}"]}}`, codec.Envelope{ID: 7, HasID: true, Type: []byte("chat.post"), Data: []byte(`{"a":[1,"}"]}`)}},
		{" \t{ \"type\" : \"x\" , \"data\" : null } \r\n", codec.Envelope{Type: []byte("x"), Data: []byte("null")}},
		{`{"id":0,"more":true,"data":-1.5e+3}`, codec.Envelope{HasID: true, More: true, Data: []byte("-1.5e+3")}},
		{`{"id":9007199254740991}`, codec.Envelope{ID: codec.MaxID, HasID: true}},
		{`{"type":"$cancel","id":7}`, codec.Envelope{ID: 7, HasID: true, Type: []byte("$cancel")}},
		{`{"id":7,"type":"x","timeout_ms":5000}`, codec.Envelope{ID: 7, HasID: true, Type: []byte("x"), TimeoutMS: 5000}},
		{`{"id":1,"id":2,"type":null,"more":null,"timeout_ms":null,"error":null}`, codec.Envelope{ID: 2, HasID: true}},
		{`{"\u0069d":3,"ID":4,"other":{"id":5},"type":"caf\u00e9"}`, codec.Envelope{ID: 3, HasID: true, Type: []byte("café")}},
		{`{"id":1,"error":{"code":"rate_limited","message":"slow down","details":[1],"retry_ms":20}}`,
			codec.Envelope{ID: 1, HasID: true, Error: &codec.Error{Code: "rate_limited", Message: "slow down", Details: []any{1.0}, RetryMS: 20}}},
		{`{"room":"lobby","pos":[17,"e"],"type":"said"}`,
			codec.Envelope{Type: []byte("said"), Room: []byte("lobby"), Pos: codec.Position{Offset: 17, Epoch: "e"}}},
		{`{"room":null,"pos":null,"type":"said"}`, codec.Envelope{Type: []byte("said")}},
		{`{}`, codec.Envelope{}},
	} {
		var got codec.Envelope
		if err := env.ScanEnvelope([]byte(test.in), &got); err != nil {
			t.Errorf("%s: %v", test.in, err)
		} else if g, w := dump(t, got), dump(t, test.want); g != w {
			t.Errorf("%s:\n got %s\nwant %s", test.in, g, w)
		}
	}
}

func dump(t testing.TB, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestScanEnvelopeRefuses(t *testing.T) {
	for in, id := range map[string]uint64{
		``:                                0,
		`null`:                            0,
		`[]`:                              0,
		`{"id":7`:                         0,
		`{"id":7,}`:                       0,
		`{"id":7}x`:                       0,
		`{"id":7 "type":"x"}`:             0,
		`{"id":7,"type":"\x"}`:            0,
		"{\"id\":7,\"type\":\"a\nb\"}":    0,
		`{"id":-1}`:                       0,
		`{"id":7.0}`:                      0,
		`{"id":9007199254740992}`:         0,
		`{"id":"7"}`:                      0,
		`{"id":7,"type":""}`:              7,
		`{"id":7,"type":7}`:               7,
		`{"id":7,"more":1}`:               7,
		`{"id":7,"timeout_ms":"5"}`:       7,
		`{"id":7,"timeout_ms":1e3}`:       7,
		`{"id":7,"error":"broken"}`:       7,
		`{"id":7,"error":{"message":""}}`: 7,
		`{"id":7,"room":""}`:              7,
		`{"id":7,"room":["x"]}`:           7,
		`{"id":7,"pos":[1]}`:              7,
		`{"id":7,"pos":["e",1]}`:          7,
		`{"id":7,"pos":[null,"e"]}`:       7,
		`{"id":7,"pos":[1,"e",2]}`:        7,
	} {
		var e codec.Envelope
		if err := env.ScanEnvelope([]byte(in), &e); err == nil {
			t.Errorf("%s: accepted as %s", in, dump(t, e))
		} else if e.ID != id {
			t.Errorf("%s: id %d, want %d", in, e.ID, id)
		}
	}
}

// reference is ScanEnvelope by means of encoding/json.
func reference(p []byte) (e codec.Envelope, ok bool) {
	var m map[string]json.RawMessage
	if json.Unmarshal(p, &m) != nil || m == nil {
		return e, false
	}
	var id, timeout *uint64
	var typ, room *string
	var more *bool
	var failure *codec.Error
	for key, to := range map[string]any{"id": &id, "timeout_ms": &timeout, "type": &typ, "more": &more, "error": &failure, "room": &room} {
		if raw, present := m[key]; present && json.Unmarshal(raw, to) != nil {
			return e, false
		}
	}
	if id != nil {
		e.ID, e.HasID = *id, true
	}
	if timeout != nil {
		e.TimeoutMS = *timeout
	}
	if typ != nil {
		e.Type = []byte(*typ)
	}
	if more != nil {
		e.More = *more
	}
	if room != nil {
		e.Room = []byte(*room)
	}
	e.Error, e.Data = failure, m["data"]
	if raw, present := m["pos"]; present && string(raw) != "null" {
		if e.Pos, ok = referencePosition(raw); !ok {
			return e, false
		}
	}
	ok = (room == nil || *room != "") && e.ID <= codec.MaxID && e.TimeoutMS <= codec.MaxID && (typ == nil || *typ != "") && (failure == nil || failure.Code != "")
	return e, ok
}

func referencePosition(raw []byte) (pos codec.Position, ok bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return pos, false
	}
	parts, _ := v.([]any)
	if len(parts) != 2 {
		return pos, false
	}
	offset, ok1 := parts[0].(json.Number)
	epoch, ok2 := parts[1].(string)
	n, err := strconv.ParseUint(string(offset), 10, 64)
	return codec.Position{Offset: n, Epoch: epoch}, ok1 && ok2 && err == nil
}

func FuzzScanEnvelope(f *testing.F) {
	for _, s := range []string{
		`{"id":7,"type":"chat.post","data":{"text":"hi \"you\" \ud83d\ude00","n":[1,-0.5e-7,true,false,null]}}`,
		`{"type":"\u0074","data":"","timeout_ms":10,"more":false}`, `{"id":1,"error":{"code":"x","retry_ms":3,"details":{}}}`,
		`{"room":"lobby","pos":[17,"e\u0041"],"type":"said"}`, `{"pos":[1e3,""],"room":"\ud800"}`, `{"pos":[null,{}]}`,
		`{"id":01}`, `{"id":1.}`, `{"":"\u12","a":[,]}`, `[{}]`, `{"a":{"b":{}},"data":tru}`, "{\"id\":\xff}", `{"data":[[[]],{"a":{}}],"id":null}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if utf8.Valid(p) { // the connection has seen to that; encoding/json repairs it
			compare(t, p)
		}
	})
}

func compare(t *testing.T, p []byte) {
	t.Helper()
	var got codec.Envelope
	err := env.ScanEnvelope(p, &got)
	want, ok := reference(p)
	if ok != (err == nil) {
		t.Fatalf("%.100q: error %v, encoding/json accepts: %v", p, err, ok)
	}
	if ok && dump(t, got) != dump(t, want) {
		t.Fatalf("%.100q:\n got %s\nwant %s", p, dump(t, got), dump(t, want))
	}
}

func TestScanDepth(t *testing.T) {
	for _, n := range []int{9_999, 10_000} {
		compare(t, []byte(`{"data":`+strings.Repeat("[", n)+strings.Repeat("]", n)+`}`))
		compare(t, []byte(strings.Repeat(`{"data":`, n+1)+"1"+strings.Repeat("}", n+1)))
	}
}

func TestEnvelopeRoundTrip(t *testing.T) {
	for _, test := range []struct {
		e    codec.Envelope
		v    any
		want string
	}{
		{codec.Envelope{ID: 7, HasID: true, Type: []byte("a.b"), TimeoutMS: 5}, 1, `{"id":7,"type":"a.b","timeout_ms":5,"data":1}`},
		{codec.Envelope{Type: []byte("say \"<\u00e9>\"")}, "<&>", `{"type":"say \"\u003cé\u003e\"","data":"<&>"}`},
		{codec.Envelope{ID: 0, HasID: true}, nil, `{"id":0}`},
		{codec.Envelope{Type: []byte("x"), Room: []byte(`a"b`)}, nil, `{"room":"a\"b","type":"x"}`},
		{codec.Envelope{Type: []byte("x"), Room: []byte("r"), Pos: codec.Position{Offset: 7, Epoch: "e"}}, 1,
			`{"room":"r","pos":[7,"e"],"type":"x","data":1}`},
		{codec.Envelope{ID: 1, HasID: true, More: true}, []int(nil), `{"id":1,"more":true,"data":null}`},
		{codec.Envelope{ID: 1, HasID: true, Error: &codec.Error{Code: "x", RetryMS: 2}}, nil, `{"id":1,"error":{"code":"x","retry_ms":2}}`},
		{codec.Envelope{Error: &codec.Error{Code: "x"}}, nil, `{"error":{"code":"x"}}`},
	} {
		b, err := env.AppendEnvelope([]byte("before"), &test.e, test.v)
		if err != nil || string(b) != "before"+test.want {
			t.Errorf("%s, %v; want %s", b, err, test.want)
			continue
		}
		var back codec.Envelope
		err = env.ScanEnvelope(b[len("before"):], &back)
		back.Data = nil
		if err != nil || dump(t, back) != dump(t, test.e) {
			t.Errorf("%s came back as %s, %v", b, dump(t, back), err)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	for _, v := range []any{math.NaN(), make(chan int), func() {}} {
		if b, err := codec.JSON.Append([]byte("before"), v); err == nil || string(b) != "before" {
			t.Errorf("Append(%T) = %q, %v", v, b, err)
		}
		e := codec.Envelope{ID: 1, HasID: true}
		if b, err := env.AppendEnvelope([]byte("before"), &e, v); err == nil || string(b) != "before" {
			t.Errorf("AppendEnvelope(%T) = %q, %v", v, b, err)
		}
	}
	if b, err := codec.JSON.Append(nil, 1); string(b) != "1" || err != nil {
		t.Errorf("after errors: %q, %v", b, err)
	}
}

type panicky struct{}

func (panicky) MarshalJSON() ([]byte, error) { panic("as users do") }

func TestAppendAfterPanic(t *testing.T) {
	func() {
		defer func() { _ = recover() }()
		_, _ = codec.JSON.Append(nil, panicky{})
		t.Error("no panic")
	}()
	if b, err := codec.JSON.Append(nil, []string{"<"}); string(b) != `["<"]` || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

// InJSON's envelope is JSON's, with the payload another codec's.
func TestInJSON(t *testing.T) {
	c := codec.InJSON(shouting{codec.JSON})
	b, err := c.AppendEnvelope(nil, &codec.Envelope{Type: []byte("x")}, "hi")
	if string(b) != `{"type":"x","data":"HI"}` || err != nil {
		t.Errorf("%s, %v", b, err)
	}
	var e codec.Envelope
	if err := c.ScanEnvelope(b, &e); err != nil || string(e.Type) != "x" || string(e.Data) != `"HI"` {
		t.Errorf("%s, %v", dump(t, e), err)
	}
}

type shouting struct{ codec.Codec }

func (s shouting) Append(b []byte, v any) ([]byte, error) {
	p, err := s.Codec.Append(nil, v)
	return append(b, bytes.ToUpper(p)...), err
}

func TestJSONRPC(t *testing.T) {
	c := codec.JSONRPC.(codec.Enveloper)
	for _, test := range []struct {
		in   string
		want codec.Envelope
		out  string // as it is sent again, with the data; "": as in
	}{
		{`{"jsonrpc":"2.0","method":"sum","id":1,"params":[1,2]}`, codec.Envelope{Type: []byte("sum"), ID: 1, HasID: true, Data: []byte("[1,2]")}, ""},
		{`{"jsonrpc":"2.0","method":"sum","id":"a"}`, codec.Envelope{Type: []byte("sum"), Ref: []byte(`"a"`), HasID: true}, ""},
		{`{"jsonrpc":"2.0","method":"sum","id":-1.5}`, codec.Envelope{Type: []byte("sum"), Ref: []byte(`-1.5`), HasID: true}, ""},
		{`{"jsonrpc":"2.0","method":"note","params":{}}`, codec.Envelope{Type: []byte("note"), Data: []byte("{}")}, ""},
		{`{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"a"}}`, codec.Envelope{Type: []byte("$cancel"), Ref: []byte(`"a"`), HasID: true}, ""},
		{`{"jsonrpc":"2.0","method":"$/progress","params":{"token":3,"value":{"a":1}}}`, codec.Envelope{ID: 3, HasID: true, More: true, Data: []byte(`{"a":1}`)}, ""},
		{`{"jsonrpc":"2.0","id":3,"result":null}`, codec.Envelope{ID: 3, HasID: true, Data: []byte(`null`)}, ""},
		{`{"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"Method not found"}}`,
			codec.Envelope{ID: 3, HasID: true, Error: &codec.Error{Code: "unknown_type", Message: "Method not found"}},
			`{"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"Method not found","data":{"code":"unknown_type"}}}`},
		{`{"jsonrpc":"2.0","id":3,"error":{"code":-32000,"message":"no","data":{"code":"mine","details":[1],"retry_ms":4}}}`,
			codec.Envelope{ID: 3, HasID: true, Error: &codec.Error{Code: "mine", Message: "no", Details: []any{1.0}, RetryMS: 4}}, ""},
		{`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`,
			codec.Envelope{Error: &codec.Error{Code: "bad_envelope", Message: "Parse error"}},
			`{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Parse error"}}`},
	} {
		var got codec.Envelope
		if err := c.ScanEnvelope([]byte(test.in), &got); err != nil || dump(t, got) != dump(t, test.want) {
			t.Errorf("%s:\n got %s %v\nwant %s", test.in, dump(t, got), err, dump(t, test.want))
			continue
		}
		var v any
		if got.Data != nil {
			v = json.RawMessage(got.Data)
		}
		out, err := c.AppendEnvelope(nil, &got, v)
		want := test.out
		if want == "" {
			want = test.in
		}
		if err != nil || !sameJSON(t, out, []byte(want)) {
			t.Errorf("sent %s %v, want %s", out, err, want)
		}
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	var x, y any
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		t.Fatal(err)
	}
	return dump(t, x) == dump(t, y)
}

func TestJSONRPCRefuses(t *testing.T) {
	c := codec.JSONRPC.(codec.Enveloper)
	for _, test := range []struct{ in, reply string }{
		{`{"jsonrpc":"2.0","method":"x","params`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		{`1`, ""}, {`{"jsonrpc":"2.0","method":1,"params":{}}`, ""}, {`{"method":"x"}`, ""}, {`{"jsonrpc":"2.0"}`, ""},
		{`{"jsonrpc":"2.0","method":"x","params":"bar"}`, ""}, {`{"jsonrpc":"2.0","method":"x","id":{}}`, ""},
		{`{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":""}}`, ""}, {`{"jsonrpc":"2.0","result":1}`, ""},
		{`{"jsonrpc":"2.0","method":"$/cancelRequest"}`, ""}, {`{"jsonrpc":"2.0","method":"$/progress","params":{"value":1}}`, ""},
	} {
		var e codec.Envelope
		err := c.ScanEnvelope([]byte(test.in), &e)
		if err == nil {
			t.Errorf("%s: accepted", test.in)
			continue
		}
		failure := &codec.Error{Code: "bad_envelope", Message: err.Error()}
		if errors.As(err, &failure) != (test.reply != "") {
			t.Errorf("%s: %v", test.in, err)
		}
		if b, err := c.AppendEnvelope(nil, &codec.Envelope{Error: failure}, nil); test.reply != "" && (string(b) != test.reply || err != nil) {
			t.Errorf("%s: %s, %v", test.in, b, err)
		}
	}
}

func TestJSONRPCParams(t *testing.T) {
	c := codec.JSONRPC.(codec.Enveloper)
	if b, err := c.AppendEnvelope([]byte("before"), &codec.Envelope{Type: []byte("x")}, 1); err == nil || string(b) != "before" {
		t.Errorf("%s, %v", b, err)
	}
}

func TestBatch(t *testing.T) {
	c := codec.JSONRPC.(interface {
		Split([]byte) ([][]byte, error)
		Join([]byte, [][]byte) []byte
	})
	parts, err := c.Split([]byte(` [ {"a":"]"} ,1, [2] ] `))
	if err != nil || string(bytes.Join(parts, []byte("|"))) != `{"a":"]"}|1|[2]` {
		t.Errorf("%q, %v", parts, err)
	}
	if b := c.Join(nil, parts); string(b) != `[{"a":"]"},1,[2]]` {
		t.Errorf("%s", b)
	}
	if parts, err := c.Split([]byte(`{"jsonrpc":"2.0"}`)); parts != nil || err != nil {
		t.Errorf("no batch: %q, %v", parts, err)
	}
	for _, bad := range []string{`[`, `[]`, `[1,]`, `[` + strings.Repeat("1,", 1000) + `1]`} {
		if parts, err := c.Split([]byte(bad)); err == nil {
			t.Errorf("%.20s: %q", bad, parts)
		}
	}
}

// What is taken for JSON-RPC can be sent again, and means the same then.
func FuzzJSONRPC(f *testing.F) {
	c := codec.JSONRPC.(interface {
		codec.Enveloper
		Split([]byte) ([][]byte, error)
	})
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":"a","method":"sum","params":[1]}`, `{"jsonrpc":"2.0","id":-1.5e3,"result":null}`, `[{"jsonrpc":"2.0"},[],1]`,
		`{"jsonrpc":"2.0","method":"$/progress","params":{"token":"t","value":{}}}`, `{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":7}}`,
		`{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"m","data":{"code":"c","details":[],"retry_ms":1}}}`, `[`, `{"jsonrpc":"2.0","id":null,"method":"\u0024"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if !utf8.Valid(p) {
			return
		}
		parts, err := c.Split(p)
		if err == nil && parts == nil {
			parts = [][]byte{p}
		}
		for _, part := range parts {
			var e codec.Envelope
			if c.ScanEnvelope(part, &e) == nil {
				again(t, c, &e)
			}
		}
	})
}

func again(t *testing.T, c codec.Enveloper, e *codec.Envelope) {
	var v any
	if e.Data != nil {
		v = json.RawMessage(e.Data)
	}
	b, err := c.AppendEnvelope(nil, e, v)
	if err != nil {
		t.Fatalf("%s: %v", dump(t, e), err)
	}
	var back codec.Envelope
	if err := c.ScanEnvelope(b, &back); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	was := *e
	if was.Data == nil && was.Type == nil && was.Error == nil { // a result or an item there always is
		was.Data = []byte("null")
	}
	if was.Error != nil || back.Error != nil { // their numbers have names of their own
		was.Error, back.Error = nil, nil
	}
	was.Data, back.Data = compact(was.Data), compact(back.Data)
	if dump(t, back) != dump(t, was) {
		t.Fatalf("%s\n came back as %s", dump(t, was), dump(t, back))
	}
}

func compact(p []byte) []byte {
	var b bytes.Buffer
	if p == nil || json.Compact(&b, p) != nil {
		return p
	}
	return b.Bytes()
}
