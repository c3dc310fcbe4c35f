package conn_test

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/conn"
)

// agreements are what two ends may have agreed on. A compressor of the standard library has a window of 32 KiB, so a raw peer's
// is always that.
var agreements = []conn.Compression{
	{ServerMaxWindowBits: 15, ClientMaxWindowBits: 15},
	{ServerMaxWindowBits: 15, ClientMaxWindowBits: 15, ServerNoContextTakeover: true, ClientNoContextTakeover: true},
	{ServerMaxWindowBits: 15, ClientMaxWindowBits: 15, ClientNoContextTakeover: true},
}

// deflater is RFC 7692 7.2.1 with the standard library.
type deflater struct {
	buf      bytes.Buffer
	w        *flate.Writer
	takeover bool
}

func (d *deflater) message(text string) string {
	if d.w == nil || !d.takeover {
		d.w, _ = flate.NewWriter(&d.buf, 5)
	}
	d.buf.Reset()
	_, _ = d.w.Write([]byte(text))
	_ = d.w.Flush()
	return strings.TrimSuffix(d.buf.String(), "\x00\x00\xff\xff")
}

// inflater is RFC 7692 7.2.2 with the standard library.
type inflater struct {
	window   []byte
	takeover bool
}

func (i *inflater) message(t *testing.T, z string) string {
	t.Helper()
	if !i.takeover {
		i.window = nil
	}
	r := flate.NewReaderDict(strings.NewReader(z+"\x00\x00\xff\xff\x01\x00\x00\xff\xff"), i.window)
	b, err := io.ReadAll(r)
	if err != nil {
		t.Errorf("%d bytes can't be inflated: %v", len(z), err)
	}
	i.window = append(i.window, b...)
	i.window = i.window[max(0, len(i.window)-32<<10):]
	return string(b)
}

// texts repeat each other, and themselves.
func texts() []string {
	return []string{strings.Repeat("tick ", 30), strings.Repeat("tick ", 30), string(payload(3000)), string(payload(100_000)),
		string(payload(3000)), "", "short", string(payload(70_000))}
}

// What the standard library compresses is read, in one frame or many, by every way, mixed with plain messages.
func TestInflate(t *testing.T) {
	for _, agreed := range agreements {
		for _, client := range []bool{false, true} {
			for by, read := range readers {
				c, p := mode{client: client, stream: overTCP}.raw(t, conn.Config{Compression: agreed})
				d := deflater{takeover: !agreed.ServerNoContextTakeover}
				if p.client {
					d.takeover = !agreed.ClientNoContextTakeover
				}
				sent := start(func() error {
					var b []byte
					for i, s := range texts() {
						z := d.message(s)
						switch i % 3 {
						case 0:
							b = append(b, p.frame(fin|rsv1|text, z)...)
						case 1:
							third := len(z) / 3
							for _, f := range [][]byte{p.frame(rsv1|text, z[:third]), p.frame(fin|ping, "!"), p.frame(cont, ""),
								p.frame(cont, z[third:2*third]), p.frame(cont, z[2*third:]), p.frame(fin|cont, "")} {
								b = append(b, f...)
							}
						default:
							b = append(append(b, p.frame(fin|text, "plain")...), p.frame(fin|rsv1|text, z)...)
						}
					}
					_, err := p.nc.Write(b)
					return err
				})
				for i, want := range texts() {
					if i%3 == 2 {
						if _, got, err := read(soon(t), c); string(got) != "plain" || err != nil {
							t.Errorf("%s: %q, %v", by, got, err)
						}
					}
					if _, got, err := read(soon(t), c); string(got) != want || err != nil {
						t.Fatalf("%+v, %s: text %d: %d bytes of %d, %v", agreed, by, i, len(got), len(want), err)
					}
				}
				if err := result(t, sent); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// What goes out compressed the standard library reads. Short messages, and those that are not to be compressed, go out plain.
func TestDeflate(t *testing.T) {
	for _, agreed := range agreements {
		for _, client := range []bool{false, true} {
			for by, write := range writers {
				c, p := mode{client: client, stream: overTCP}.raw(t, conn.Config{Compression: agreed, CompressionThreshold: 10})
				i := inflater{takeover: !agreed.ServerNoContextTakeover}
				if client {
					i.takeover = !agreed.ClientNoContextTakeover
				}
				sent := start(func() (err error) {
					for _, s := range texts() {
						err = errors.Join(err, write(soon(t), c, conn.Message{Type: conn.Text, Data: []byte(s)}))
					}
					return err
				})
				for n, want := range texts() {
					got, compressed := p.compressedMessage(t)
					if plain := len(want) < 10 || by == "WriteMessage"; compressed == plain {
						t.Errorf("%s of %d bytes is compressed: %v", by, len(want), compressed)
					}
					if compressed && len(got) > len(want)/2+100 {
						t.Errorf("%s of %d bytes takes %d", by, len(want), len(got))
					}
					if compressed {
						got = i.message(t, got)
					}
					if got != want {
						t.Fatalf("%+v, %s: text %d: %d bytes of %d", agreed, by, n, len(got), len(want))
					}
				}
				if err := result(t, sent); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// compressedMessage reads a message, whose first frame alone says whether it is compressed.
func (p *rawPeer) compressedMessage(t *testing.T) (payload string, compressed bool) {
	t.Helper()
	for first := true; ; first = false {
		b0, data, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		if first {
			compressed = b0&rsv1 != 0
		} else if b0&^fin != cont {
			t.Errorf("frame %#x inside of a message", b0)
		}
		if payload += data; b0&fin != 0 {
			return payload, compressed
		}
	}
}

// With no threshold everything is compressed, with a small window of its own as well.
func TestDeflateEverything(t *testing.T) {
	for bits := 8; bits <= 15; bits++ {
		for _, client := range []bool{false, true} {
			agreed := conn.Compression{ServerMaxWindowBits: bits, ClientMaxWindowBits: bits}
			c, peer := mode{client: client, stream: overTCP}.pair(t,
				conn.Config{Compression: agreed, CompressionThreshold: -1, CompressionBits: max(bits-1, 8), CompressionHistory: 4096},
				conn.Config{Compression: agreed})
			sent := start(func() (err error) {
				for _, s := range texts() {
					err = errors.Join(err, c.Write(soon(t), conn.Text, []byte(s)))
				}
				return err
			})
			for _, want := range texts() {
				if _, got, err := peer.Read(soon(t)); string(got) != want || err != nil {
					t.Fatalf("%d bits: %d bytes of %d, %v", bits, len(got), len(want), err)
				}
			}
			if err := result(t, sent); err != nil {
				t.Error(err)
			}
		}
	}
}

// Blocks of every kind, ended in every way, are read in fragments of one byte, with nothing in the last or with an octet.
func TestInflateByteByByte(t *testing.T) {
	const hello = "\xf2\x48\xcd\xc9\xc9\x07\x00" // RFC 7692 7.2.3.1
	const empty = "\x00\x00\x00\xff\xff"
	for _, m := range []struct{ payload, want string }{
		{hello, "Hello"},
		{"\x00", ""},
		{"\x00\x05\x00\xfa\xffHello\x00", "Hello"},
		{"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"},
		{"\xf3\x48\xcd\xc9\xc9\x07\x00" + hello, "HelloHello"},
		{"\x01\x05\x00\xfa\xffHello\x01\x00\x00\xff\xff" + hello, "HelloHello"},
		{hello + empty[1:] + strings.Repeat(empty, 100) + hello, "HelloHello"},
	} {
		for _, agreed := range agreements[:2] {
			for by, read := range readers {
				for _, behind := range []string{"", "\x00"} {
					c, p := mode{stream: overTCP}.raw(t, conn.Config{Compression: agreed})
					payload := m.payload
					if behind != "" { // 7.2.1 has nothing against an empty block more
						payload += "\x00\x00\xff\xff"
					}
					b := p.frame(rsv1|text, "")
					for i := range len(payload) {
						b = append(b, p.frame(cont, payload[i:i+1])...)
					}
					b = append(b, p.frame(fin|cont, behind)...)
					p.write(append(b, p.frame(fin|rsv1|text, hello)...))
					for _, want := range []string{m.want, "Hello"} {
						if typ, got, err := read(soon(t), c); typ != conn.Text || string(got) != want || err != nil {
							t.Errorf("%s of %x: %q, %v", by, payload, got, err)
						}
					}
				}
			}
		}
	}
}

// What a bomb makes a connection allocate is a small multiple of the limit, whatever that is.
func TestBombMemory(t *testing.T) {
	if race {
		t.Skip("the race detector allocates, too")
	}
	bomb := new(deflater).message(string(make([]byte, 20<<20)))
	for _, limit := range []int64{1, 4 << 10, 1 << 20, 16 << 20} {
		for by, read := range readers {
			c, p := mode{stream: overTCP}.raw(t, conn.Config{Compression: agreements[0], ReadLimit: limit})
			frame := p.frame(fin|rsv1|binry, bomb)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			sent := start(func() error { _, err := p.nc.Write(frame); return err })
			if _, _, err := read(soon(t), c); err != conn.ErrReadLimit {
				t.Errorf("%s, limit %d: %v", by, limit, err)
			}
			runtime.ReadMemStats(&after)
			// io.ReadAll, by which a Reader is read here, grows by quarters.
			if n := int64(after.TotalAlloc - before.TotalAlloc); n > 6*limit+256<<10 {
				t.Errorf("%s, limit %d: %d bytes allocated", by, limit, n)
			}
			<-sent
		}
	}
}

// Broken compressed messages end the connection, by whatever way they are read.
func TestInflateBroken(t *testing.T) {
	var d deflater
	good := d.message(strings.Repeat("good", 100))
	for _, b := range []struct {
		name, payload string
		code          conn.StatusCode
		text          string
	}{
		{"no DEFLATE data", "\xff\xff\xff", 1007, "corrupt compressed message (RFC 7692 7.2.2)"},
		{"ends early", good[:len(good)-3], 1007, "corrupt compressed message (RFC 7692 7.2.2)"},
		{"not UTF-8", new(deflater).message("good\xffgood"), 1007, "text message is not UTF-8 (RFC 6455 8.1)"},
		{"ends in a character", new(deflater).message("good\xe2\x82"), 1007, "text message is not UTF-8 (RFC 6455 8.1)"},
	} {
		for by, read := range readers {
			for _, client := range []bool{false, true} {
				c, p := mode{client: client, stream: overTCP}.raw(t, conn.Config{Compression: agreements[0]})
				p.write(append(p.frame(fin|rsv1|text, b.payload), p.frame(fin|text, "behind")...))
				_, got, err := read(soon(t), c)
				var pe *conn.ProtocolError
				if !errors.As(err, &pe) || pe.Code != b.code || pe.Text != b.text || bytes.Contains(got, []byte("behind")) {
					t.Errorf("%s, %s: %q, %v", b.name, by, got, err)
				}
				p.wantClosed(b.code)
				checkOver(t, c, err)
			}
		}
	}
}

// A compressed message that one way to read has begun, and given up, the others complete.
func TestInflateResumes(t *testing.T) {
	want := string(payload(20_000))
	for _, agreed := range agreements {
		for _, first := range []string{"Read", "AppendRead", "Messages"} {
			for second, read := range readers {
				synctest.Test(t, func(t *testing.T) {
					c, p := mode{stream: overMemory}.raw(t, conn.Config{Compression: agreed})
					d := deflater{takeover: !agreed.ClientNoContextTakeover}
					for _, part := range []int{0, 1, 10, 50, 90, 100} { // percent that come first
						frame := p.frame(fin|rsv1|text, d.message(want))
						at := min(1+len(frame)*part/100, len(frame)-1)
						p.write(frame[:at])
						ctx, cancel := context.WithTimeout(t.Context(), time.Second)
						defer cancel()
						if _, _, err := readers[first](ctx, c); !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("%s: %v", first, err)
						}
						p.write(frame[at:])
						if typ, got, err := read(t.Context(), c); typ != conn.Text || string(got) != want || err != nil {
							t.Fatalf("%s up to %d of %d, then %s: %v of %d bytes, %v", first, at, len(frame), second, typ, len(got), err)
						}
						p.send(fin|rsv1|text, d.message(want))
						if _, got, err := read(t.Context(), c); string(got) != want || err != nil {
							t.Fatalf("%d bytes, %v", len(got), err)
						}
					}
				})
			}
		}
	}
}
