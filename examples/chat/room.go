package main

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/tidewire/ws"
)

const maxHistory = 50 // messages

// event is what the page is told. Each type has its own of the fields.
type event struct {
	Type    string    `json:"type"`              // welcome, joined, left or message
	Name    string    `json:"name"`              // who; in a welcome: the name that was given
	Text    string    `json:"text,omitempty"`    // message
	At      time.Time `json:"at,omitzero"`       // message
	People  []string  `json:"people,omitempty"`  // welcome: everybody's names
	History []event   `json:"history,omitempty"` // welcome: the last messages
}

// room is its members and what they have said lately. Members with the same
// name, in several tabs, say, count as one.
type room struct {
	mu      sync.Mutex // guards all; taken before a member's
	members map[*member]struct{}
	history []event
}

func (r *room) join(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.people(), m.name) {
		r.tell(event{Type: "joined", Name: m.name})
	}
	r.members[m] = struct{}{}
	m.send(prepare(event{Type: "welcome", Name: m.name, People: r.people(), History: r.history}))
}

func (r *room) leave(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, m)
	if !slices.Contains(r.people(), m.name) {
		r.tell(event{Type: "left", Name: m.name})
	}
}

func (r *room) say(m *member, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := event{Type: "message", Name: m.name, Text: text, At: time.Now().UTC()}
	if len(r.history) == maxHistory {
		r.history = slices.Delete(r.history, 0, 1)
	}
	r.history = append(r.history, e)
	r.tell(e)
}

func (r *room) deserted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members) == 0
}

// tell sends e to everybody, encoded and framed once. mu is held.
func (r *room) tell(e event) {
	p := prepare(e)
	for m := range r.members {
		m.send(p)
	}
}

// people returns the members' names, sorted. mu is held.
func (r *room) people() []string {
	names := make([]string, 0, len(r.members))
	for m := range r.members {
		names = append(names, m.name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func prepare(e event) *ws.Prepared {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and times can be marshalled
	}
	p, err := ws.NewPrepared(ws.Message{Type: ws.Text, Data: b})
	if err != nil {
		panic(err) // Text is a message type
	}
	return p
}
