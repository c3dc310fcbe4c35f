package conformance

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"testing"

	windowed "github.com/klauspost/compress/flate"
)

// deflated compresses messages one after the other into the context of w.
func deflated(t *testing.T, w interface {
	io.Writer
	Flush() error
}, out *bytes.Buffer, message []byte) []byte {
	t.Helper()
	out.Reset()
	if _, err := w.Write(message); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(bytes.Clone(out.Bytes()), []byte(syncTail))
}

func TestInflateIsTheInverseOfDeflate(t *testing.T) {
	for i := range corpora {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, flate.BestCompression} {
			t.Run(fmt.Sprintf("%s at level %d", corpora[i].name, level), func(t *testing.T) {
				var out bytes.Buffer
				w, err := flate.NewWriter(&out, level)
				if err != nil {
					t.Fatal(err)
				}
				d := inflater{window: 1 << 15}
				next := corpora[i].messages(20_011)
				for range 8 {
					want := next()
					got, err := d.message(deflated(t, w, &out, want))
					if err != nil || !bytes.Equal(got, want) {
						t.Fatalf("%d bytes for %d, %v", len(got), len(want), err)
					}
				}
			})
		}
	}
}

// What is compressed with a window fits into it, and what is compressed with a bigger one is found out.
func TestInflateInsistsOnTheWindow(t *testing.T) {
	message := corpora[0].messages(8192)()
	for bits := 8; bits <= 14; bits++ {
		var out bytes.Buffer
		w, err := windowed.NewWriterWindow(&out, 1<<bits)
		if err != nil {
			t.Fatal(err)
		}
		narrow := deflated(t, w, &out, message)
		d := inflater{window: 1 << bits}
		if got, err := d.message(narrow); err != nil || !bytes.Equal(got, message) {
			t.Errorf("%d bits: %d bytes, %v", bits, len(got), err)
		}
	}
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	wide := deflated(t, w, &out, message)
	for bits, want := range map[int]bool{8: false, 9: false, 13: true, 15: true} {
		d := inflater{window: 1 << bits}
		if _, err := d.message(wide); (err == nil) != want {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}

func TestInflateForgets(t *testing.T) {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	message := corpora[0].messages(512)()
	first, second := deflated(t, w, &out, message), deflated(t, w, &out, message)
	for _, forget := range []bool{false, true} {
		d := inflater{window: 1 << 15, forget: forget}
		if _, err := d.message(first); err != nil {
			t.Error(err)
		}
		if _, err := d.message(second); (err != nil) != forget {
			t.Errorf("forget %t: %v", forget, err)
		}
	}
}

// The examples of RFC 7692 7.2.3, and what is wrong with the others.
func TestInflateExamples(t *testing.T) {
	for data, want := range map[string]string{
		helloDeflated: "Hello", helloStored: "Hello", helloFinal: "Hello", helloInBlocks: "Hello", "\x00": "",
	} {
		d := inflater{window: 1 << 15}
		if got, err := d.message([]byte(data)); err != nil || string(got) != want {
			t.Errorf("%x: %q, %v", data, got, err)
		}
	}
	for name, data := range map[string]string{
		"reserved type": "\x07", "length and complement": "\x00\x05\x00\xfa\xfeHello", "end in a stored block": "\x00\x20\x00\xdf\xffHello",
		"distance into nothing": "\x02\x05\x00", "no codes": "\x04\x00", "end in a compressed block": helloDeflated[:2],
	} {
		d := inflater{window: 1 << 15}
		if got, err := d.message([]byte(data)); err == nil {
			t.Errorf("%s: %q and no error", name, got)
		}
	}
}

// FuzzInflate holds the inflater against the standard library's, which knows no windows, final blocks aside.
func FuzzInflate(f *testing.F) {
	for _, s := range []string{helloDeflated, helloStored, helloInBlocks, "\x07", "\x02\x05\x00", "\x00\x20\x00\xdf\xffHello"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := inflater{window: 1 << 15}
		got, err := d.message(data)
		want, wantErr := io.ReadAll(flate.NewReader(bytes.NewReader(append(bytes.Clone(data), syncTail+"\x01\x00\x00\xff\xff"...))))
		if err == nil && wantErr == nil && !bytes.HasPrefix(got, want) {
			t.Errorf("%x, want a beginning of %x", got, want)
		}
		if err == nil && wantErr != nil {
			t.Errorf("%x and no error, want %v", got, wantErr)
		}
	})
}

func TestNegotiation(t *testing.T) {
	none := deflateWish{}
	for _, tt := range []struct {
		offer    string
		wishes   []deflateWish
		response string
	}{
		{"permessage-deflate", []deflateWish{none}, "permessage-deflate"},
		{"foo, permessage-deflate; client_max_window_bits", []deflateWish{{bits: 9}}, "permessage-deflate; client_max_window_bits=9"},
		{"permessage-deflate", []deflateWish{{bits: 9}}, ""},
		{"permessage-deflate", []deflateWish{{bits: 9}, {noTakeover: true}}, "permessage-deflate; client_no_context_takeover"},
		{"permessage-deflate; client_max_window_bits=8", []deflateWish{{bits: 9}}, "permessage-deflate; client_max_window_bits=8"},
		{`permessage-deflate; server_max_window_bits="10"; server_no_context_takeover`, []deflateWish{none},
			"permessage-deflate; server_no_context_takeover; server_max_window_bits=10"},
		{"x-webkit-deflate-frame", []deflateWish{none}, ""},
	} {
		got, codec, err := serverCodec([]string{tt.offer}, &deflateTest{tt.wishes})
		if err != nil || got != tt.response || (codec == nil) != (tt.response == "") {
			t.Errorf("%s: %q, %v, want %q", tt.offer, got, err, tt.response)
		}
	}
	for _, bad := range []string{"; client_max_window_bits=7", "; server_max_window_bits", "; server_max_window_bits=16", "; client_no_context_takeover=1",
		"; client_max_window_bits=09", "; unknown", "; client_no_context_takeover; client_no_context_takeover"} {
		if _, _, err := serverCodec([]string{extensionName + bad}, &deflateTest{[]deflateWish{none}}); err == nil {
			t.Errorf("offer %q is no error", bad)
		}
	}
}

func TestNegotiatedResponses(t *testing.T) {
	offers := &deflateTest{[]deflateWish{{noTakeover: true, bits: 9}, {noTakeover: true}}}
	for response, want := range map[string]bool{
		"":                   true,
		"permessage-deflate": false,
		"permessage-deflate; server_no_context_takeover":                            true,
		"permessage-deflate; server_no_context_takeover; server_max_window_bits=15": true,
		"permessage-deflate; server_max_window_bits=9":                              false,
		"permessage-deflate; server_no_context_takeover; client_max_window_bits":    false,
		"permessage-deflate; server_no_context_takeover; client_max_window_bits=10": true,
		"permessage-deflate; server_no_context_takeover, foo":                       false,
		"permessage-deflate; server_no_context_takeover, permessage-deflate":        false,
	} {
		if _, err := clientCodec([]string{response}, offers); (err == nil) != want {
			t.Errorf("%s: %v", response, err)
		}
	}
	if _, err := clientCodec([]string{"permessage-deflate"}, nil); err == nil {
		t.Error("an extension that was not offered is no error")
	}
}
