package hub

import (
	"bytes"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/router"
)

// Message is what is published: bytes that everybody is sent as they are, or a
// value (see Typed) that is encoded once for each codec.
type Message struct {
	Type       ws.MessageType // Text or Binary
	Data       []byte         // not kept
	NoCompress bool           // see ws.Message

	Key    string   // for LatestWins: what the message is about
	ID     string   // in a room with a history: of several messages with one ID only the first counts
	Except *ws.Conn // does not get the message; nil: everybody does

	encode func(c codec.Codec) ([]byte, error) // of a typed message
}

// Typed is v as an event that the router has registered. Clients get the
// event's envelope with the members "room", and in a room with a history "pos",
// beside "type" and "data".
func Typed[T any](e *router.Event[T], v T) Message {
	return Message{encode: func(c codec.Codec) ([]byte, error) {
		t := &tap{Codec: c, to: enveloper(c)}
		_, err := e.Prepare(t, v)
		return t.out, err
	}}
}

// tap is a codec that shows what an event's envelope looks like.
type tap struct {
	codec.Codec
	to  codec.Enveloper
	out []byte
}

func (t *tap) ScanEnvelope(p []byte, e *codec.Envelope) error { return t.to.ScanEnvelope(p, e) }

func (t *tap) AppendEnvelope(b []byte, e *codec.Envelope, v any) ([]byte, error) {
	n := len(b)
	b, err := t.to.AppendEnvelope(b, e, v)
	t.out = bytes.Clone(b[n:])
	return b, err
}

// enveloper returns how c's messages are put into envelopes; nil if they can't be.
func enveloper(c codec.Codec) codec.Enveloper {
	if e, ok := c.(codec.Enveloper); ok {
		return e
	}
	if c.Binary() {
		return nil
	}
	return codec.InJSON(c)
}

// placed is an envelope with a room and a position in it, if c can do that.
func placed(c codec.Codec, envelope []byte, room string, pos Position) []byte {
	if room == "" {
		return envelope
	}
	if p, ok := enveloper(c).(codec.Placer); ok {
		return p.AppendPlaced(nil, envelope, room, pos)
	}
	return envelope
}

// content is a message as it travels: encoded, but not yet framed.
type content struct {
	key        string
	noCompress bool
	typed      bool
	from       string // node that it was published on
	except     uint64 // a member of that node
	parts      []part // of a typed message one for each codec, in the order of Hub.codecs; else one
}

type part struct {
	codec string // its name; "" for bytes that are sent as they are
	typ   ws.MessageType
	data  []byte
}

// encoded encodes m. What it returns may have m's own Data in it.
func (h *Hub) encoded(m *Message) (*content, error) {
	ct := &content{key: m.Key, noCompress: m.NoCompress, typed: m.encode != nil, from: h.node}
	if m.Except != nil {
		ct.except = h.idOf(m.Except)
	}
	if m.encode == nil {
		ct.parts = []part{{typ: m.Type, data: m.Data}}
		return ct, nil
	}
	for _, c := range h.codecs {
		p, err := m.encode(c)
		if err != nil {
			return nil, err
		}
		ct.parts = append(ct.parts, part{c.Name(), messageType(c), p})
	}
	return ct, nil
}

func messageType(c codec.Codec) ws.MessageType {
	if c.Binary() {
		return ws.Binary
	}
	return ws.Text
}

// parcel frames a message for the members of a room; "" is no room.
func (h *Hub) parcel(ct *content, room string, pos Position) (*parcel, error) {
	p := &parcel{key: ct.key, offset: pos.Offset}
	if ct.from == h.node {
		p.except = ct.except
	}
	if !ct.typed {
		p.frames = make([]frame, 1)
		return p, p.frames[0].prepare(p, &ct.parts[0], ct.parts[0].data, ct.noCompress)
	}
	p.frames = make([]frame, len(h.codecs))
	for i, c := range h.codecs {
		if pt := ct.part(c.Name(), i); pt != nil {
			if err := p.frames[i].prepare(p, pt, placed(c, pt.data, room, pos), ct.noCompress); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// part finds the part for a codec, which is most likely at index i.
func (ct *content) part(codec string, i int) *part {
	if i < len(ct.parts) && ct.parts[i].codec == codec {
		return &ct.parts[i]
	}
	for i := range ct.parts {
		if ct.parts[i].codec == codec {
			return &ct.parts[i]
		}
	}
	return nil
}

func (f *frame) prepare(p *parcel, pt *part, data []byte, noCompress bool) (err error) {
	f.p, err = ws.NewPrepared(ws.Message{Type: pt.typ, Data: data, NoCompress: noCompress})
	f.size = len(data)
	p.size = max(p.size, f.size)
	return err
}
