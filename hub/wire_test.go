package hub

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/tidewire/ws"
)

var contents = []*content{
	{from: "n", parts: []part{{typ: ws.Binary, data: []byte{}}}},
	{from: "n", key: "k", noCompress: true, except: 1 << 40, parts: []part{{typ: ws.Text, data: []byte("hello")}}},
	{from: "n", typed: true, parts: []part{{"json", ws.Text, []byte("{}")}, {"msgpack", ws.Binary, bytes.Repeat([]byte{1}, 300)}}},
}

func TestPacket(t *testing.T) {
	b := newPacket(kindMessage, "n")
	for _, ct := range contents {
		b = ct.append(b)
	}
	p, err := parsePacket(b)
	if err != nil || p.kind != kindMessage || p.from != "n" {
		t.Fatal(p, err)
	}
	rest := p.body
	for _, want := range contents {
		var got *content
		if got, rest, err = parseContent(rest, p.from); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	}
	if len(rest) > 0 {
		t.Errorf("%d bytes are left", len(rest))
	}
	for n := range len(p.body) { // cut anywhere: no message is made up
		whole := 0
		for rest := p.body[:n]; len(rest) > 0; whole++ {
			if _, rest, err = parseContent(rest, p.from); err != nil {
				break
			}
		}
		if whole == len(contents) {
			t.Errorf("all messages in %d of %d bytes", n, len(p.body))
		}
	}
}

// Whatever comes is an error, or is what append makes of the result.
func FuzzParse(f *testing.F) {
	for _, ct := range contents {
		f.Add(ct.append(newPacket(kindMessage, "n")))
	}
	f.Add([]byte{version, 1, 1, 'n', 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parsePacket(b)
		if err != nil {
			return
		}
		ct, rest, err := parseContent(p.body, p.from)
		if err != nil {
			return
		}
		again, left, err := parseContent(ct.append(nil), p.from)
		if err != nil || len(left) > 0 || !reflect.DeepEqual(ct, again) || len(rest) > len(p.body) {
			t.Errorf("%+v became %+v, %v", ct, again, err)
		}
	})
}

func TestEscaped(t *testing.T) {
	for room, want := range map[string]string{"lobby-1_A": "lobby-1_A", "a b.*>%/é": "a%20b%2E%2A%3E%25%2F%C3%A9"} {
		if got := escaped(room); got != want {
			t.Errorf("escaped(%q) = %q, want %q", room, got, want)
		}
	}
	if n := len(messagesOf + escaped(strings.Repeat("é", maxRoomName/2))); n > 400 {
		t.Errorf("a topic of %d bytes", n)
	}
}
