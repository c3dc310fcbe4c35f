package schema_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/tidewire/ws/router/schema"
)

// node runs a program of the npm packages that client/package.json names.
func node(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	program, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	if _, err := os.Stat("client/node_modules"); err != nil {
		t.Skip("run npm install in router/schema/client")
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node %q: %v\n%s", args, err, out)
	}
	return out
}

const tsc = "client/node_modules/typescript/bin/tsc"

// strict are the options of client/tsconfig.json.
var strict = []string{"--strict", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler",
	"--lib", "es2022,dom,dom.iterable", "--types", "", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes"}

// client.js is what tsc makes of client.ts.
func TestJavaScriptIsUpToDate(t *testing.T) {
	folder := t.TempDir()
	node(t, nil, tsc, "--project", "client/tsconfig.json", "--outDir", folder)
	got, err := os.ReadFile(filepath.Join(folder, "client.js"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, schema.JavaScript()) {
		t.Error("client.js is not what tsc makes of client.ts: npm run build in router/schema/client")
	}
}

func TestTypeScriptIsStrict(t *testing.T) {
	folder := t.TempDir()
	client, err := api().TypeScript()
	if err != nil {
		t.Fatal(err)
	}
	test, err := os.ReadFile("client/types.test.ts")
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"generated.ts": client, "types.test.ts": test} {
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{tsc, "--noEmit", "--allowImportingTsExtensions"}, strict...)
	node(t, nil, append(args, filepath.Join(folder, "types.test.ts"))...)
}

type sample struct {
	At    []string `json:"at"`
	Value any      `json:"value"`
	Wrong bool     `json:"wrong"`
}

// The document is valid, and its schemas describe what encoding/json writes.
func TestAsyncAPIIsValid(t *testing.T) {
	document, err := api().AsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	at := func(message string) []string {
		return []string{"components", "messages", message, "payload", "properties", "data"}
	}
	var samples []sample
	for _, m := range api().Messages {
		name, typ := m.Type, m.In
		switch {
		case m.Kind == schema.Emitted:
			name, typ = m.Type+".emitted", m.Out
		case m.Kind == schema.Published:
			name = m.Type + ".published"
		case m.Type == `odd "type"`:
			name = "odd__type_"
		}
		for depth := range 4 {
			v := reflect.New(typ).Elem()
			fill(v, depth)
			samples = append(samples, sample{at(name), v.Interface(), false})
		}
	}
	for _, v := range []any{nil, 1, "x", map[string]any{}, map[string]any{"id": 1}} {
		samples = append(samples, sample{at("post"), v, true})
	}
	samples = append(samples, sample{at("watch"), "blue", true}, sample{at("sum"), []any{1.5}, true}, sample{at("typing"), nil, true})
	input, err := json.Marshal(map[string]any{"document": json.RawMessage(document), "samples": samples})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", node(t, input, "client/validate.mjs"))
}

// fill gives everything in v some value, up to a depth; 0 leaves the zero value
// where that is allowed.
func fill(v reflect.Value, depth int) {
	if m := v.MethodByName("Enum"); m.IsValid() {
		v.Set(m.Call(nil)[0].Index(0))
		return
	}
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(1e9, 0).UTC()))
		return
	case json.Number:
		v.SetString("1.5")
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), depth)
			}
		}
		return
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), depth)
		}
		return
	}
	if depth == 0 {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth-1)
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			v.SetBytes([]byte(`{"raw":[]}`))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), depth-1)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, depth)
		fill(value, depth-1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Interface:
		if v.NumMethod() == 0 {
			v.Set(reflect.ValueOf([]int{1}))
		}
	default:
		if v.CanInt() {
			v.SetInt(-3)
		} else if v.CanUint() {
			v.SetUint(3)
		} else if v.CanFloat() {
			v.SetFloat(0.5)
		}
	}
}
