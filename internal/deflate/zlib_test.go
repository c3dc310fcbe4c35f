package deflate_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"testing"

	"github.com/tidewire/ws/internal/deflate"
)

// zlib is the original, which nearly all peers use, in a child process: Node.js has it built in.
type zlib struct {
	in  io.Writer
	out io.Reader
}

// Each request is an operation, window bits, level, and two byte strings with their lengths in front: history and data.
const zlibScript = `
const zlib = require('zlib');
let have = Buffer.alloc(0);
process.stdin.on('data', (d) => {
  have = Buffer.concat([have, d]);
  while (have.length >= 11) {
    const n = have.readUInt32LE(3), m = have.readUInt32LE(7);
    if (have.length < 11 + n + m) return;
    const o = { windowBits: have[1], level: have[2], finishFlush: zlib.constants.Z_SYNC_FLUSH };
    if (n > 0) o.dictionary = have.subarray(11, 11 + n);
    const data = have.subarray(11 + n, 11 + n + m);
    let ok = 1, out;
    try {
      out = have[0] === 0 ? zlib.inflateRawSync(data, o) : zlib.deflateRawSync(data, o);
    } catch (e) { ok = 0; out = Buffer.from(String(e)); }
    have = have.subarray(11 + n + m);
    const head = Buffer.alloc(5);
    head[0] = ok;
    head.writeUInt32LE(out.length, 1);
    process.stdout.write(Buffer.concat([head, out]));
  }
});`

// startZlib starts Node.js once a process; it ends with its input.
var startZlib = sync.OnceValues(func() (*zlib, error) {
	cmd := exec.Command("node", "-e", zlibScript)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &zlib{in, out}, nil
})

func (z *zlib) do(op byte, bits, level int, history, data []byte) ([]byte, error) {
	req := []byte{op, byte(bits), byte(level)}
	req = binary.LittleEndian.AppendUint32(req, uint32(len(history)))
	req = binary.LittleEndian.AppendUint32(req, uint32(len(data)))
	req = append(append(req, history...), data...)
	if _, err := z.in.Write(req); err != nil {
		return nil, err
	}
	var head [5]byte
	if _, err := io.ReadFull(z.out, head[:]); err != nil {
		return nil, err
	}
	out := make([]byte, binary.LittleEndian.Uint32(head[1:]))
	if _, err := io.ReadFull(z.out, out); err != nil {
		return nil, err
	}
	if head[0] == 0 {
		return nil, fmt.Errorf("zlib: %s", out)
	}
	return out, nil
}

// inflate is the receiver's half by the letter (RFC 7692 7.2.2), with no more window than was agreed on.
func (z *zlib) inflate(bits int, history, payload []byte) ([]byte, error) {
	return z.do(0, bits, 0, history, append(bytes.Clone(payload), "\x00\x00\xff\xff"...))
}

func requireZlib(t *testing.T) *zlib {
	t.Helper()
	z, err := startZlib()
	if err != nil {
		t.Skipf("needs Node.js for its zlib: %v", err)
	}
	return z
}

func TestZlibReceives(t *testing.T) {
	z := requireZlib(t)
	directions(t, func(t *testing.T, dir deflate.Direction) {
		for _, level := range []int{1, 2, 6, 9} {
			c := deflate.NewCompressor(dir, deflate.Options{Level: level, History: 4096 * level})
			var history []byte
			for i, text := range messages() {
				got, err := z.inflate(dir.WindowBits, history, c.Append(nil, text, true))
				if err != nil || !bytes.Equal(got, text) {
					t.Fatalf("level %d, message %d: %d of %d bytes, %v", level, i, len(got), len(text), err)
				}
				if dir.Takeover {
					history = append(history, text...)
					history = history[max(0, len(history)-1<<dir.WindowBits):]
				}
			}
		}
	})
}

func TestZlibSends(t *testing.T) {
	z := requireZlib(t)
	directions(t, func(t *testing.T, dir deflate.Direction) {
		for _, level := range []int{0, 1, 6, 9} {
			d := deflate.NewDecompressor(dir)
			var history []byte
			for i, text := range messages() {
				wire, err := z.do(1, dir.WindowBits, level, history, text)
				if err != nil {
					t.Fatal(err)
				}
				wire, ok := bytes.CutSuffix(wire, []byte("\x00\x00\xff\xff"))
				if !ok {
					t.Fatalf("no flush marker at the end of %d bytes", len(wire))
				}
				got, err := d.Append(nil, 0, wire, true, 1<<20)
				if err != nil || !bytes.Equal(got, text) {
					t.Fatalf("level %d, message %d: %d of %d bytes, %v", level, i, len(got), len(text), err)
				}
				if dir.Takeover {
					history = append(history, text...)
					history = history[max(0, len(history)-1<<dir.WindowBits):]
				}
			}
		}
	})
}
