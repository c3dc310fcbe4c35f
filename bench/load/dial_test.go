//go:build linux

package load

import "testing"

func TestCheckResponse(t *testing.T) {
	const ok = "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	const deflate = "Sec-WebSocket-Extensions: permessage-deflate"
	for _, c := range []struct {
		name     string
		response string
		spec     Spec
		want     extension
		fails    bool
	}{
		{"plain", ok, Spec{}, extension{clientBits: 15}, false},
		{"status", "HTTP/1.1 403 Forbidden\r\n", Spec{}, extension{}, true},
		{"no accept", "HTTP/1.1 101 Switching Protocols\r\n", Spec{}, extension{}, true},
		{"unasked extension", ok + deflate + "\r\n", Spec{}, extension{}, true},
		{"extension missing", ok, Spec{Deflate: true}, extension{}, true},
		{"no takeover", ok + deflate + "; server_no_context_takeover; client_no_context_takeover\r\n", Spec{Deflate: true},
			extension{on: true, serverNoTakeover: true, clientNoTakeover: true, clientBits: 15}, false},
		{"no takeover wanted", ok + deflate + "\r\n", Spec{Deflate: true}, extension{}, true},
		{"takeover", ok + deflate + "; client_max_window_bits=12;server_max_window_bits=\"10\"\r\n", Spec{Deflate: true, Takeover: true},
			extension{on: true, clientBits: 12}, false},
		{"takeover wanted", ok + deflate + "; server_no_context_takeover\r\n", Spec{Deflate: true, Takeover: true}, extension{}, true},
		{"mixed, context takeover not to be had", ok + deflate + "; server_no_context_takeover; client_no_context_takeover\r\n",
			Spec{Mixed: true}.of(2), extension{on: true, serverNoTakeover: true, clientNoTakeover: true, clientBits: 15}, false},
		{"mixed, no takeover wanted", ok + deflate + "\r\n", Spec{Mixed: true}.of(1), extension{}, true},
		{"mixed, plain", ok + deflate + "\r\n", Spec{Mixed: true}.of(3), extension{}, true},
		{"window bits", ok + deflate + "; client_max_window_bits=7\r\n", Spec{Deflate: true, Takeover: true}, extension{}, true},
		{"unknown parameter", ok + deflate + "; zstd\r\n", Spec{Deflate: true, Takeover: true}, extension{}, true},
	} {
		got, err := checkResponse(c.response+"\r\n", c.spec)
		if c.fails != (err != nil) || err == nil && got != c.want {
			t.Errorf("%s: %+v, error %v; want %+v, error %t", c.name, got, err, c.want, c.fails)
		}
	}
}
