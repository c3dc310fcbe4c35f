package conn_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/tidewire/ws/conn"
)

// First bytes of frames (RFC 6455 5.2).
const (
	fin  = 0x80
	rsv1 = 0x40

	cont   = 0x0
	text   = 0x1
	binry  = 0x2
	closes = 0x8
	ping   = 0x9
	pong   = 0xA
)

// rawPeer speaks frames by hand, right or wrong. It shares no code with what it tests.
type rawPeer struct {
	t      testing.TB
	nc     net.Conn
	br     *bufio.Reader
	client bool
	keys   map[uint32]bool

	patience time.Duration // of next
}

func newRawPeer(t testing.TB, nc net.Conn, client bool) *rawPeer {
	return &rawPeer{t: t, nc: nc, br: bufio.NewReader(nc), client: client, keys: make(map[uint32]bool), patience: patience}
}

// frame is RFC 6455 5.2 and 5.3 as they are written.
func (p *rawPeer) frame(b0 byte, payload string) []byte {
	b := p.header(b0, uint64(len(payload)))
	if !p.client {
		return append(b, payload...)
	}
	key := b[len(b)-4:]
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

// header is one that announces n bytes.
func (p *rawPeer) header(b0 byte, n uint64) []byte {
	var bit byte
	if p.client {
		bit = 0x80
	}
	b := []byte{b0}
	switch {
	case n < 126:
		b = append(b, bit|byte(n))
	case n < 65536:
		b = binary.BigEndian.AppendUint16(append(b, bit|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, bit|127), n)
	}
	if p.client {
		b = append(b, 0x37, 0xfa, 0x21, 0x3d)
	}
	return b
}

// write sends bytes as they are.
func (p *rawPeer) write(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.t.Error("peer writes:", err)
	}
}

func (p *rawPeer) send(b0 byte, payload string) {
	p.t.Helper()
	p.write(p.frame(b0, payload))
}

// next reads a frame. At the end of the stream the error is io.EOF.
func (p *rawPeer) next() (b0 byte, payload string, err error) {
	p.t.Helper()
	_ = p.nc.SetReadDeadline(time.Now().Add(p.patience))
	var b [14]byte
	if _, err := io.ReadFull(p.br, b[:2]); err != nil {
		return 0, "", err
	}
	n, size := uint64(b[1]&0x7f), 0
	switch n {
	case 126:
		size = 2
	case 127:
		size = 8
	}
	masked := b[1]&0x80 != 0
	if masked == p.client {
		p.t.Errorf("frame with the mask bit %v", masked)
	}
	if _, err := io.ReadFull(p.br, b[2:2+size]); err != nil {
		return 0, "", noEOF(err)
	}
	switch size {
	case 2:
		n = uint64(binary.BigEndian.Uint16(b[2:]))
	case 8:
		n = binary.BigEndian.Uint64(b[2:])
	}
	if size == 2 && n < 126 || size == 8 && n < 65536 {
		p.t.Errorf("length %d in %d bytes", n, size)
	}
	var key [4]byte
	if masked {
		if _, err := io.ReadFull(p.br, key[:]); err != nil {
			return 0, "", noEOF(err)
		}
		p.keys[binary.LittleEndian.Uint32(key[:])] = true
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(p.br, data); err != nil {
		return 0, "", noEOF(err)
	}
	for i := range data {
		data[i] ^= key[i%4]
	}
	return b[0], string(data), nil
}

// noEOF is for the middle of a frame.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// want reads a frame and checks that it is the given one.
func (p *rawPeer) want(b0 byte, payload string) {
	p.t.Helper()
	got, data, err := p.next()
	if got != b0 || data != payload || err != nil {
		p.t.Errorf("peer got frame %#x %.100q (%d bytes), %v; want %#x %.100q", got, data, len(data), err, b0, payload)
	}
}

// message reads frames up to the end of a message, and returns the first one's opcode and the payload of all. Control frames
// are left out.
func (p *rawPeer) message() (op byte, payload string) {
	p.t.Helper()
	for first := true; ; {
		b0, data, err := p.next()
		if err != nil {
			p.t.Errorf("peer waits for a message: %v", err)
			return 0, payload
		}
		if b0&0xf >= closes {
			continue
		}
		if first != (b0&0xf != cont) {
			p.t.Errorf("frame %#x behind %d bytes of message", b0, len(payload))
		}
		if first {
			op, first = b0&0xf, false
		}
		if payload += data; b0&fin != 0 {
			return op, payload
		}
	}
}

// wantClosed reads until a close frame with code, and then the end of the stream.
func (p *rawPeer) wantClosed(code conn.StatusCode) {
	p.t.Helper()
	for {
		b0, data, err := p.next()
		if err != nil {
			p.t.Errorf("peer waits for a close frame: %v", err)
			return
		}
		if b0 != fin|closes {
			continue
		}
		if got := codeOf(data); got != code {
			p.t.Errorf("peer was told %d, want %d", got, code)
		}
		p.wantEnd()
		return
	}
}

// codeOf is the code in a close frame.
func codeOf(payload string) conn.StatusCode {
	if len(payload) < 2 {
		return conn.StatusNoStatus
	}
	return conn.StatusCode(binary.BigEndian.Uint16([]byte(payload)))
}

// closing is the payload of a close frame.
func closing(code conn.StatusCode, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

// wantEnd reads the end of the stream.
func (p *rawPeer) wantEnd() {
	p.t.Helper()
	_ = p.nc.SetReadDeadline(time.Now().Add(patience))
	if b, err := p.br.ReadByte(); !isEnd(err) {
		p.t.Errorf("peer waits for the end, got byte %#x, %v", b, err)
	}
}

// isEnd reports whether err is how a stream ends.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
