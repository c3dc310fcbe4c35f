package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Member is a connection in a room, as others see it; or a principal, with
// RoomOptions.PerPrincipal, whose ID is then the principal.
type Member struct {
	ID        string          `json:"id"`
	Principal string          `json:"principal,omitempty"`
	Meta      json.RawMessage `json:"meta,omitempty"`
}

// presence is who is in a room, on this node and, as far as this one knows, on
// the others. Every node tells the others in the room's second topic who comes
// and goes; these changes are numbered, and where one is missing the node is
// asked for its whole list. The room's mu guards it.
type presence struct {
	on           bool
	perPrincipal bool
	here         map[string]Member  // by ID of the connection
	there        map[string]*roster // by node
	shown        map[string]*shown  // what members are told

	base    uint64   // number before that of this node's first change
	seq     uint64   // of its last one
	changes []change // that have to be told
	telling bool     // somebody does
}

// roster is who is in the room on another node.
type roster struct {
	seq     uint64
	members map[string]Member
}

// shown is a Member and the connections that it stands for.
type shown struct {
	Member
	conns int
}

// change is what nodes tell each other: that somebody came or left, or in a
// kindState the whole list.
type change struct {
	Room   string   `json:"room"`
	Base   uint64   `json:"base"`
	Seq    uint64   `json:"seq"`
	Joined []Member `json:"joined,omitempty"`
	Left   []string `json:"left,omitempty"`
}

// presenceData is what a $presence says.
type presenceData struct {
	Members []Member `json:"members,omitempty"`
	Joined  []Member `json:"joined,omitempty"`
	Left    []string `json:"left,omitempty"`
}

func (p *presence) init(h *Hub, o RoomOptions) {
	p.on, p.perPrincipal = true, o.PerPrincipal
	p.base = h.changeBase()
	p.seq = p.base
	p.here = make(map[string]Member)
	p.there = make(map[string]*roster)
	p.shown = make(map[string]*shown)
}

// changeBase is above the numbers of all changes so far: a room that the node
// has let go of and comes back to must not begin again at 1.
func (h *Hub) changeBase() uint64 { return h.lastBase.Add(1) << 32 }

func (h *Hub) connID(m *member) string { return fmt.Sprintf("%s-%d", h.node, m.id) }

// key is by whom a connection is shown.
func (p *presence) key(m Member) string {
	if p.perPrincipal && m.Principal != "" {
		return m.Principal
	}
	return m.ID
}

// appear counts a connection, and adds to d whom it makes visible.
func (p *presence) appear(m Member, d *presenceData) {
	key := p.key(m)
	if s := p.shown[key]; s != nil {
		s.conns++
		return
	}
	m.ID = key
	p.shown[key] = &shown{m, 1}
	d.Joined = append(d.Joined, m)
}

// vanish is appear's inverse.
func (p *presence) vanish(m Member, d *presenceData) {
	key := p.key(m)
	s := p.shown[key]
	if s.conns--; s.conns == 0 {
		delete(p.shown, key)
		d.Left = append(d.Left, key)
	}
}

// list returns who is shown, in the order of their IDs.
func (p *presence) list() []Member {
	ms := make([]Member, 0, len(p.shown))
	for _, s := range p.shown {
		ms = append(ms, s.Member)
	}
	slices.SortFunc(ms, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return ms
}

// Presence returns who is in a room with presence, sorted by ID: on all nodes if
// somebody on this one is in it, else nobody.
func (h *Hub) Presence(room string) []Member {
	h.mu.RLock()
	r := h.rooms[room]
	h.mu.RUnlock()
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.present.list()
}

// arrived notes that s's member is there, and returns what the room is told of
// it, and s. mu is held.
func (r *room) arrived(s *seat) []*parcel {
	p := &r.present
	if !p.on {
		return nil
	}
	p.here[s.entry.ID] = *s.entry
	var d presenceData
	p.appear(*s.entry, &d)
	p.seq++
	p.changes = append(p.changes, change{Room: r.name, Base: p.base, Seq: p.seq, Joined: []Member{*s.entry}})
	ps := r.announce(d)
	for _, tell := range ps {
		tell.except = s.m.id
	}
	list := r.h.notice("$presence", r.name, Position{}, presenceData{Members: p.list()})
	list.only = s
	return append(ps, list)
}

// departed notes that s's member is gone. mu is held.
func (r *room) departed(s *seat) []*parcel {
	p := &r.present
	if !p.on {
		return nil
	}
	delete(p.here, s.entry.ID)
	var d presenceData
	p.vanish(*s.entry, &d)
	p.seq++
	p.changes = append(p.changes, change{Room: r.name, Base: p.base, Seq: p.seq, Left: []string{s.entry.ID}})
	return r.announce(d)
}

// announce returns what members are told of a change; nothing if they see none.
func (r *room) announce(d presenceData) []*parcel {
	if len(d.Joined) == 0 && len(d.Left) == 0 {
		return nil
	}
	return []*parcel{r.h.notice("$presence", r.name, Position{}, d)}
}

// tellChanges has the other nodes told of this one's changes, in their order and
// in the background: nobody should wait for it, and a broker that is away
// comes back.
func (r *room) tellChanges() {
	if !r.present.on {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &r.present
	if r.h.alone {
		p.changes = nil
	}
	if len(p.changes) == 0 || p.telling {
		return
	}
	p.telling = true
	go r.publishChanges()
}

func (r *room) publishChanges() {
	p := &r.present
	for {
		r.mu.Lock()
		changes := p.changes
		p.changes = nil
		p.telling = len(changes) > 0
		r.mu.Unlock()
		if len(changes) == 0 {
			return
		}
		for _, c := range changes {
			r.h.publishJSON(r.presenceTopic, kindChanged, c) // a change that is lost shows in the next one's number
		}
	}
}

// changed takes in a change on another node. It returns false if one before it
// is missing.
func (r *room) changed(node string, c *change) bool {
	p := &r.present
	r.mu.Lock()
	if !p.on {
		r.mu.Unlock()
		return true
	}
	list := p.there[node]
	if list == nil && c.Seq == c.Base+1 {
		list = &roster{seq: c.Base, members: make(map[string]Member)}
		p.there[node] = list
	}
	if list == nil || c.Seq != list.seq+1 {
		r.mu.Unlock()
		return list != nil && c.Seq <= list.seq
	}
	list.seq = c.Seq
	var d presenceData
	for _, m := range c.Joined {
		if _, known := list.members[m.ID]; !known {
			list.members[m.ID] = m
			p.appear(m, &d)
		}
	}
	for _, id := range c.Left {
		if m, known := list.members[id]; known {
			delete(list.members, id)
			p.vanish(m, &d)
		}
	}
	r.deliver(r.announce(d)...)
	return true
}

// stated takes in another node's whole list.
func (r *room) stated(node string, c *change) {
	p := &r.present
	r.mu.Lock()
	old := p.there[node]
	if !p.on || old != nil && old.seq > c.Seq {
		r.mu.Unlock()
		return
	}
	list := &roster{seq: c.Seq, members: make(map[string]Member)}
	var d presenceData
	for _, m := range c.Joined {
		list.members[m.ID] = m
		if old != nil {
			if _, known := old.members[m.ID]; known {
				delete(old.members, m.ID)
				continue
			}
		}
		p.appear(m, &d)
	}
	if old != nil {
		for _, m := range old.members {
			p.vanish(m, &d)
		}
	}
	p.there[node] = list
	r.deliver(r.announce(d)...)
}

// nodeGone takes out the members on a node that is not there any more.
func (r *room) nodeGone(node string) {
	p := &r.present
	r.mu.Lock()
	list := p.there[node]
	delete(p.there, node)
	var d presenceData
	if list != nil {
		for _, m := range list.members {
			p.vanish(m, &d)
		}
	}
	r.deliver(r.announce(d)...)
}

// ask is what a kindAsk says.
type ask struct {
	Room string `json:"room"`
}

// askWho asks all nodes who is in the room there.
func (r *room) askWho(ctx context.Context) error {
	_, err := r.h.broker.Publish(ctx, r.presenceTopic, "", r.h.packJSON(kindAsk, ask{r.name}))
	return err
}

// askAgain asks after something may have been lost: also those nodes that would
// not answer because nobody is in the room there any more.
func (r *room) askAgain() {
	r.mu.Lock()
	nodes := slices.Collect(maps.Keys(r.present.there))
	on := r.present.on
	r.mu.Unlock()
	if !on {
		return
	}
	r.h.publishJSON(r.presenceTopic, kindAsk, ask{r.name})
	for _, node := range nodes {
		r.h.publishJSON(Topic{Name: nodeTopic + node}, kindAsk, ask{r.name})
	}
}

// asked answers another node: with who is in the room here.
func (h *Hub) asked(node, room string) {
	h.mu.RLock()
	r := h.rooms[room]
	h.mu.RUnlock()
	state := change{Room: room, Seq: h.changeBase()}
	if r != nil {
		r.mu.Lock()
		state.Seq = r.present.seq
		state.Joined = slices.Collect(maps.Values(r.present.here))
		r.mu.Unlock()
	}
	h.publishJSON(Topic{Name: nodeTopic + node}, kindState, state)
}
