package handshake

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
)

const sampleKey = "dGhlIHNhbXBsZSBub25jZQ==" // RFC 6455 1.3

// parse makes a request of lines that are separated by "|", as net/http would.
func parse(t testing.TB, lines string) *http.Request {
	t.Helper()
	raw := strings.ReplaceAll(lines, "|", "\r\n") + "\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatalf("%q: %v", lines, err)
	}
	return r
}

const goodRequest = "GET /chat HTTP/1.1|Host: example.com|Upgrade: websocket|Connection: Upgrade|" +
	"Sec-WebSocket-Version: 13|Sec-WebSocket-Key: " + sampleKey

func TestCheckRequestAccepts(t *testing.T) {
	tests := []struct{ name, old, new string }{
		{"as in the RFC", "", ""},
		{"Firefox", "Connection: Upgrade", "Connection: keep-alive, Upgrade"},
		{"over lines", "Connection: Upgrade", "Connection: keep-alive|Connection: , upgrade ,"},
		{"several protocols", "Upgrade: websocket", "Upgrade: h2c|Upgrade: WebSocket"},
		{"white space", sampleKey, "\t" + sampleKey + " "},
		{"a length of nothing", "Host:", "Content-Length: 0|Host:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := parse(t, strings.Replace(goodRequest, tt.old, tt.new, 1))
			key, err := CheckRequest(r)
			if key != sampleKey || err != nil {
				t.Errorf("got %q, %v", key, err)
			}
			if !IsUpgrade(r) {
				t.Error("accepted, but no upgrade: middleware would not see it")
			}
		})
	}
}

func TestCheckRequestRefuses(t *testing.T) {
	const cut = "" // replaces a line by nothing
	tests := []struct {
		name, old, new string
		status         int
		text           string
	}{
		{"POST", "GET", "POST", 405, `opened with GET, not "POST"`},
		{"HEAD", "GET", "HEAD", 405, "opened with GET"},
		{"HTTP/1.0", "HTTP/1.1", "HTTP/1.0", 426, "proxy_http_version 1.1"},
		{"no Upgrade", "Upgrade: websocket|", cut, 426, "must forward the Upgrade and Connection headers"},
		{"no Connection", "Connection: Upgrade|", cut, 426, "must forward the Upgrade and Connection headers"},
		{"Connection: close", "Connection: Upgrade", "Connection: close", 426, `Connection header has no "upgrade"`},
		{"other protocol", "websocket", "h2c", 426, `Upgrade header has no "websocket"`},
		{"no Host", "Host: example.com", "Host:", 400, "no Host header"},
		{"body", "Host:", "Content-Length: 5|Host:", 400, "must not have a body"},
		{"chunked body", "Host:", "Transfer-Encoding: chunked|Host:", 400, "must not have a body"},
		{"no version", "Sec-WebSocket-Version: 13|", cut, 426, "Sec-WebSocket-Version header is missing"},
		{"version 8", "Version: 13", "Version: 8", 426, `Sec-WebSocket-Version "8" is not supported`},
		{"version list", "Version: 13", "Version: 13, 8", 426, `"13, 8" is not supported`},
		{"version 013", "Version: 13", "Version: 013", 426, `"013" is not supported`},
		{"two versions", "Host:", "Sec-WebSocket-Version: 13|Host:", 400, "Sec-WebSocket-Version header came more than once"},
		{"no key", "Sec-WebSocket-Key: ", "X: ", 400, "Sec-WebSocket-Key header came 0 times"},
		{"two keys", "Host:", "Sec-WebSocket-Key: " + sampleKey + "|Host:", 400, "came 2 times"},
		{"empty key", sampleKey, cut, 400, "not 16 bytes in base64"},
		{"15 bytes", sampleKey, "MTIzNDU2Nzg5MDEyMzQ1", 400, "not 16 bytes in base64"},
		{"17 bytes", sampleKey, "MTIzNDU2Nzg5MDEyMzQ1Njc=", 400, "not 16 bytes in base64"},
		{"18 bytes", sampleKey, "MTIzNDU2Nzg5MDEyMzQ1Njc4", 400, "not 16 bytes in base64"},
		{"no base64", sampleKey, "????????????????????????", 400, "not 16 bytes in base64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key, err := CheckRequest(parse(t, strings.Replace(goodRequest, tt.old, tt.new, 1)))
			var e *Error
			if !errors.As(err, &e) || key != "" {
				t.Fatalf("got %q, %v", key, err)
			}
			if e.Status != tt.status || !strings.Contains(e.Error(), tt.text) {
				t.Errorf("got %d %q, want %d with %q", e.Status, e.Text, tt.status, tt.text)
			}
			checkErrorHeader(t, e)
		})
	}
}

// checkErrorHeader wants the fields that HTTP prescribes for a status.
func checkErrorHeader(t *testing.T, e *Error) {
	t.Helper()
	wants := map[int]http.Header{
		405: {"Allow": {"GET"}},
		426: {"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}},
	}
	for name, want := range wants[e.Status] {
		if got := e.Header[name]; len(got) != 1 || got[0] != want[0] {
			t.Errorf("%d has %s: %q, want %q", e.Status, name, got, want)
		}
	}
}

func TestCheckRequestOfAPage(t *testing.T) {
	_, err := CheckRequest(parse(t, "GET / HTTP/1.1|Host: example.com"))
	var e *Error
	if !errors.As(err, &e) || e.Status != 426 || !strings.Contains(e.Text, "connect with a websocket client") {
		t.Errorf("got %v", err)
	}
}

func TestCheckRequestOverHTTP2(t *testing.T) {
	r := parse(t, goodRequest)
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
	_, err := CheckRequest(r)
	var e *Error
	if !errors.As(err, &e) || e.Status != 505 || !strings.Contains(e.Text, "HTTP/2.0") {
		t.Errorf("got %v", err)
	}
}

func TestErrorsDoNotFlood(t *testing.T) {
	_, err := CheckRequest(parse(t, strings.Replace(goodRequest, sampleKey, strings.Repeat("x", 10_000), 1)))
	if err == nil || len(err.Error()) > 200 {
		t.Errorf("got %v", err)
	}
}

func TestAppendAcceptKey(t *testing.T) {
	if got := string(AppendAcceptKey([]byte("> "), sampleKey)); got != "> s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" { // RFC 6455 1.3
		t.Errorf("got %q", got)
	}
}

func TestAppendResponse(t *testing.T) {
	b, err := AppendResponse(nil, Response{
		Key: sampleKey, Protocol: "chat", Extensions: "permessage-deflate",
		Header: http.Header{"X-B": {"2", " 3 "}, "X-A": {"1"}, "X-None": nil},
	})
	want := strings.Join([]string{
		"HTTP/1.1 101 Switching Protocols",
		"Upgrade: websocket",
		"Connection: Upgrade",
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
		"Sec-WebSocket-Protocol: chat",
		"Sec-WebSocket-Extensions: permessage-deflate",
		"X-A: 1",
		"X-B: 2",
		"X-B: 3",
		"", "",
	}, "\r\n")
	if err != nil || string(b) != want {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestAppendResponseLeavesOutWhatIsEmpty(t *testing.T) {
	b, err := AppendResponse(nil, Response{Key: sampleKey})
	if err != nil || strings.Count(string(b), "\r\n") != 5 || !strings.HasSuffix(string(b), "xOo=\r\n\r\n") {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestCheckHeader(t *testing.T) {
	tests := []struct{ name, value, err string }{
		{"X-Ok", "tab\tand \xff bytes", ""},
		{"Set-Cookie", "a=b; HttpOnly", ""},
		{"X", "a\r\nEvil: 1", "control character"},
		{"X", "a\nEvil: 1", "control character"},
		{"X", "a\x00", "control character"},
		{"X", "a\x7f", "control character"},
		{"X\r\nEvil", "a", "no token"},
		{"X Y", "a", "no token"},
		{"X:", "a", "no token"},
		{"", "a", "no token"},
		{"connection", "close", "set by the handshake"},
		{"Upgrade", "h2c", "set by the handshake"},
		{"Content-Length", "5", "set by the handshake"},
		{"transfer-encoding", "chunked", "set by the handshake"},
		{"sec-websocket-protocol", "chat", "set by the handshake"},
		{"Sec-WebSocket-Anything", "chat", "set by the handshake"},
	}
	for _, tt := range tests {
		err := CheckHeader(http.Header{tt.name: {"fine", tt.value}})
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: %q: got %v, want %q", tt.name, tt.value, err, tt.err)
		}
		b, appendErr := AppendResponse(nil, Response{Key: sampleKey, Header: http.Header{tt.name: {tt.value}}})
		if (appendErr == nil) != (tt.err == "") || appendErr != nil && b != nil {
			t.Errorf("%q: %q: AppendResponse gave %q, %v", tt.name, tt.value, b, appendErr)
		}
	}
}

func TestAcceptPathDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := parse(t, goodRequest+"|Origin: https://app.example.com")
	patterns := []string{"https://example.org", "https://*.example.com"}
	buf := make([]byte, 0, 512)
	allocs := testing.AllocsPerRun(100, func() {
		key, err := CheckRequest(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckOrigin(r, patterns); err != nil {
			t.Fatal(err)
		}
		if offered, err := Protocols(r.Header); err != nil || ChooseProtocol(patterns, offered) != "" {
			t.Fatal(offered, err)
		}
		if _, err := AppendResponse(buf, Response{Key: key, Protocol: "chat"}); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// FuzzCheckRequest holds the checks against a naive reading of the rules.
func FuzzCheckRequest(f *testing.F) {
	f.Add("websocket", "Upgrade", "13", sampleKey)
	f.Add("h2c, WebSocket", "keep-alive,\tUPGRADE", " 13 ", "\t"+sampleKey)
	f.Add("", "close", "8", "x")
	f.Fuzz(func(t *testing.T, upgrade, connection, version, key string) {
		r := &http.Request{Method: "GET", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "h", Header: http.Header{
			hdrUpgrade: {upgrade}, hdrConnection: {connection}, hdrVersion: {version}, hdrKey: {key},
		}}
		raw, err := base64.StdEncoding.DecodeString(strings.Trim(key, " \t"))
		up, known := naiveContains(upgrade, "websocket")
		conn, known2 := naiveContains(connection, "upgrade")
		if !known || !known2 || strings.ContainsAny(key, "\r\n") { // the decoder skips line ends, which no header has
			return
		}
		want := up && conn && strings.Trim(version, " \t") == "13" && err == nil && len(raw) == 16
		got, err := CheckRequest(r)
		if (err == nil) != want {
			t.Fatalf("got %v, want accepted: %v", err, want)
		}
		if err != nil {
			return
		}
		sum := sha1.Sum([]byte(strings.Trim(key, " \t") + guid))
		if accept := string(AppendAcceptKey(nil, got)); accept != base64.StdEncoding.EncodeToString(sum[:]) {
			t.Errorf("accept key %q", accept)
		}
	})
}

func naiveContains(line, token string) (found, ok bool) {
	list, ok := naiveElements(line)
	for _, elem := range list {
		found = found || asciiLower(elem) == token
	}
	return found, ok
}

func asciiLower(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' {
			return c + 32
		}
		return c
	}, s)
}
