package schema_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tidewire/ws/router/schema"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s has changed: see go test -update and git diff", path)
	}
}

func TestGolden(t *testing.T) {
	document, err := api().AsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "asyncapi.json", document)
	client, err := api().TypeScript()
	if err != nil {
		t.Fatal(err)
	}
	types, _, ok := strings.Cut(string(client), "/** What a request failed with")
	if !ok {
		t.Fatal("no runtime in the client")
	}
	golden(t, "types.ts", []byte(types))
}

func TestCheck(t *testing.T) {
	type recursive struct{ Next *recursive }
	type hidden struct {
		F func()   `json:"-"`
		f chan int //nolint:unused // it must not be seen
	}
	for _, v := range []any{0, "", recursive{}, hidden{}, map[int]string{}, Post{}, struct{ V any }{}} {
		if err := schema.Check(reflect.TypeOf(v)); err != nil {
			t.Error(err)
		}
	}
	for _, v := range []any{make(chan int), func() {}, 1i, struct{ A []map[string]*func() }{}, map[float64]int{}, map[struct{}]int{}} {
		if err := schema.Check(reflect.TypeOf(v)); err == nil {
			t.Errorf("%T can be encoded", v)
		}
	}
}

// The members that the schema of a struct has are those that encoding/json writes.
func TestMembers(t *testing.T) {
	type tagged struct {
		X int `json:"Y"`
	}
	type other struct{ Y, X int }
	type plain struct{ Y, Z int }
	type deep struct{ plain }
	for _, v := range []any{
		struct {
			tagged
			plain
		}{},
		struct {
			deep
			Z string
		}{},
		struct {
			plain
			Other struct{ plain }
		}{},
		struct {
			plain
			other
		}{},
		struct {
			A int `json:"bad\"name"`
			B int `json:",omitempty"`
			C int `json:"-,"`
		}{B: 1},
		struct {
			plain `json:"named"`
			*Empty
		}{},
	} {
		a := schema.API{Messages: []schema.Message{{Type: "x", Kind: schema.Event, In: reflect.TypeOf(v)}}}
		b, err := a.AsyncAPI()
		if err != nil {
			t.Fatal(err)
		}
		var d struct {
			Components struct {
				Messages map[string]struct {
					Payload struct {
						Properties struct {
							Data struct{ Properties map[string]any }
						}
					}
				}
			}
		}
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatal(err)
		}
		var want map[string]any
		encoded, err := json.Marshal(v)
		if err != nil || json.Unmarshal(encoded, &want) != nil {
			t.Fatal(err)
		}
		got := d.Components.Messages["x"].Payload.Properties.Data.Properties
		if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) {
			t.Errorf("%T: %v, want %s", v, got, encoded)
		}
	}
}

func one(in, out any) []byte {
	m := schema.Message{Type: "m", Kind: schema.Request, In: reflect.TypeOf(in), Out: reflect.TypeOf(out)}
	b, err := (&schema.API{Messages: []schema.Message{m}}).AsyncAPI()
	if err != nil {
		panic(err)
	}
	return b
}

type oldItem struct{ A, B int }

type newItem struct{ A int }

type oldColour string

func (oldColour) Enum() []oldColour { return []oldColour{"red", "green"} }

type newColour string

func (newColour) Enum() []newColour { return []newColour{"red", "green", "blue"} }

type oldNode struct{ Next *oldNode }

type newNode struct {
	Next  *newNode
	Value int
}

func TestBreaking(t *testing.T) {
	for _, test := range []struct {
		name     string
		old, new any
		in, out  string // what breaks when it is taken, and when it is sent
	}{
		{"nothing", Post{}, Post{}, "", ""},
		{"removed", oldItem{}, newItem{}, ".B: removed", ".B: removed"},
		{"added", newItem{}, oldItem{}, ".B: now required", ""},
		{"added optional", struct{}{}, struct {
			A int `json:",omitempty"`
		}{}, "", ""},
		{"now optional", newItem{}, struct {
			A int `json:",omitempty"`
		}{}, "", ".A: may now be absent"},
		{"type", struct{ A int }{}, struct{ A string }{}, ".A: was integer, is string", ".A: was integer, is string"},
		{"wider", struct{ A int }{}, struct{ A float64 }{}, "", ".A: was integer, is number"},
		{"narrower", struct{ A int }{}, struct{ A uint }{}, ".A: was integer, is unsigned integer", ""},
		{"any", struct{ A int }{}, struct{ A any }{}, "", ".A: was integer, is anything"},
		{"nullable", struct{ A int }{}, struct{ A *int }{}, "", ".A: may now be null"},
		{"not nullable", struct{ A *oldItem }{}, struct{ A oldItem }{}, ".A: may no longer be null", ""},
		{"enum", oldColour(""), newColour(""), "", ": was one of red green, is one of red green blue"},
		{"in a list", []oldItem{}, []newItem{}, "[].B: removed", "[].B: removed"},
		{"in a map", map[string]oldItem{}, map[string]newItem{}, "[].B: removed", "[].B: removed"},
		{"map to struct", map[string]int{}, struct{}{}, ": was map, is object", ": was map, is object"},
		{"recursive", oldNode{}, newNode{}, ".Value: now required", ""},
		{"bytes", []byte{}, "", ": was string (base64), is string", ": was string (base64), is string"},
	} {
		for _, direction := range []struct {
			old, new []byte
			want     string
			path     string
		}{
			{one(test.old, 0), one(test.new, 0), test.in, "m data"},
			{one(0, test.old), one(0, test.new), test.out, "m reply"},
		} {
			found, err := schema.Breaking(direction.old, direction.new)
			if err != nil {
				t.Fatal(err)
			}
			want := direction.want
			if want != "" {
				want = direction.path + want
			}
			if got := strings.Join(found, "; "); !strings.Contains(got, want) || (got == "") != (want == "") {
				t.Errorf("%s: %q, want %q", test.name, got, want)
			}
		}
	}
}

func TestBreakingMessages(t *testing.T) {
	older, newer := api(), api()
	newer.Messages = newer.Messages[1:]
	newer.Messages[0].Kind = schema.Stream
	newer.Messages = append(newer.Messages, schema.Message{Type: "new", Kind: schema.Event, In: reflect.TypeFor[int]()})
	a, err := older.AsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	b, err := newer.AsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	found, err := schema.Breaking(a, b)
	if want := []string{"post: request removed", "posts: was request, is stream"}; err != nil || !slices.Equal(found, want) {
		t.Errorf("%q, %v", found, err)
	}
	if _, err := schema.Breaking([]byte("x"), b); err == nil {
		t.Error("no error")
	}
}

func TestFlag(t *testing.T) {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	generate := schema.Flag(flags)
	if done, err := generate(api()); done || err != nil {
		t.Error(done, err)
	}
	folder := filepath.Join(t.TempDir(), "deep", "down")
	if err := flags.Parse([]string{"-schema", folder}); err != nil {
		t.Fatal(err)
	}
	if done, err := generate(api()); !done || err != nil {
		t.Error(done, err)
	}
	got, err := os.ReadFile(filepath.Join(folder, "client.ts"))
	want, _ := api().TypeScript()
	if err != nil || !bytes.Equal(got, want) {
		t.Error(err)
	}
}

func TestHandler(t *testing.T) {
	srv := httptest.NewServer(api().Handler("/ws"))
	defer srv.Close()
	for path, want := range map[string][2]string{
		"/":              {"text/html; charset=utf-8", `new Client("/ws"`},
		"/asyncapi.json": {"application/json", `"asyncapi": "3.0.0"`},
		"/client.ts":     {"text/plain; charset=utf-8", "export interface Requests"},
		"/client.js":     {"text/javascript; charset=utf-8", "export class Client"},
	} {
		resp, err := srv.Client().Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.Header.Get("Content-Type") != want[0] || !strings.Contains(string(body), want[1]) {
			t.Errorf("%s: %v, %s, %.100s", path, err, resp.Header.Get("Content-Type"), body)
		}
	}
}
