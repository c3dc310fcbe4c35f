package handshake

import (
	"bufio"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

func TestNewKey(t *testing.T) {
	a, b := NewKey(), NewKey()
	raw, err := base64.StdEncoding.DecodeString(a)
	if err != nil || len(raw) != 16 || a == b {
		t.Errorf("got %q and %q, %v", a, b, err)
	}
}

func TestAppendRequest(t *testing.T) {
	b, err := AppendRequest(nil, Request{
		Target: "/chat?room=1", Host: "example.com:8080", Key: sampleKey, Protocols: []string{"v2", "v1"},
		Extensions: "permessage-deflate; client_max_window_bits", Header: http.Header{"Origin": {"http://example.com"}, "Cookie": {"a=b"}},
	})
	want := strings.Join([]string{
		"GET /chat?room=1 HTTP/1.1",
		"Host: example.com:8080",
		"Upgrade: websocket",
		"Connection: Upgrade",
		"Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: " + sampleKey,
		"Sec-WebSocket-Protocol: v2, v1",
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
		"Cookie: a=b",
		"Origin: http://example.com",
		"", "",
	}, "\r\n")
	if err != nil || string(b) != want {
		t.Errorf("got %q, %v", b, err)
	}
}

// TestBothEnds lets each end check what the other one writes.
func TestBothEnds(t *testing.T) {
	req := Request{Target: "/", Host: "example.com", Key: NewKey(), Protocols: []string{"v2", "v1"}, Extensions: "x, y; a=1"}
	b, err := AppendRequest(nil, req)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(b))))
	if err != nil {
		t.Fatal(err)
	}
	key, err := CheckRequest(r)
	if err != nil || key != req.Key {
		t.Fatalf("got %q, %v", key, err)
	}
	offered, err := Protocols(r.Header)
	if err != nil {
		t.Fatal(err)
	}
	b, err = AppendResponse(nil, Response{Key: key, Protocol: ChooseProtocol([]string{"v1"}, offered), Extensions: "y; a=1"})
	if err != nil {
		t.Fatal(err)
	}
	resp := readResponse(t, string(b))
	protocol, err := CheckResponse(resp, req)
	if err != nil || protocol != "v1" || resp.Header.Get("Sec-WebSocket-Extensions") != "y; a=1" {
		t.Errorf("got %q, %v, %v", protocol, err, resp.Header)
	}
}

func readResponse(t *testing.T, raw string) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(raw)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestAppendRequestRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Request)
		err    string
	}{
		{"empty target", func(r *Request) { r.Target = "" }, "path and query"},
		{"absolute target", func(r *Request) { r.Target = "ws://h/" }, "path and query"},
		{"space in the target", func(r *Request) { r.Target = "/ HTTP/1.1" }, "path and query"},
		{"line in the target", func(r *Request) { r.Target = "/\r\nEvil:" }, "path and query"},
		{"delete in the target", func(r *Request) { r.Target = "/\x7f" }, "path and query"},
		{"no host", func(r *Request) { r.Host = "" }, "punycode"},
		{"line in the host", func(r *Request) { r.Host = "h\r\nEvil:" }, "can't be sent"},
		{"letters in the host", func(r *Request) { r.Host = "bücher.example" }, "punycode"},
		{"no token", func(r *Request) { r.Protocols = []string{"a", "b c"} }, `subprotocols has "b c"`},
		{"empty protocol", func(r *Request) { r.Protocols = []string{""} }, "no token"},
		{"twice", func(r *Request) { r.Protocols = []string{"a", "a"} }, `lists "a" twice`},
		{"Host as a header", func(r *Request) { r.Header = http.Header{"Host": {"h"}} }, "set by the handshake"},
		{"injection", func(r *Request) { r.Header = http.Header{"X": {"a\r\nEvil: 1"}} }, "control character"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Request{Target: "/", Host: "h", Key: sampleKey}
			tt.change(&r)
			if b, err := AppendRequest(nil, r); err == nil || b != nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %q, %v; want %q", b, err, tt.err)
			}
		})
	}
}

const goodResponse = "HTTP/1.1 101 Switching Protocols|Upgrade: websocket|Connection: Upgrade|" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=|X: y||"

func TestCheckResponse(t *testing.T) {
	const add = "X: y"
	tests := []struct{ name, old, new, err string }{
		{"good", "", "", ""},
		{"case", "Upgrade: websocket", "upgrade: WebSocket", ""},
		{"list", "Connection: Upgrade", "Connection: keep-alive|Connection: upgrade", ""},
		{"offered protocol", add, "Sec-WebSocket-Protocol: v1", ""},
		{"200", "101 Switching Protocols", "200 OK", `answered "200 OK" to the handshake, not 101 (is the path`},
		{"401", "101 Switching Protocols", "401 Unauthorized", `answered "401 Unauthorized"`},
		{"302", "101 Switching Protocols|", "302 Found|Location: /login|", `redirects to "/login"`},
		{"426", "101 Switching Protocols|", "426 Upgrade Required|Sec-WebSocket-Version: 8, 7|", `version "8, 7", this client 13`},
		{"426 for another reason", "101 Switching Protocols|", "426 Upgrade Required|Sec-WebSocket-Version: 13, 8|", `not 101`},
		{"no Upgrade", "Upgrade: websocket|", "", `Upgrade header "", not "websocket"`},
		{"other Upgrade", "Upgrade: websocket|", "Upgrade: h2c|", `Upgrade header "h2c"`},
		{"two Upgrades", "Upgrade: websocket|", "Upgrade: websocket, h2c|", `Upgrade header "websocket, h2c"`},
		{"no Connection", "Connection: Upgrade|", "", `Connection header "" without`},
		{"other Connection", "Connection: Upgrade", "Connection: keep-alive", `Connection header "keep-alive" without`},
		{"no Accept", "Sec-WebSocket-Accept", "X", `Sec-WebSocket-Accept "" does not answer`},
		{"wrong Accept", "s3p", "s3P", `Sec-WebSocket-Accept "s3PPLM`},
		{"two Accepts", add, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "does not answer"},
		{"protocol not offered", add, "Sec-WebSocket-Protocol: v3", `Sec-WebSocket-Protocol "v3" is none of the offered ["v2" "v1"]`},
		{"protocol, case", add, "Sec-WebSocket-Protocol: V1", "none of the offered"},
		{"two protocols", add, "Sec-WebSocket-Protocol: v1, v2", "none of the offered"},
		{"two lines of protocols", add, "Sec-WebSocket-Protocol: v1|Sec-WebSocket-Protocol: v1", "none of the offered"},
		{"empty protocol", add, "Sec-WebSocket-Protocol:", "none of the offered"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := readResponse(t, strings.ReplaceAll(strings.Replace(goodResponse, tt.old, tt.new, 1), "|", "\r\n"))
			protocol, err := CheckResponse(resp, Request{Key: sampleKey, Protocols: []string{"v2", "v1"}})
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
			if want := resp.Header.Get("Sec-WebSocket-Protocol"); err == nil && protocol != want || err != nil && protocol != "" {
				t.Errorf("got subprotocol %q, %v", protocol, err)
			}
		})
	}
}

func TestCheckResponseWithoutOffers(t *testing.T) {
	raw := strings.ReplaceAll(strings.Replace(goodResponse, "X: y", "Sec-WebSocket-Protocol: v1", 1), "|", "\r\n")
	if protocol, err := CheckResponse(readResponse(t, raw), Request{Key: sampleKey}); err == nil {
		t.Errorf("accepted %q", protocol)
	}
}
