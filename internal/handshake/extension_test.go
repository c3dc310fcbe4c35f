package handshake

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestExtensions(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  []Extension
	}{
		{"none", nil, nil},
		{"bare", []string{"permessage-deflate"}, []Extension{{Name: "permessage-deflate"}}},
		{"browser", []string{"permessage-deflate; client_max_window_bits"},
			[]Extension{{"permessage-deflate", []Param{{Name: "client_max_window_bits"}}}}},
		{"values", []string{`x;a=1 ; b = "2";c="\3"`},
			[]Extension{{"x", []Param{{"a", "1", true}, {"b", "2", true}, {"c", "3", true}}}}},
		{"several offers", []string{"x; a, x", "y"}, []Extension{{"x", []Param{{Name: "a"}}}, {Name: "x"}, {Name: "y"}}},
		{"name as it is", []string{"Permessage-Deflate"}, []Extension{{Name: "Permessage-Deflate"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Extensions(http.Header{hdrExtensions: tt.lines})
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestExtensionsMalformed(t *testing.T) {
	tests := []string{
		";", ";a", "x;", "x;;a", "x y", "x; a b", "x; =1", "x; a=", `x; a=""`, `x; a="b c"`, `x; a="b`, `x; a=b"c"`, "x; a=b=c",
		`"x"`, "x\x00", strings.Repeat("x,", maxExtensions+1), "x" + strings.Repeat(";a", maxParams+1),
	}
	for _, line := range tests {
		got, err := Extensions(http.Header{hdrExtensions: {"good, " + line}})
		var e *Error
		if !errors.As(err, &e) || e.Status != http.StatusBadRequest {
			t.Errorf("%q: got %+v, %v", line, got, err)
		}
	}
}

func TestExtensionsAtTheBounds(t *testing.T) {
	line := strings.Repeat("x,", maxExtensions-1) + "x" + strings.Repeat(";a", maxParams)
	got, err := Extensions(http.Header{hdrExtensions: {line}})
	if err != nil || len(got) != maxExtensions || len(got[maxExtensions-1].Params) != maxParams {
		t.Errorf("got %d extensions, %v", len(got), err)
	}
}

// FuzzExtensions writes what was parsed in its plainest form, which must parse to the same.
func FuzzExtensions(f *testing.F) {
	for _, s := range []string{"permessage-deflate; client_max_window_bits", `x;a="b\c", y`, "x;", `"`, "x=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		first, err := Extensions(http.Header{hdrExtensions: {line}})
		if err != nil {
			return
		}
		second, err := Extensions(http.Header{hdrExtensions: {plain(first)}})
		if err != nil || !reflect.DeepEqual(first, second) {
			t.Errorf("%q: %+v became %+v, %v", line, first, second, err)
		}
	})
}

func plain(list []Extension) string {
	var b strings.Builder
	for _, e := range list {
		b.WriteString("," + e.Name)
		for _, p := range e.Params {
			b.WriteString(";" + p.Name)
			if p.Valued {
				b.WriteString("=" + p.Value)
			}
		}
	}
	return b.String()
}
