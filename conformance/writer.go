package conformance

import (
	"net"
	"sync"
	"time"
)

// writer sends pieces in order from a goroutine of its own, so that a peer that echoes while it still receives can't
// bring both sides to a halt.
type writer struct {
	conn net.Conn

	mu      sync.Mutex
	wake    *sync.Cond // signals changes of the fields below
	pending [][]byte
	busy    bool
	stopped bool
}

// chopPause lies between the pieces of a queue, so that they get on the wire one by one.
const chopPause = 10 * time.Microsecond

func newWriter(conn net.Conn) *writer {
	w := &writer{conn: conn}
	w.wake = sync.NewCond(&w.mu)
	go w.loop()
	return w
}

func (w *writer) queue(pieces [][]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = append(w.pending, pieces...)
	w.wake.Broadcast()
}

// stop ends the goroutine; the connection must be closed first if a write may hang.
func (w *writer) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.wake.Broadcast()
}

// drain waits until all that is queued has been written, or failed to be, but not longer than limit.
func (w *writer) drain(limit time.Duration) {
	_ = w.conn.SetWriteDeadline(time.Now().Add(limit))
	w.mu.Lock()
	defer w.mu.Unlock()
	for (w.busy || len(w.pending) > 0) && !w.stopped {
		w.wake.Wait()
	}
}

func (w *writer) loop() {
	for {
		pieces := w.take()
		if pieces == nil {
			return
		}
		for i, b := range pieces {
			if i > 0 {
				time.Sleep(chopPause)
			}
			if _, err := w.conn.Write(b); err != nil {
				w.stop() // what the peer has to say about it is read elsewhere
				return
			}
		}
	}
}

// take returns what is queued, waiting for something; nil: the writer was stopped.
func (w *writer) take() [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = false
	w.wake.Broadcast()
	for len(w.pending) == 0 && !w.stopped {
		w.wake.Wait()
	}
	if w.stopped {
		return nil
	}
	pieces := w.pending
	w.pending, w.busy = nil, true
	return pieces
}
