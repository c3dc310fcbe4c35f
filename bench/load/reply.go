//go:build linux

package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
)

// A listener checks the bytes that one connection receives against its script. It keeps no data but what a frame cut in two
// needs, and the pieces of a compressed message.
type listener struct {
	script *script
	raw    bool

	head    [14]byte // of the frame in work, headLen bytes so far
	headLen int
	inFrame bool
	left    uint64 // payload bytes of the frame that are still to come
	control []byte // payload of the control frame in work

	got     int    // whole messages so far
	off     int    // bytes of the message in work
	open    bool   // its first frame has come, and not its last
	packed  bool   // it is compressed
	zip     []byte // its compressed bytes
	pending []byte // a pong that wants to be sent
}

// hear takes what has been received and returns how many messages it completed.
func (l *listener) hear(b []byte) (int, error) {
	before := l.got
	for len(b) > 0 {
		var err error
		switch {
		case l.raw:
			b, err = l.hearRaw(b)
		case l.inFrame:
			b, err = l.hearPayload(b)
		default:
			b, err = l.hearHead(b)
		}
		if err != nil {
			return 0, fmt.Errorf("message %d: %w", l.got, err)
		}
	}
	return l.got - before, nil
}

// hearRaw checks the echo of a server without WebSocket: the frames themselves come back.
func (l *listener) hearRaw(b []byte) ([]byte, error) {
	want := l.script.send(l.got, 1)[l.off:]
	n := min(len(want), len(b))
	if !bytes.Equal(b[:n], want[:n]) {
		return nil, errors.New("other bytes came back than were sent")
	}
	l.off += n
	if n == len(want) {
		l.off = 0
		l.got++
	}
	return b[n:], nil
}

// hearHead takes bytes of a frame's header, and begins the frame once it has them all.
func (l *listener) hearHead(b []byte) ([]byte, error) {
	need := 2
	if l.headLen >= 2 {
		need = headSize(l.head[1])
	}
	n := copy(l.head[l.headLen:need], b)
	l.headLen += n
	if l.headLen < 2 || l.headLen < headSize(l.head[1]) {
		return b[n:], nil
	}
	l.headLen = 0
	if err := l.begin(); err != nil {
		return nil, err
	}
	if l.left == 0 {
		return b[n:], l.end()
	}
	return b[n:], nil
}

// headSize is the size of a server frame's header whose second byte is b.
func headSize(b byte) int {
	switch b & 0x7f {
	case 126:
		return 4
	case 127:
		return 10
	}
	return 2
}

func (l *listener) begin() error {
	if l.head[1]&0x80 != 0 {
		return errors.New("masked frame from a server")
	}
	switch size := headSize(l.head[1]); size {
	case 4:
		l.left = uint64(binary.BigEndian.Uint16(l.head[2:]))
	case 10:
		l.left = binary.BigEndian.Uint64(l.head[2:])
	default:
		l.left = uint64(l.head[1])
	}
	l.inFrame = true
	op := l.head[0] & 0x0f
	if op >= 8 {
		l.control = l.control[:0]
		return nil
	}
	if want := l.wantOp(); op != want {
		return fmt.Errorf("frame with opcode %d, want %d", op, want)
	}
	if !l.open {
		l.open, l.off, l.packed, l.zip = true, 0, l.head[0]&0x40 != 0, l.zip[:0]
	}
	return nil
}

func (l *listener) wantOp() byte {
	if l.open {
		return 0
	}
	return l.script.op
}

func (l *listener) hearPayload(b []byte) ([]byte, error) {
	n := int(min(l.left, uint64(len(b))))
	part := b[:n]
	switch {
	case l.head[0]&0x08 != 0:
		l.control = append(l.control, part...)
	case l.packed:
		l.zip = append(l.zip, part...)
	default:
		want := l.script.reply(l.got)
		if l.off+n > len(want) || !bytes.Equal(part, want[l.off:l.off+n]) {
			return nil, fmt.Errorf("wrong payload in bytes %d to %d", l.off, l.off+n)
		}
		l.off += n
	}
	if l.left -= uint64(n); l.left > 0 {
		return b[n:], nil
	}
	return b[n:], l.end()
}

// end closes the frame in work, and the message if it was its last.
func (l *listener) end() error {
	l.inFrame = false
	if l.head[0]&0x08 != 0 {
		return l.endControl()
	}
	if l.head[0]&0x80 == 0 {
		return nil
	}
	l.open = false
	if l.packed {
		if err := l.inflate(); err != nil {
			return err
		}
	}
	if want := l.script.reply(l.got); l.off != len(want) {
		return fmt.Errorf("%d bytes, want %d", l.off, len(want))
	}
	l.got++
	return nil
}

func (l *listener) endControl() error {
	switch l.head[0] & 0x0f {
	case 8:
		return fmt.Errorf("the server closed: %x %q", l.control[:min(2, len(l.control))], l.control[min(2, len(l.control)):])
	case 9:
		l.pending = appendFrame(l.pending, 10, false, l.control, 0x01020304)
	}
	return nil
}

// inflater is shared by all connections: the windows come from the script.
var inflater = flate.NewReader(nil)

// inflated holds the message that inflate has just unpacked.
var inflated []byte

// inflate unpacks the message in work and compares it. What is appended to it is the tail that senders leave out
// (RFC 7692 7.2.2) and an empty last block, so that the reader finds its end.
func (l *listener) inflate() error {
	want := l.script.reply(l.got)
	l.zip = append(l.zip, 0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff)
	inflater.(flate.Resetter).Reset(bytes.NewReader(l.zip), l.script.window(l.got))
	inflated = append(inflated[:0], make([]byte, len(want)+1)...)
	n, err := io.ReadFull(inflater, inflated)
	if err != io.ErrUnexpectedEOF && err != io.EOF {
		return fmt.Errorf("inflating: %w", errors.Join(err, errors.New("or longer than expected")))
	}
	if !bytes.Equal(inflated[:n], want) {
		return errors.New("wrong text after inflating")
	}
	l.off = n
	return nil
}
