//go:build linux

package load

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"

	"github.com/klauspost/compress/flate"
)

// maxWindow is the window of DEFLATE at its largest (RFC 7692 7.1.2: 2^15).
const maxWindow = 1 << 15

// A script is what every connection of a load says and hears, over and over: built once, so that sending is a write of bytes
// that are there, and checking is a comparison.
type script struct {
	op      byte     // opcode of the messages
	replies [][]byte // payloads expected, in order and then from the start again
	pass    [2]wire  // what is sent: the first time round, and every other time
	history []byte   // all replies, twice: where the windows of context takeover are cut from; nil without
}

// wire is a row of client frames.
type wire struct {
	frames []byte
	ends   []int // ends[i]: where frame i ends
}

// frame returns frames i to i+n-1.
func (w *wire) frame(i, n int) []byte {
	start := 0
	if i > 0 {
		start = w.ends[i-1]
	}
	return w.frames[start:w.ends[i+n-1]]
}

// send returns the n frames from the i-th on; the script's length is a multiple of n, and so is i.
func (s *script) send(i, n int) []byte {
	round := len(s.pass[0].ends)
	return s.pass[min(1, i/round)].frame(i%round, n)
}

func (s *script) reply(i int) []byte { return s.replies[i%len(s.replies)] }

// window returns the text that the i-th reply may refer back to: the replies before it.
func (s *script) window(i int) []byte {
	if s.history == nil {
		return nil
	}
	end := i % len(s.replies) * len(s.replies[0])
	if i >= len(s.replies) {
		end += len(s.history) / 2
	}
	return s.history[max(0, end-maxWindow):end]
}

// newScript builds the script of spec under the extension parameters that the server has agreed to.
func newScript(spec Spec, ext extension) (*script, error) {
	texts, err := Payloads(spec.Payload, spec.Size, scriptLength(spec))
	if err != nil {
		return nil, err
	}
	s := &script{op: 1, replies: texts}
	if spec.Payload == Binary {
		s.op = 2
	}
	if spec.Numbered {
		s.replies = numbered(texts, spec.Fan)
	}
	packed := [2][][]byte{texts, texts}
	if spec.Deflate {
		packed = deflateAll(texts, ext)
		if !ext.serverNoTakeover {
			joined := bytes.Join(s.replies, nil)
			s.history = append(joined, joined...)
		}
	}
	for i := range s.pass {
		s.pass[i] = frames(packed[i], s.op, spec.Deflate)
	}
	return s, nil
}

// scriptLength is how many different messages a script has: one for each in flight; with compression so many that a text
// comes round again only when it has left the largest window.
func scriptLength(spec Spec) int {
	if spec.Deflate || spec.Mixed {
		return 2 * maxWindow / min(spec.Size, maxWindow)
	}
	return max(1, spec.InFlight)
}

// numbered returns n copies of each text whose first byte is 0, 1, 2, ...
func numbered(texts [][]byte, n int) (all [][]byte) {
	for _, text := range texts {
		for i := range n {
			p := bytes.Clone(text)
			p[0] = byte(i)
			all = append(all, p)
		}
	}
	return all
}

// deflateAll compresses texts as a client that sends them one after the other twice over.
func deflateAll(texts [][]byte, ext extension) (passes [2][][]byte) {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.DefaultCompression)
	if ext.clientBits < 15 {
		w, err = flate.NewWriterWindow(&out, 1<<ext.clientBits)
	}
	if err != nil {
		panic(err) // only for a level or a window out of range: parseExtension has checked
	}
	for pass := range passes {
		for _, text := range texts {
			if ext.clientNoTakeover {
				w.Reset(&out)
			}
			w.Write(text)
			w.Flush()
			tail := []byte{0, 0, 0xff, 0xff} // RFC 7692 7.2.1: left out
			passes[pass] = append(passes[pass], bytes.TrimSuffix(bytes.Clone(out.Bytes()), tail))
			out.Reset()
		}
	}
	return passes
}

func frames(payloads [][]byte, op byte, compressed bool) wire {
	var w wire
	r := rand.New(rand.NewPCG(3, 4))
	for _, p := range payloads {
		w.frames = appendFrame(w.frames, op, compressed, p, r.Uint32()|0x01010101)
		w.ends = append(w.ends, len(w.frames))
	}
	return w
}

// appendFrame appends a final client frame, masked with key (RFC 6455 5.2).
func appendFrame(b []byte, op byte, compressed bool, payload []byte, key uint32) []byte {
	const fin, rsv1, masked = 0x80, 0x40, 0x80
	first := fin | op
	if compressed {
		first |= rsv1
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, first, masked|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, first, masked|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, first, masked|127), uint64(n))
	}
	b = binary.BigEndian.AppendUint32(b, key)
	for i, c := range payload {
		b = append(b, c^byte(key>>(24-8*(i%4))))
	}
	return b
}
