package ws_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidewire/ws"
)

// clientFrame is a client's frame with a payload that a mask of zeros leaves as it is.
func clientFrame(b0 byte, payload string) string {
	b := []byte{b0}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 65536:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return string(b) + "\x00\x00\x00\x00" + payload
}

// attacks are what comes behind the handshake, in one piece with it, and how the server ends that.
var attacks = []struct {
	name, bytes string
	leave       func(nc *net.TCPConn) // behind the bytes; nil: stays
	echoes      int                   // messages that are answered before
	code        ws.StatusCode         // 1006: no close frame
}{
	{name: "unmasked", bytes: "\x81\x02hi", code: 1002},
	{name: "reserved bit", bytes: clientFrame(0xa1, ""), code: 1002},
	{name: "reserved bit of an extension that was not agreed on", bytes: clientFrame(0xc1, ""), code: 1002},
	{name: "reserved opcode", bytes: clientFrame(0x83, ""), code: 1002},
	{name: "reserved control opcode", bytes: clientFrame(0x8f, ""), code: 1002},
	{name: "continuation of nothing", bytes: clientFrame(0x80, "more"), code: 1002},
	{name: "message inside a message", bytes: clientFrame(0x01, "a") + clientFrame(0x81, "b"), code: 1002},
	{name: "length with its top bit", bytes: "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", code: 1002},
	{name: "the longest length", bytes: "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", code: 1009},
	{name: "two longest lengths", bytes: clientFrame(0x02, "x") + "\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", code: 1009},
	{name: "length in too many bytes", bytes: "\x82\xfe\x00\x7d\x00\x00\x00\x00", code: 1002},
	{name: "long ping", bytes: clientFrame(0x89, strings.Repeat("x", 126)), code: 1002},
	{name: "fragmented ping", bytes: clientFrame(0x09, ""), code: 1002},
	{name: "close of one byte", bytes: clientFrame(0x88, "x"), code: 1002},
	{name: "close with 1006", bytes: clientFrame(0x88, "\x03\xee"), code: 1002},
	{name: "close with 65535", bytes: clientFrame(0x88, "\xff\xff"), code: 1002},
	{name: "close reason that is no text", bytes: clientFrame(0x88, "\x03\xe8\xff"), code: 1007},
	{name: "text that is none", bytes: clientFrame(0x81, "\xc0\x80"), code: 1007},
	{name: "text that is cut", bytes: clientFrame(0x01, "\xe2\x82") + clientFrame(0x80, ""), code: 1007},
	{name: "text that goes wrong later", bytes: clientFrame(0x01, "\xe2\x82") + clientFrame(0x00, "x"), code: 1007},
	{name: "another request", bytes: "GET / HTTP/1.1\r\nHost: site.example\r\n\r\n", code: 1002},
	{name: "TLS", bytes: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", code: 1002},
	{name: "zeros", bytes: strings.Repeat("\x00", 100_000), code: 1002},
	{name: "ones", bytes: strings.Repeat("\xff", 100_000), code: 1002},
	{name: "pings", bytes: strings.Repeat(clientFrame(0x89, ""), 250), code: 1008},
	{name: "pongs", bytes: strings.Repeat(clientFrame(0x8a, ""), 250), code: 1008},
	{name: "empty fragments", bytes: clientFrame(0x01, "") + strings.Repeat(clientFrame(0x00, ""), 10_000), code: 1008},
	{name: "a message that is too long", bytes: clientFrame(0x82, strings.Repeat("x", 1<<20+1)), code: 1009},
	{name: "fragments that are too long", bytes: clientFrame(0x02, "") + strings.Repeat(clientFrame(0x00, strings.Repeat("x", 1<<17)), 9), code: 1009},
	{name: "a message and a violation", bytes: clientFrame(0x81, "hi") + clientFrame(0x83, ""), echoes: 1, code: 1002},
	{name: "close and more", bytes: clientFrame(0x88, "\x0f\xa0") + clientFrame(0x81, "hi") + clientFrame(0x88, "\x0f\xa1"), code: 4000},
	{name: "empty close and garbage", bytes: clientFrame(0x88, "") + strings.Repeat("\xff", 1000), code: 1005},
	{name: "half a header", bytes: "\x81", leave: halfClose, code: 1006},
	{name: "half a payload", bytes: clientFrame(0x81, "hello")[:8], leave: halfClose, code: 1006},
	{name: "a message, and no more", bytes: clientFrame(0x81, "hello"), leave: halfClose, echoes: 1, code: 1006},
	{name: "nothing", leave: halfClose, code: 1006},
	{name: "gone", leave: vanish},
	{name: "gone with a reset", bytes: clientFrame(0x82, strings.Repeat("x", 1<<16)), leave: reset},
	{name: "gone within a message", bytes: clientFrame(0x82, "hello")[:8], leave: vanish},
	{name: "gone with its close", bytes: clientFrame(0x88, "\x03\xe8"), leave: vanish},
}

// The errors are those of a server that has been faster.

func halfClose(nc *net.TCPConn) { _ = nc.CloseWrite() }

func vanish(nc *net.TCPConn) { _ = nc.Close() }

func reset(nc *net.TCPConn) {
	_ = nc.SetLinger(0)
	_ = nc.Close()
}

// TestAttacks: each client that does what no library would is told why it goes, and nobody else notices: neither the clients
// beside it, nor the logs.
func TestAttacks(t *testing.T) {
	var book logbook
	ways(t, ws.Options{Logger: book.logger(), Group: new(ws.Group)}, func(t *testing.T, h http.Handler, acceptError func() error) {
		drained := make(chan struct{})
		go func() { // accepting needs somebody who takes its errors
			defer close(drained)
			for range len(attacks) + 1 {
				if err := acceptError(); err != nil && !strings.Contains(err.Error(), "sending the response") { // to one that has gone
					t.Error(err)
				}
			}
		}()
		s := overTCP(t, h)
		good := s.dial()
		var wg sync.WaitGroup
		for _, a := range attacks {
			wg.Go(func() {
				nc := s.raw().(*net.TCPConn)
				var sent sync.WaitGroup
				defer sent.Wait()
				sent.Go(func() { // the server may stop reading
					if _, err := io.WriteString(nc, strings.ReplaceAll(goodLines, "|", "\r\n")+"\r\n\r\n"+a.bytes); err == nil && a.leave != nil {
						a.leave(nc)
					}
				})
				if a.code != 0 {
					expectFrames(t, a.name, nc, a.echoes, a.code)
				}
			})
		}
		wg.Wait()
		<-drained
		roundTrip(t, good, "still there")
	})
	book.expect(t) // nothing of it is this side's fault
}

// expectFrames reads the response to the handshake, so many messages, and the end, with a close frame unless code is 1006.
func expectFrames(t *testing.T, name string, nc net.Conn, echoes int, code ws.StatusCode) {
	_ = nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	got, err := io.ReadAll(nc)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%s: %v", name, err)
	}
	head, frames, ok := bytes.Cut(got, []byte("\r\n\r\n"))
	if !ok || !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		t.Errorf("%s: got %.100q", name, got)
		return
	}
	answered, closed := 0, ws.StatusAbnormal
	for len(frames) >= 2 && len(frames) >= 2+int(frames[1]) { // none is longer than 125 bytes
		b0, payload := frames[0], frames[2:2+frames[1]]
		frames = frames[2+frames[1]:]
		switch {
		case closed != ws.StatusAbnormal:
			t.Errorf("%s: frame %#x behind the close frame", name, b0)
		case b0 == 0x81:
			answered++
		case b0 == 0x88 && len(payload) == 0:
			closed = ws.StatusNoStatus
		case b0 == 0x88:
			closed = ws.StatusCode(binary.BigEndian.Uint16(payload))
		case b0 != 0x8a: // pongs come for pings
			t.Errorf("%s: frame %#x %q", name, b0, payload)
		}
	}
	if len(frames) > 0 || answered != echoes || closed != code {
		t.Errorf("%s: %d answers, then %d, and %d bytes; want %d, then %d", name, answered, closed, len(frames), echoes, code)
	}
}

// TestHandshakeAttacks: what is no handshake gets an answer of HTTP, or none, and no connection.
func TestHandshakeAttacks(t *testing.T) {
	many := strings.Repeat("Upgrade: websocket\r\n", 20_000)
	for name, request := range map[string]string{
		"nothing":           "",
		"TLS":               "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"HTTP/2":            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"half a request":    strings.ReplaceAll(goodLines, "|", "\r\n")[:100],
		"no end":            strings.ReplaceAll(goodLines, "|", "\r\n") + "\r\n",
		"NUL":               strings.ReplaceAll(goodLines+"|X: \x00", "|", "\r\n") + "\r\n\r\n",
		"two Hosts":         strings.ReplaceAll(goodLines+"|Host: evil.example", "|", "\r\n") + "\r\n\r\n",
		"space before name": strings.ReplaceAll(goodLines, "|Upgrade:", "\r\n Upgrade:") + "\r\n\r\n",
		"space behind name": strings.ReplaceAll(goodLines, "|Upgrade:", "\r\nUpgrade :") + "\r\n\r\n",
		"two lengths":       strings.ReplaceAll(goodLines+"|Content-Length: 0|Content-Length: 5", "|", "\r\n") + "\r\n\r\nhello",
		"negative length":   strings.ReplaceAll(goodLines+"|Content-Length: -1", "|", "\r\n") + "\r\n\r\n",
		"too many fields":   strings.ReplaceAll(goodLines, "|", "\r\n") + "\r\n" + many + many + many + "\r\n",
		"long key":          strings.ReplaceAll(goodLines, "|", "\r\n") + strings.Repeat("=", 500_000) + "\r\n\r\n",
		"many protocols":    strings.ReplaceAll(goodLines+"|Sec-WebSocket-Protocol: "+strings.Repeat("a,", 100_000), "|", "\r\n") + "\r\n\r\n",
		"a body's length":   strings.ReplaceAll(goodLines+"|Content-Length: 5", "|", "\r\n") + "\r\n\r\nhello",
	} {
		t.Run(name, func(t *testing.T) {
			var book logbook
			var group ws.Group
			h := &ws.Handler{Serve: echo, Options: ws.Options{Logger: book.logger(), Group: &group}}
			s := overTCP(t, h)
			nc := s.raw().(*net.TCPConn)
			go func() {
				if _, err := io.WriteString(nc, request); err == nil {
					halfClose(nc)
				}
			}()
			_ = nc.SetReadDeadline(time.Now().Add(20 * time.Second))
			got, err := io.ReadAll(nc)
			if err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Error(err)
			}
			if bytes.Contains(got, []byte(" 101 ")) || len(got) > 0 && !bytes.HasPrefix(got, []byte("HTTP/1.1 ")) {
				t.Errorf("got %.100q", got)
			}
			if n := h.Stats().Opened; n != 0 {
				t.Errorf("%d connections", n)
			}
			book.expect(t)
		})
	}
}

// TestHostileServer dials servers that do their worst behind the handshake.
func TestHostileServer(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		code ws.StatusCode // this side's verdict
	}{
		"masked":               {"\x81\x82\x00\x00\x00\x00hi", 1002},
		"reserved opcode":      {"\x83\x00", 1002},
		"the longest length":   {"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 1009},
		"text that is none":    {"\x81\x01\xff", 1007},
		"another response":     {"HTTP/1.1 200 OK\r\n\r\n", 1002},
		"pings":                {strings.Repeat("\x89\x00", 250), 1008},
		"close, and garbage":   {"\x88\x02\x0f\xa0" + strings.Repeat("\xff", 1000), 4000},
		"empty fragments":      {"\x01\x00" + strings.Repeat("\x00\x00", 10_000), 1008},
		"compressed, unagreed": {"\xc1\x00", 1002},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, err := ws.Dial(t.Context(), answer(t, switching+"\r\n"+tt.text), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			_, p, err := c.Read(t.Context())
			if got := verdict(err); got != tt.code || !errors.Is(err, net.ErrClosed) {
				t.Errorf("read %q, %v: told %d, want %d", p, err, got, tt.code)
			}
			if err := c.Write(t.Context(), ws.Text, nil); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Write: %v", err)
			}
		})
	}
}

// verdict is the code that goes with an end.
func verdict(err error) ws.StatusCode {
	if code := ws.CloseStatus(err); code != 0 {
		return code
	}
	if strings.Contains(err.Error(), "ReadLimit") {
		return ws.StatusTooBig
	}
	return ws.StatusPolicyViolation
}

// TestCareless has programs leave out what they shouldn't.
func TestCareless(t *testing.T) {
	nothing := func(context.Context, string, string) (net.Conn, error) { return nil, nil }
	for _, o := range []*ws.DialOptions{{NetDialContext: nothing}, {NetDialTLSContext: nothing}} {
		if _, _, err := ws.Dial(t.Context(), "wss://site.example", o); err == nil || !strings.Contains(err.Error(), "neither a connection nor an error") {
			t.Errorf("Dial: %v", err)
		}
	}
	t.Run("Open without a context", func(t *testing.T) {
		h := &ws.Handler{Events: &script{open: func(context.Context, *ws.Conn) (context.Context, error) { return nil, nil }}}
		roundTrip(t, inMemory(t, h).dial(), "hello")
	})
	t.Run("nil", func(t *testing.T) {
		for name, call := range map[string]func(c *ws.Conn) error{
			"TryWrite":      func(c *ws.Conn) error { _, err := c.TryWrite(nil); return err },
			"WritePrepared": func(c *ws.Conn) error { return c.WritePrepared(c.Context(), nil) },
			"Write":         func(c *ws.Conn) error { return c.Write(nil, ws.Text, nil) },            //nolint:staticcheck // that is the point
			"Writer":        func(c *ws.Conn) error { _, err := c.Writer(nil, ws.Text); return err }, //nolint:staticcheck // the point of it
			"Read":          func(c *ws.Conn) error { _, _, err := c.Read(nil); return err },         //nolint:staticcheck // that is the point
			"OnWritable":    func(c *ws.Conn) error { c.OnWritable(nil); return nil },
		} {
			var book logbook
			h := &ws.Handler{Serve: func(ctx context.Context, c *ws.Conn) error { return call(c) }, Options: ws.Options{Logger: book.logger()}}
			c := inMemory(t, h).dial()
			expectClose(t, c, ws.StatusInternalError, "") // and not a lock that is held for ever
			if book.count("nil") == 0 {
				t.Errorf("%s: logged %q", name, book.text.String())
			}
		}
	})
	t.Run("CloseCause without a cause", func(t *testing.T) {
		c := inMemory(t, &ws.Handler{Serve: echo}).dial()
		c.CloseCause(ws.StatusNormal, "", nil)
		if err := context.Cause(c.Context()); !errors.Is(err, net.ErrClosed) || err.Error() == "" {
			t.Errorf("cause %v", err)
		}
	})
	t.Run("hooks that panic", func(t *testing.T) {
		forms(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
			h := handler(echoMessage)
			h.Options.Observer = &ws.Observer{Opened: func(context.Context, *ws.Conn) { panic("hook") }}
			s := inMemory(t, h)
			expectClose(t, s.dial(), ws.StatusAbnormal, "")
			if live := h.Stats().Live; live != 0 {
				t.Errorf("%d connections are left", live)
			}
		})
	})
}
