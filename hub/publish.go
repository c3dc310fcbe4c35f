package hub

import (
	"context"
	"log/slog"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
)

// Publish sends messages to the members of a room, on all nodes, in the order in
// which they are given; what several calls send is mixed, but in the same way
// for all members. It does not wait for sockets, whatever they do, except where
// the room's policy is Wait.
//
// nil means that the members on this node have been served, and the broker has
// taken the messages; with a history, that they are kept, and pos is that of the last one. An
// error means that one of them, or none, may have come through.
func (h *Hub) Publish(ctx context.Context, room string, ms ...Message) (pos Position, err error) {
	r, opts, err := h.lookup(room)
	if err != nil {
		return pos, err
	}
	if opts.Policy == Wait && r != nil {
		defer func() {
			if err == nil {
				err = r.awaitRoom(ctx)
			}
		}()
	}
	if opts.History > 0 {
		return h.publishKept(ctx, roomTopic(room, opts), ms)
	}
	cts, err := h.encodeAll(ms)
	if err != nil {
		return pos, err
	}
	if r != nil {
		if err := h.publishHere(ctx, r, cts); err != nil {
			return pos, err
		}
	}
	if h.alone {
		return pos, nil
	}
	topic := Topic{Name: messagesOf + escaped(room)}
	_, err = h.broker.Publish(ctx, topic, "", h.pack(kindMessage, "", cts))
	return pos, err
}

// lookup returns a room, nil if nobody on the node is in it, and what it is like.
func (h *Hub) lookup(name string) (*room, RoomOptions, error) {
	h.mu.RLock()
	r, st := h.rooms[name], h.state
	h.mu.RUnlock()
	switch {
	case st != running:
		return nil, RoomOptions{}, ErrClosed
	case r != nil:
		return r, r.opts, nil
	}
	opts, err := h.roomOptions(name)
	return nil, opts, err
}

func (h *Hub) encodeAll(ms []Message) ([]*content, error) {
	h.stats.published.Add(uint64(len(ms)))
	cts := make([]*content, len(ms))
	for i := range ms {
		var err error
		if cts[i], err = h.encoded(&ms[i]); err != nil {
			return nil, err
		}
	}
	return cts, nil
}

// publishHere sends messages to a room's members on this node.
func (h *Hub) publishHere(ctx context.Context, r *room, cts []*content) error {
	ps, err := h.parcels(cts, r.name)
	if err != nil {
		return err
	}
	return r.publish(ctx, ps...)
}

func (h *Hub) parcels(cts []*content, room string) ([]*parcel, error) {
	ps := make([]*parcel, len(cts))
	for i, ct := range cts {
		var err error
		if ps[i], err = h.parcel(ct, room, Position{}); err != nil {
			return nil, err
		}
	}
	return ps, nil
}

// publishKept publishes in a topic with a history: the broker decides on the
// order, so that this node's members get the messages from it like all others.
func (h *Hub) publishKept(ctx context.Context, t Topic, ms []Message) (pos Position, err error) {
	cts, err := h.encodeAll(ms)
	if err != nil {
		return pos, err
	}
	for i, ct := range cts {
		data := h.pack(kindMessage, "", []*content{ct})
		if pos, err = h.broker.Publish(ctx, t, ms[i].ID, data); err != nil {
			return pos, err
		}
	}
	return pos, nil
}

// pack makes a packet of messages, with a text before them if it is not empty.
func (h *Hub) pack(k kind, text string, cts []*content) []byte {
	b := newPacket(k, h.node)
	if text != "" {
		b = appendText(b, text)
	}
	for _, ct := range cts {
		b = ct.append(b)
	}
	return b
}

// Send sends messages to one connection of this node, by its queue: in order
// with those of its rooms, and without waiting. A full queue drops its oldest.
func (h *Hub) Send(c *ws.Conn, ms ...Message) error {
	m, err := h.add(c)
	if err != nil {
		return err
	}
	cts, err := h.encodeAll(ms)
	if err != nil {
		return err
	}
	ps, err := h.parcels(cts, "")
	if err != nil {
		return err
	}
	h.sendDirect(ps, m)
	return nil
}

// PublishTo sends messages to all connections of a principal, on all nodes; see
// Options.Principal.
func (h *Hub) PublishTo(ctx context.Context, principal string, ms ...Message) error {
	cts, err := h.encodeDirect(ms)
	if err != nil {
		return err
	}
	if err := h.deliverTo(principal, cts); err != nil || h.alone {
		return err
	}
	return h.tellAll(ctx, h.pack(kindPrincipal, principal, cts))
}

// PublishAll sends messages to everyone: to every connection that any of the hubs knows.
func (h *Hub) PublishAll(ctx context.Context, ms ...Message) error {
	cts, err := h.encodeDirect(ms)
	if err != nil {
		return err
	}
	if err := h.publishHere(ctx, h.all, cts); err != nil || h.alone {
		return err
	}
	return h.tellAll(ctx, h.pack(kindEveryone, "", cts))
}

func (h *Hub) encodeDirect(ms []Message) ([]*content, error) {
	if !h.isRunning() {
		return nil, ErrClosed
	}
	return h.encodeAll(ms)
}

func (h *Hub) isRunning() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.state == running
}

func (h *Hub) tellAll(ctx context.Context, packet []byte) error {
	_, err := h.broker.Publish(ctx, Topic{Name: allNodes}, "", packet)
	return err
}

// deliverTo sends messages to a principal's connections on this node.
func (h *Hub) deliverTo(principal string, cts []*content) error {
	theirs := h.connectionsOf(principal)
	if len(theirs) == 0 {
		return nil
	}
	ps, err := h.parcels(cts, "")
	if err == nil {
		h.sendDirect(ps, theirs...)
	}
	return err
}

func (h *Hub) connectionsOf(principal string) []*member {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.principals[principal]
}

// sendDirect sends to members by no room.
func (h *Hub) sendDirect(ps []*parcel, ms ...*member) {
	b := batch{parcels: ps}
	b.fill(len(h.codecs))
	for _, m := range ms {
		m.send(&m.direct, &b)
	}
	h.stats.sent.Add(uint64(len(ms) * len(ps)))
	if h.lagging.bytes.Load() > h.opts.Memory {
		h.shed()
	}
}

// notice is an event of the hub's own.
func (h *Hub) notice(typ, room string, pos Position, v any) *parcel {
	p := &parcel{frames: make([]frame, len(h.codecs))}
	e := codec.Envelope{Type: []byte(typ), Room: []byte(room), Pos: pos}
	for i, c := range h.codecs {
		env := enveloper(c)
		if env == nil {
			continue
		}
		data, err := env.AppendEnvelope(nil, &e, v)
		if err == nil {
			err = p.frames[i].prepare(p, &part{c.Name(), messageType(c), data}, data, false)
		}
		if err != nil { // a codec that refuses the hub's own types
			h.opts.Logger.Error("hub: can't encode "+typ, "codec", c.Name(), "error", err)
		}
	}
	return p
}

func (h *Hub) malformed(topic string, err error) {
	h.opts.Logger.Warn("hub: message from another node ignored", slog.String("topic", topic), slog.Any("error", err))
}
