package main

import (
	"errors"
	"slices"
	"sync"

	"github.com/tidewire/ws"
)

// maxQueue is how many messages may wait for somebody's network, beyond those
// that the connection itself has accepted.
const maxQueue = 100

var errTooSlow = errors.New("chat: reads too slowly")

// member is somebody in a room. What it is sent never holds up the room: what
// the connection can't take waits in a queue, and who lets that fill up is cut
// off, and gets the history when it comes back.
type member struct {
	conn *ws.Conn
	name string

	mu      sync.Mutex // guards all below
	queue   []*ws.Prepared
	waiting bool // for OnWritable
}

func (m *member) send(p *ws.Prepared) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) == maxQueue {
		m.conn.CloseCause(ws.StatusPolicyViolation, "you read too slowly", errTooSlow)
		return
	}
	m.queue = append(m.queue, p)
	m.push()
}

// push passes on what the connection takes. mu is held.
func (m *member) push() {
	n, err := m.conn.TryWrite(m.queue...)
	if err != nil {
		m.queue = nil // the connection has ended, and serve is about to notice
		return
	}
	m.queue = slices.Delete(m.queue, 0, n)
	if len(m.queue) > 0 && !m.waiting {
		m.waiting = true
		m.conn.OnWritable(m.writable)
	}
}

func (m *member) writable() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting = false
	m.push()
}
