package upgrade

import (
	"net/http"
	"slices"
)

// Hooks are what a middleware that wraps a connection's life is told. They run on whatever goroutine opens and ends the
// connection and must not block; nil ones are left out.
type Hooks struct {
	// Opened runs when the handshake is done.
	Opened func(Opening)
	// Done runs exactly once: when the connection is over, or, if the request was answered in another way (refused, no
	// websocket endpoint, a panic), when the next handler returns.
	Done func(End)
}

// Opening is what a handshake settled on.
type Opening struct {
	Subprotocol string // "" without one
	Extensions  string // the response's Sec-WebSocket-Extensions, "" without one
}

// End is how it went.
type End struct {
	Upgraded bool     // there was a connection; the fields below but Refused are about it
	Refused  *Refusal // what Refuse said; nil if the request was not refused through it
	Cause    error    // why the connection ended, as context.Cause of its context
	In, Out  Traffic  // from and to the peer
}

// Traffic counts the data messages of one direction.
type Traffic struct {
	Messages int64
	Bytes    int64 // of payload, as the application sees it
}

// Serve calls next with the request's record in its context, and h as End and Hooks say.
func Serve(next http.Handler, w http.ResponseWriter, r *http.Request, h Hooks) {
	rec, r := Install(r)
	rec.enter(&h)
	defer rec.leave(&h)
	next.ServeHTTP(w, r)
}

func (rec *Record) enter(h *Hooks) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.layers = append(rec.layers, h)
}

// leave is a middleware's end if no connection has taken the record over. Layers are found by identity: http.TimeoutHandler
// lets outer ones return before inner ones.
func (rec *Record) leave(h *Hooks) {
	rec.mu.Lock()
	if rec.phase != asking {
		rec.mu.Unlock()
		return
	}
	rec.layers = slices.DeleteFunc(rec.layers, func(l *Hooks) bool { return l == h })
	e := End{Refused: rec.refused}
	rec.mu.Unlock()
	done([]*Hooks{h}, e)
}
