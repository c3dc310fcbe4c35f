package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/tidewire/ws"
)

// nodes is what a hub knows of the others. Each says hello when it starts, to
// which the others answer, then shows in every heartbeat that it lives, and says
// bye.
type nodes struct {
	h *Hub

	mu sync.Mutex
	// mu guards all below.
	heard map[string]time.Time // when the node was last heard of
	dead  map[string]bool      // of whom was taken leave, rightly or not
	end   context.CancelFunc
	over  chan struct{} // closed when the heartbeat has ended
}

// deadAfter is how many heartbeats a node that is silent has missed.
const deadAfter = 3

// maxDead is how many of them are remembered.
const maxDead = 1000

func (n *nodes) init(h *Hub) {
	n.h, n.heard, n.dead = h, make(map[string]time.Time), make(map[string]bool)
}

func (n *nodes) start(ctx context.Context) error {
	h := n.h
	for _, t := range []string{allNodes, nodeTopic + h.node} {
		if err := h.broker.Subscribe(ctx, Topic{Name: t}); err != nil {
			return err
		}
	}
	if err := h.tellAll(ctx, newPacket(kindHello, h.node)); err != nil {
		return err
	}
	beating, end := context.WithCancel(context.Background())
	n.mu.Lock()
	n.end, n.over = end, make(chan struct{})
	n.mu.Unlock()
	go n.beat(beating)
	return nil
}

func (n *nodes) stop(ctx context.Context) {
	n.mu.Lock()
	end, over := n.end, n.over
	n.mu.Unlock()
	if end == nil {
		return
	}
	end()
	<-over
	if err := n.h.tellAll(ctx, newPacket(kindBye, n.h.node)); err != nil {
		n.h.opts.Logger.Warn("hub: the other nodes will find out by themselves that this one is gone", "error", err)
	}
}

// beat shows that this node lives and looks whether the others do, until ctx ends.
func (n *nodes) beat(ctx context.Context) {
	defer close(n.over)
	every := n.h.opts.Heartbeat
	tick := time.NewTicker(every)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		within, cancel := context.WithTimeout(ctx, every)
		err := n.h.tellAll(within, newPacket(kindBeat, n.h.node))
		cancel()
		if err != nil && ctx.Err() == nil {
			n.h.opts.Logger.Warn("hub: heartbeat failed", "error", err)
		}
		now := time.Now()
		n.check(now, now.Sub(last) > 2*every)
		last = now
	}
}

// check takes leave of nodes that have been silent for too long; but not if it
// was this one that was frozen.
func (n *nodes) check(now time.Time, frozen bool) {
	var dead []string
	n.mu.Lock()
	for node, at := range n.heard {
		switch {
		case frozen:
			n.heard[node] = now
		case now.Sub(at) > deadAfter*n.h.opts.Heartbeat:
			delete(n.heard, node)
			dead = append(dead, node)
		}
	}
	if len(n.dead) > maxDead {
		clear(n.dead)
	}
	for _, node := range dead {
		n.dead[node] = true
	}
	n.mu.Unlock()
	for _, node := range dead {
		n.h.opts.Logger.Warn("hub: node is silent", "node", node)
		n.h.nodeGone(node)
	}
}

// hear notes that a node lives. One that was believed dead is asked who is there.
func (n *nodes) hear(node string) {
	n.mu.Lock()
	n.heard[node] = time.Now()
	back := n.dead[node]
	delete(n.dead, node)
	n.mu.Unlock()
	if back {
		go n.h.askNode(node)
	}
}

func (h *Hub) askNode(node string) {
	for _, r := range h.allRooms() {
		if r.opts.Presence {
			h.publishJSON(Topic{Name: nodeTopic + node}, kindAsk, ask{r.name})
		}
	}
}

func (n *nodes) bye(node string) {
	n.mu.Lock()
	delete(n.heard, node)
	n.mu.Unlock()
	n.h.nodeGone(node)
}

func (h *Hub) nodeGone(node string) {
	for _, r := range h.allRooms() {
		if r.opts.Presence {
			r.nodeGone(node)
		}
	}
}

func (h *Hub) allRooms() []*room {
	h.mu.RLock()
	defer h.mu.RUnlock()
	rooms := make([]*room, 0, len(h.rooms))
	for _, r := range h.rooms {
		rooms = append(rooms, r)
	}
	return rooms
}

// Node is the name by which other nodes know this one: made at random by New.
func (h *Hub) Node() string { return h.node }

// Nodes returns the names of all nodes that live, this one first, as far as this
// one knows.
func (h *Hub) Nodes() []string {
	h.nodes.mu.Lock()
	defer h.nodes.mu.Unlock()
	names := make([]string, 0, len(h.nodes.heard)+1)
	for node := range h.nodes.heard {
		names = append(names, node)
	}
	slices.Sort(names)
	return slices.Insert(names, 0, h.node)
}

// Tell sends p to another node, whose Options.Told is called with it, at most once.
func (h *Hub) Tell(ctx context.Context, node string, p []byte) error {
	if !h.isRunning() {
		return ErrClosed
	}
	if node == h.node {
		h.told(node, p)
		return nil
	}
	_, err := h.broker.Publish(ctx, Topic{Name: nodeTopic + node}, "", append(newPacket(kindTold, h.node), p...))
	return err
}

func (h *Hub) told(node string, p []byte) {
	if h.opts.Told != nil {
		h.opts.Told(node, bytes.Clone(p))
	}
}

// kick is what a kindKick says.
type kick struct {
	Principal string        `json:"principal"`
	Code      ws.StatusCode `json:"code"`
	Reason    string        `json:"reason"`
}

// Kick closes all connections of a principal, on all nodes, with a close code and
// a reason (see ws.Conn's Close) and ErrKicked as the cause.
func (h *Hub) Kick(ctx context.Context, principal string, code ws.StatusCode, reason string) error {
	if !h.isRunning() {
		return ErrClosed
	}
	k := kick{principal, code, reason}
	h.kick(k)
	if h.alone {
		return nil
	}
	return h.tellAll(ctx, h.packJSON(kindKick, k))
}

func (h *Hub) kick(k kick) {
	for _, m := range h.connectionsOf(k.Principal) {
		m.c.CloseCause(k.Code, k.Reason, ErrKicked)
	}
}

func (h *Hub) packJSON(k kind, v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // the hub's own types can be encoded
	}
	return append(newPacket(k, h.node), body...)
}

// publishJSON tells other nodes something that they can do without.
func (h *Hub) publishJSON(t Topic, k kind, v any) {
	ctx, cancel := context.WithTimeout(context.Background(), brokerTimeout)
	defer cancel()
	if _, err := h.broker.Publish(ctx, t, "", h.packJSON(k, v)); err != nil && h.isRunning() {
		h.opts.Logger.Warn("hub: telling other nodes failed", "topic", t.Name, "error", err)
	}
}

// receiver is the hub as its broker sees it.
type receiver struct{ h *Hub }

func (v receiver) Deliver(d Delivery) {
	h := v.h
	h.mu.RLock()
	r := h.topics[d.Topic]
	h.mu.RUnlock()
	switch {
	case r != nil && d.Topic == r.topic.Name:
		r.arrive(&d)
	case r == nil && d.Topic != allNodes && d.Topic != nodeTopic+h.node:
		// the room was let go of
	default:
		p, err := parsePacket(d.Data)
		if err == nil && p.from != h.node {
			h.nodes.hear(p.from)
			err = h.control(p)
		}
		if err != nil {
			h.malformed(d.Topic, err)
		}
	}
}

func (v receiver) Lost(topics []string) {
	for _, r := range v.h.allRooms() {
		if topics == nil || slices.Contains(topics, r.topic.Name) {
			r.lost()
		}
		if topics == nil || slices.Contains(topics, r.presenceTopic.Name) {
			go r.askAgain()
		}
	}
}

// control deals with a packet that is no message to a room.
func (h *Hub) control(p packet) error {
	switch p.kind {
	case kindHello:
		go h.publishBeat(p.from)
	case kindBeat:
	case kindBye:
		h.nodes.bye(p.from)
	case kindPrincipal, kindEveryone:
		return h.direct(p)
	case kindTold:
		h.told(p.from, p.body)
	case kindKick:
		var k kick
		if err := json.Unmarshal(p.body, &k); err != nil {
			return err
		}
		h.kick(k)
	case kindAsk:
		var a ask
		if err := json.Unmarshal(p.body, &a); err != nil {
			return err
		}
		go h.asked(p.from, a.Room)
	case kindChanged, kindState:
		return h.presenceOf(p)
	default:
		return errPacket
	}
	return nil
}

// publishBeat answers a node that has said hello.
func (h *Hub) publishBeat(node string) {
	ctx, cancel := context.WithTimeout(context.Background(), brokerTimeout)
	defer cancel()
	// Without the answer that node learns of this one from the next heartbeat.
	_, _ = h.broker.Publish(ctx, Topic{Name: nodeTopic + node}, "", newPacket(kindBeat, h.node))
}

// direct delivers messages that are for no room.
func (h *Hub) direct(p packet) error {
	r := parser{b: p.body}
	var principal string
	if p.kind == kindPrincipal {
		principal = string(r.text())
	}
	var cts []*content
	for rest := r.b; len(rest) > 0; {
		var ct *content
		var err error
		if ct, rest, err = parseContent(rest, p.from); err != nil {
			return err
		}
		cts = append(cts, ct)
	}
	if r.err != nil {
		return r.err
	}
	if p.kind == kindPrincipal {
		return h.deliverTo(principal, cts)
	}
	return h.publishHere(context.Background(), h.all, cts)
}

// presenceOf deals with what another node says of who is there.
func (h *Hub) presenceOf(p packet) error {
	var c change
	if err := json.Unmarshal(p.body, &c); err != nil {
		return err
	}
	h.mu.RLock()
	r := h.rooms[c.Room]
	h.mu.RUnlock()
	switch {
	case r == nil:
	case p.kind == kindState:
		r.stated(p.from, &c)
	case !r.changed(p.from, &c):
		go h.publishJSON(Topic{Name: nodeTopic + p.from}, kindAsk, ask{c.Room})
	}
	return nil
}
