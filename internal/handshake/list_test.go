package handshake

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestElements(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  []string
	}{
		{"none", nil, nil},
		{"empty line", []string{""}, nil},
		{"one", []string{"a"}, []string{"a"}},
		{"white space", []string{"\t a ,\tb\t"}, []string{"a", "b"}},
		{"empty elements", []string{", a,, ,b,"}, []string{"a", "b"}},
		{"several lines", []string{"a, b", "c", "", "d"}, []string{"a", "b", "c", "d"}},
		{"quoted comma", []string{`a="1,2", b`}, []string{`a="1,2"`, "b"}},
		{"escaped quote", []string{`a="1\",2", b`}, []string{`a="1\",2"`, "b"}},
		{"backslash outside quotes", []string{`a\, b`}, []string{`a\`, "b"}},
		{"open quote takes the rest of its line", []string{`a="1, b`, "c"}, []string{`a="1, b`, "c"}},
		{"other white space stays", []string{"a\v, b"}, []string{"a\v", "b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := slices.Collect(elements(tt.lines)); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestElementsStops(t *testing.T) {
	for elem := range elements([]string{"a, b", "c"}) {
		if elem != "a" {
			t.Fatalf("went on to %q", elem)
		}
		break
	}
}

func TestContains(t *testing.T) {
	tests := []struct {
		line string
		want bool
	}{
		{"websocket", true},
		{"WebSocket", true},
		{"h2c, WEBSOCKET", true},
		{"websockets", false},
		{"websocket/13", false},
		{`"websocket"`, false},
		{"web socket", false},
		{"websoc\u212aet", false}, // the Kelvin sign folds to k in Unicode
		{"", false},
	}
	for _, tt := range tests {
		if got := contains([]string{tt.line}, "websocket"); got != tt.want {
			t.Errorf("contains(%q) = %v", tt.line, got)
		}
	}
}

func TestIsToken(t *testing.T) {
	const others = "!#$%&'*+-.^_`|~"
	for c := range 256 {
		s := string([]byte{byte(c)})
		want := regexp.MustCompile(`^[0-9A-Za-z]$`).MatchString(s) || strings.Contains(others, s)
		if got := isToken(s); got != want {
			t.Errorf("isToken(%q) = %v", s, got)
		}
	}
	if isToken("") {
		t.Error("the empty string is a token")
	}
}

// listElement is one element of a list with whatever is around it, up to the next comma outside quotes.
var listElement = regexp.MustCompile(`(?s)^((?:"(?:[^"\\]|\\.)*"|[^",])*)(?:,|$)`)

// naiveElements splits by the grammar of RFC 9110, as a regular expression; false where quotes are not balanced.
func naiveElements(line string) (list []string, ok bool) {
	for rest := line; ; {
		m := listElement.FindStringSubmatch(rest)
		if m == nil {
			return nil, false
		}
		if elem := strings.Trim(m[1], " \t"); elem != "" {
			list = append(list, elem)
		}
		if !strings.HasSuffix(m[0], ",") || len(m[0]) == len(m[1]) {
			return list, true
		}
		rest = rest[len(m[0]):]
	}
}

func FuzzElements(f *testing.F) {
	for _, s := range []string{"", "a", "a, b", ` ,,a="x,\"y", b;c=d ,`, `"`, `\`, "a\x00,\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		want, ok := naiveElements(line)
		if !ok {
			return
		}
		if got := slices.Collect(elements([]string{line})); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	})
}
