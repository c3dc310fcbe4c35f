package handshake

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestProtocols(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  []string
		err   string
	}{
		{name: "none"},
		{name: "one", lines: []string{"chat"}, want: []string{"chat"}},
		{name: "in order, over lines", lines: []string{"b, a", " c"}, want: []string{"b", "a", "c"}},
		{name: "case makes two", lines: []string{"chat, Chat"}, want: []string{"chat", "Chat"}},
		{name: "token characters", lines: []string{"bearer.eyJ0~_-"}, want: []string{"bearer.eyJ0~_-"}},
		{name: "twice", lines: []string{"chat, x", "chat"}, err: `lists "chat" twice`},
		{name: "no token", lines: []string{"chat v2"}, err: `has "chat v2", which is no token`},
		{name: "quoted", lines: []string{`"chat"`}, err: "which is no token"},
		{name: "too many", lines: many(maxProtocols + 1), err: "more than 64"},
		{name: "just enough", lines: many(maxProtocols), want: many(maxProtocols)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Protocols(http.Header{hdrProtocol: tt.lines})
			if !slices.Equal(got, tt.want) || (err == nil) != (tt.err == "") {
				t.Fatalf("got %q, %v; want %q", got, err, tt.want)
			}
			var e *Error
			if err != nil && (!errors.As(err, &e) || e.Status != http.StatusBadRequest || !strings.Contains(e.Text, tt.err)) {
				t.Errorf("error %v, want a 400 with %q", err, tt.err)
			}
		})
	}
}

func many(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("p%d", i)
	}
	return names
}

func TestChooseProtocol(t *testing.T) {
	tests := []struct {
		server, offered []string
		want            string
	}{
		{nil, nil, ""},
		{nil, []string{"a"}, ""},
		{[]string{"a"}, nil, ""},
		{[]string{"a", "b"}, []string{"b", "a"}, "a"},
		{[]string{"a", "b"}, []string{"c", "b"}, "b"},
		{[]string{"a"}, []string{"A"}, ""},
	}
	for _, tt := range tests {
		if got := ChooseProtocol(tt.server, tt.offered); got != tt.want {
			t.Errorf("server %q, offered %q: got %q, want %q", tt.server, tt.offered, got, tt.want)
		}
	}
}
