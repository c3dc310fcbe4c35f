// Package upgrade is how HTTP middleware and ws.Accept talk about one upgrade: through a Record in the request's context.
//
// A middleware that only has something to say calls Install, writes it into the record (AllowOrigin, SetPrincipal) and
// calls the next handler with the request it got back. One that wraps the connection's whole life calls Serve instead,
// and is told when the connection opens and when it is over: ServeHTTP's return says neither, since with ws.Handler's
// Events it comes right after the handshake. Both refuse with Refuse.
//
// Accept reads the record, calls Open when the handshake is done, and sees to it that End is called when the connection
// has ended, wherever that happens. From Open on the record outlives the request: it holds neither the request nor
// anything else of net/http's, and neither must a hook, which would keep the request's buffers alive.
//
// The methods may be called from any goroutine. A nil *Record is that of a request without middleware: it knows nothing,
// and Open and End do nothing.
package upgrade

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Record is what is known of one upgrade. It goes through three phases: before Open, until End, and after.
type Record struct {
	mu            sync.Mutex // guards all below
	phase         phase
	originAllowed bool
	principal     any
	expiry        time.Time   // zero: never
	expire        func()      // ends the connection; Open's
	timer         *time.Timer // calls expire; nil while nothing expires
	refused       *Refusal
	layers        []*Hooks // the outermost middleware's first
}

type phase uint8

const (
	asking phase = iota
	open
	expired // open, but being ended
	over
)

type contextKey struct{}

// String names the key in a printed context.
func (contextKey) String() string { return "ws upgrade record" }

// From returns the record of the upgrade that ctx belongs to, nil without one.
func From(ctx context.Context) *Record {
	rec, _ := ctx.Value(contextKey{}).(*Record)
	return rec
}

// NewContext returns ctx with rec: for a context that does not derive from the request's.
func NewContext(ctx context.Context, rec *Record) context.Context {
	return context.WithValue(ctx, contextKey{}, rec)
}

// Install returns the request's record and the request that has it in its context: r itself when a middleware further out
// has installed one. A record that is open is not the request's: somebody has made the request with a connection's context.
func Install(r *http.Request) (*Record, *http.Request) {
	if rec := From(r.Context()); rec != nil && rec.isAsking() {
		return rec, r
	}
	rec := new(Record)
	return rec, r.WithContext(NewContext(r.Context(), rec))
}

func (rec *Record) isAsking() bool {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.phase == asking
}

// AllowOrigin says that the request's origin has been judged and may connect: Accept's own check is left out.
func (rec *Record) AllowOrigin() {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.originAllowed = true
}

// OriginAllowed reports whether AllowOrigin was called.
func (rec *Record) OriginAllowed() bool {
	if rec == nil {
		return false
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.originAllowed
}

// SetPrincipal says who asks, and when the credential that proves it expires (zero: never). An open connection is ended
// at its expiry unless Renew moves it.
func (rec *Record) SetPrincipal(principal any, expiry time.Time) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.principal = principal
	rec.setExpiry(expiry)
}

// Principal returns who asks: what SetPrincipal was told, else nil.
func (rec *Record) Principal() any {
	if rec == nil {
		return nil
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.principal
}

// Renew moves the expiry, to never if it is zero. It reports whether that was in time: not once the connection has expired
// or ended.
func (rec *Record) Renew(expiry time.Time) bool {
	if rec == nil {
		return false
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.phase > open {
		return false
	}
	rec.setExpiry(expiry)
	return true
}

// setExpiry is called with mu held.
func (rec *Record) setExpiry(t time.Time) {
	rec.expiry = t
	if rec.phase == open {
		rec.arm()
	}
}

// arm sets the timer to the expiry; called with mu held.
func (rec *Record) arm() {
	switch {
	case rec.expiry.IsZero():
		if rec.timer != nil {
			rec.timer.Stop()
		}
	case rec.timer == nil:
		rec.timer = time.AfterFunc(time.Until(rec.expiry), rec.check)
	default:
		rec.timer.Reset(time.Until(rec.expiry))
	}
}

// check ends the connection if it really has expired: Renew may have been faster, and a wall clock may have been set back.
func (rec *Record) check() {
	rec.mu.Lock()
	due := rec.phase == open && !rec.expiry.IsZero()
	if due && time.Now().Before(rec.expiry) {
		rec.arm()
		due = false
	}
	if due {
		rec.phase = expired
	}
	expire := rec.expire
	rec.mu.Unlock()
	if due {
		expire()
	}
}

// Open is called by Accept when the handshake is done: the connection takes the record over from the middleware, whose
// Opened hooks run. It returns false if another Accept has done so for the same request. At the principal's expiry, expire
// is called, once and in a goroutine of its own; it ends the connection.
func (rec *Record) Open(o Opening, expire func()) bool {
	if rec == nil {
		return true
	}
	rec.mu.Lock()
	if rec.phase != asking {
		rec.mu.Unlock()
		return false
	}
	rec.phase = open
	rec.expire = expire
	rec.arm()
	layers := rec.layers // nothing changes them from here on
	rec.mu.Unlock()
	for _, h := range layers {
		if h.Opened != nil {
			h.Opened(o)
		}
	}
	return true
}

// End is called once the connection that Open announced is over, and after Open has returned. It runs the Done hooks, the innermost middleware's first.
func (rec *Record) End(e End) {
	if rec == nil {
		return
	}
	rec.mu.Lock()
	rec.phase = over
	if rec.timer != nil {
		rec.timer.Stop()
	}
	layers := rec.layers
	rec.layers, rec.expire = nil, nil
	rec.mu.Unlock()
	e.Upgraded = true
	done(layers, e)
}

// done runs each layer's hook, the innermost's first, even if one of them panics.
func done(layers []*Hooks, e End) {
	left := len(layers)
	defer func() {
		if left > 0 {
			done(layers[:left], e)
		}
	}()
	for left > 0 {
		left--
		if f := layers[left].Done; f != nil {
			f(e)
		}
	}
}
