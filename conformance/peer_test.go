package conformance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
	"unicode/utf8"
)

// peer is a plain echo peer of the tests. Without faults it does everything right; each fault makes it break one rule.
type peer struct {
	faults  faults
	client  bool
	conn    net.Conn
	in      *bufio.Reader
	codec   *deflateCodec
	out     []byte
	op      opcode // of the unfinished message, 0: none
	packed  bool   // that message is compressed
	message []byte
	checked int // bytes of message known to be UTF-8
	pongs   []frame
}

type faults struct {
	noUTF8Check, lateUTF8Check           bool
	anyReservedBits, anyOpcode, anyMask  bool
	wrongMask                            bool
	anyControlLength, fragmentedControl  bool
	longLengths                          bool // takes lengths that are not in their shortest form
	strayContinuation, interleaved       bool
	noPong, wrongPong, latePong          bool
	answersPongs                         bool
	echoesAfterClose, answersAfterClose  bool
	anyClosePayload                      bool
	wrongCloseCode                       bool // for violations
	wrongCloseAnswer                     bool
	noCloseFrame, ignoresClose, keepsTCP bool
	maskedLength                         bool // loses the upper bytes of 64-bit lengths
	asBinary                             bool
	losesEmpty                           bool
	flipsLast                            bool // in long messages
	keepsContext, fullWindow             bool // compresses other than agreed
	anyCompressedFrame                   bool // RSV1 where it means nothing
	noCompression                        bool
}

// failure is a violation that ends the connection with a status code.
type failure uint16

func (failure) Error() string { return "protocol violation" }

var errDone = errors.New("the closing handshake is over")

// run echoes until the connection ends.
func (p *peer) run() {
	defer p.conn.Close()
	err := error(nil)
	for err == nil {
		err = p.step()
	}
	var code failure
	if p.faults.noCloseFrame {
		return
	}
	if errors.As(err, &code) {
		if p.faults.wrongCloseCode {
			code = 1001
		}
		_ = p.send(closeWith(uint16(code), ""))
	}
	p.linger()
}

// linger reads what is left, so that the other side gets to see the close frame.
func (p *peer) linger() {
	if p.client || p.faults.keepsTCP {
		_, _ = io.Copy(io.Discard, p.in)
		return
	}
	if c, ok := p.conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, p.in)
	}
}

func (p *peer) send(fs ...frame) error {
	p.out = p.out[:0]
	for _, f := range fs {
		f.wrongMask = p.faults.wrongMask
		p.out = f.append(p.out, p.client)
	}
	_, err := p.conn.Write(p.out)
	return err
}

// step handles one frame.
func (p *peer) step() error {
	var header [2]byte
	if _, err := io.ReadFull(p.in, header[:]); err != nil {
		return err
	}
	f := frame{op: opcode(header[0] & 15), fin: header[0]&0x80 != 0, rsv: header[0] >> 4 & 7}
	masked := header[1]&0x80 != 0
	if err := p.checkHeader(f, header[1]&0x7f, masked); err != nil {
		return err
	}
	n, err := p.length(header[1] & 0x7f)
	if err != nil {
		return err
	}
	var key [4]byte
	if masked {
		if _, err := io.ReadFull(p.in, key[:]); err != nil {
			return err
		}
	}
	if f.op >= 8 {
		f.payload = make([]byte, n)
		if _, err := io.ReadFull(p.in, f.payload); err != nil {
			return err
		}
		xor(f.payload, key)
		return p.control(f)
	}
	return p.data(f, n, key)
}

func (p *peer) checkHeader(f frame, length byte, masked bool) error {
	known := f.op <= opBinary || f.op >= opClose && f.op <= opPong
	rsv := f.rsv
	if p.codec != nil && (f.op == opText || f.op == opBinary || p.faults.anyCompressedFrame) {
		rsv &^= rsv1
	}
	switch {
	case rsv != 0 && !p.faults.anyReservedBits,
		!known && !p.faults.anyOpcode,
		masked == p.client && !p.faults.anyMask,
		f.op >= 8 && !f.fin && !p.faults.fragmentedControl,
		f.op >= 8 && length > 125 && !p.faults.anyControlLength,
		f.op == opContinuation && p.op == 0 && !p.faults.strayContinuation,
		(f.op == opText || f.op == opBinary) && p.op != 0 && !p.faults.interleaved:
		return failure(1002)
	}
	return nil
}

func (p *peer) length(short byte) (int, error) {
	var b [8]byte
	switch short {
	case 126:
		_, err := io.ReadFull(p.in, b[:2])
		n := binary.BigEndian.Uint16(b[:])
		if err == nil && n < 126 && !p.faults.longLengths {
			err = failure(1002)
		}
		return int(n), err
	case 127:
		_, err := io.ReadFull(p.in, b[:])
		n := binary.BigEndian.Uint64(b[:])
		switch {
		case p.faults.maskedLength:
			n &= 0xffff
		case err == nil && n > maxFrame, err == nil && n < 1<<16 && !p.faults.longLengths:
			err = failure(1002)
		}
		return int(n & 0x7fffffff), err
	}
	return int(short), nil
}

func (p *peer) control(f frame) error {
	switch f.op {
	case opPing:
		switch {
		case p.faults.noPong:
		case p.faults.wrongPong:
			return p.send(pong("!" + string(f.payload[min(1, len(f.payload)):])))
		case p.faults.latePong && p.op != 0:
			p.pongs = append(p.pongs, pong(string(f.payload)))
		default:
			return p.send(pong(string(f.payload)))
		}
	case opPong:
		if p.faults.answersPongs {
			return p.send(pong(string(f.payload)))
		}
	case opClose:
		return p.answerClose(f.payload)
	}
	return nil
}

func (p *peer) answerClose(payload []byte) error {
	if p.faults.ignoresClose {
		return nil
	}
	const none = -1
	code := none
	if len(payload) >= 2 {
		code = int(binary.BigEndian.Uint16(payload))
	}
	bad := len(payload) == 1 || code != none && !validCode(code) || len(payload) > 2 && !utf8.Valid(payload[2:])
	if bad && !p.faults.anyClosePayload {
		return failure(1002)
	}
	answer := frame{op: opClose, fin: true}
	switch {
	case p.faults.wrongCloseAnswer:
		answer = closeWith(1008, "")
	case bad:
		answer = closeWith(1000, "")
	case code != none:
		answer = closeWith(uint16(code), "")
	}
	if p.faults.noCloseFrame {
		return errDone
	}
	if p.faults.echoesAfterClose {
		p.serveAfterClose()
	}
	err := p.send(answer)
	if p.faults.answersAfterClose {
		p.serveAfterClose()
	}
	return errors.Join(err, errDone)
}

// serveAfterClose goes on as if there had been no close frame, until nothing more comes.
func (p *peer) serveAfterClose() {
	p.faults.ignoresClose = true
	_ = p.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	for p.step() == nil {
	}
	_ = p.conn.SetReadDeadline(time.Time{})
}

// data reads a data frame's payload as it comes in, checking text on the way.
func (p *peer) data(f frame, n int, key [4]byte) error {
	if f.op != opContinuation || p.op == 0 {
		p.op, p.packed, p.message, p.checked = f.op, f.rsv&rsv1 != 0 && p.codec != nil, p.message[:0], 0
	}
	start := len(p.message)
	for read := 0; read < n; {
		p.message = append(p.message, make([]byte, min(n-read, max(1, p.in.Buffered())))...)
		piece := p.message[start+read:]
		if _, err := io.ReadFull(p.in, piece); err != nil {
			return err
		}
		for i := range piece {
			piece[i] ^= key[(read+i)&3]
		}
		read += len(piece)
		if p.op == opText && !p.packed && !p.faults.lateUTF8Check && !p.validSoFar(p.message, false) {
			return failure(1007)
		}
	}
	if !f.fin {
		return nil
	}
	op := p.op
	p.op = 0
	return p.echo(op, p.message)
}

// validSoFar checks the bytes not checked yet, up to the last whole character.
func (p *peer) validSoFar(b []byte, whole bool) bool {
	for p.checked < len(b) && !p.faults.noUTF8Check {
		rest := b[p.checked:]
		if !whole && !utf8.FullRune(rest) {
			break
		}
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 {
			return false
		}
		p.checked += size
	}
	return true
}

func (p *peer) echo(op opcode, message []byte) error {
	if p.codec != nil {
		var err error
		if message, err = p.codec.decode(message, p.packed); err != nil {
			return failure(1007)
		}
	}
	if p.packed {
		p.checked = 0
	}
	if op == opText && !p.validSoFar(message, true) {
		return failure(1007)
	}
	if p.faults.losesEmpty && len(message) == 0 {
		return nil
	}
	f := frame{op: op, fin: true, payload: bytes.Clone(message)}
	if p.faults.asBinary {
		f.op = opBinary
	}
	if p.faults.flipsLast && len(message) > 60_000 {
		f.payload[len(message)-1] ^= 1
	}
	if p.codec != nil {
		f.payload, f.rsv = p.codec.encode(f.payload), rsv1
	}
	late := p.pongs
	p.pongs = nil
	return p.send(append([]frame{f}, late...)...)
}

// spoil makes the codec break what was agreed on.
func (p *peer) spoil() {
	if p.codec == nil {
		return
	}
	if p.faults.keepsContext {
		p.codec.forget = false
	}
	if p.faults.fullWindow {
		full, err := newCodec(side{noTakeover: p.codec.forget}, side{})
		if err != nil {
			panic(err)
		}
		full.in = p.codec.in
		p.codec = full
	}
}

// dialPeer is the peer as a client.
func dialPeer(ctx context.Context, url string, through dialFunc, fs faults) error {
	offers := &deflateTest{[]deflateWish{{}}}
	if fs.noCompression {
		offers = nil
	}
	d, err := dial(ctx, url, offers, through)
	if err != nil {
		return err
	}
	p := &peer{faults: fs, client: true, conn: d.conn, codec: d.codec}
	p.in = bufio.NewReader(io.MultiReader(bytes.NewReader(d.early), d.conn))
	p.spoil()
	p.run()
	return nil
}

// servePeer is the peer as a server, until the listener is closed.
func servePeer(ln net.Listener, fs faults) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go acceptPeer(conn, fs)
	}
}

func acceptPeer(conn net.Conn, fs faults) {
	in := bufio.NewReader(conn)
	r, err := http.ReadRequest(in)
	if err == nil {
		err = checkRequest(r)
	}
	if err != nil {
		conn.Close()
		return
	}
	wish := &deflateTest{[]deflateWish{{}}}
	if fs.noCompression {
		wish = nil
	}
	response, codec, err := serverCodec(r.Header.Values("Sec-WebSocket-Extensions"), wish)
	if err != nil || writeResponse(conn, r, response) != nil {
		conn.Close()
		return
	}
	p := &peer{faults: fs, conn: conn, in: in, codec: codec}
	p.spoil()
	p.run()
}
