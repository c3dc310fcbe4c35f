package hub

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/tidewire/ws"
)

// What nodes send each other is a packet: a version, a kind, the node it is
// from, and a body. Messages, of which there are many, have a body of their own
// format, everything else has JSON.
const version = 1

// kind is what a packet is about.
type kind byte

const (
	kindMessage kind = iota + 1
	kindHello
	kindBeat
	kindBye
	kindPrincipal
	kindEveryone
	kindKick
	kindTold
	kindChanged
	kindAsk
	kindState
)

// packet is one that was received. Its slices lie in what was parsed.
type packet struct {
	kind kind
	from string
	body []byte
}

// newPacket begins a packet; its body is what is appended.
func newPacket(k kind, from string) []byte {
	return appendText([]byte{version, byte(k)}, from)
}

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errPacket = errors.New("hub: packet from another node is malformed, or of another version")

func parsePacket(b []byte) (packet, error) {
	if len(b) < 2 || b[0] != version {
		return packet{}, errPacket
	}
	r := parser{b: b[2:]}
	p := packet{kind: kind(b[1]), from: string(r.text())}
	p.body = r.b
	return p, r.err
}

const (
	flagTyped = 1 << iota
	flagNoCompress
)

// append appends a content's body.
func (ct *content) append(b []byte) []byte {
	var flags byte
	if ct.typed {
		flags |= flagTyped
	}
	if ct.noCompress {
		flags |= flagNoCompress
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, ct.except)
	b = appendText(b, ct.key)
	b = binary.AppendUvarint(b, uint64(len(ct.parts)))
	for _, p := range ct.parts {
		b = appendText(b, p.codec)
		b = append(b, byte(p.typ))
		b = appendText(b, p.data)
	}
	return b
}

// maxParts bounds the codecs of a message.
const maxParts = 64

// parseContent parses what append has made; it returns what is behind it, too.
// The content's data lies in b.
func parseContent(b []byte, from string) (*content, []byte, error) {
	r := parser{b: b}
	flags := r.byte()
	ct := &content{from: from, typed: flags&flagTyped != 0, noCompress: flags&flagNoCompress != 0}
	ct.except = r.number()
	ct.key = string(r.text())
	n := r.number()
	if n == 0 || n > maxParts || !ct.typed && n > 1 {
		return nil, nil, errPacket
	}
	for range n {
		p := part{codec: string(r.text()), typ: ws.MessageType(r.byte()), data: r.text()}
		if p.typ != ws.Text && p.typ != ws.Binary {
			return nil, nil, errPacket
		}
		ct.parts = append(ct.parts, p)
	}
	return ct, r.b, r.err
}

// parser takes bytes apart. After an error everything is zero.
type parser struct {
	b   []byte
	err error
}

func (r *parser) fail() {
	r.b, r.err = nil, errPacket
}

func (r *parser) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *parser) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *parser) text() []byte {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

// The topics that the hub uses: two for each room, one for all nodes, and one
// for each node.
const (
	messagesOf = "r:"
	presenceOf = "p:"
	allNodes   = "nodes"
	nodeTopic  = "node:"
)

// escaped is a room's name as a part of a topic's: bytes that are neither ASCII
// letters nor digits nor - or _ are %XX.
func escaped(room string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(room))
	for i := range len(room) {
		switch c := room[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
