package middleware

import (
	"container/list"
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"time"
)

// TicketOptions are the settings of Tickets. In both 0 means the default.
type TicketOptions struct {
	Lifetime time.Duration // from Issue to the upgrade; default 30 s
	Max      int           // tickets that wait to be used; default 10,000
	Param    string        // the query's parameter that has the ticket; default "ticket"
}

// Tickets are one-time credentials for pages whose own credential must not stand
// in a URL, where logs and histories keep it: the page asks an endpoint behind
// the site's usual authentication for a ticket and connects with it.
//
//	mux.Handle("POST /ticket", signedIn(func(w http.ResponseWriter, r *http.Request) {
//		ticket, err := tickets.Issue(user, expiry)
//		...
//	}))
//	mux.Handle("/ws", middleware.Authenticate(tickets.Verify)(handler))
//
// They live in memory: the process that has issued a ticket has to get the
// upgrade. Its methods are safe for concurrent use.
type Tickets struct {
	options TicketOptions

	mu      sync.Mutex // guards all below
	waiting map[string]*list.Element
	queue   list.List // of tickets, in the order in which they expire, which is that of Issue
}

type ticket struct {
	name      string
	principal any
	expiry    time.Time // the principal's
	until     time.Time // the ticket's
}

// ErrTooManyTickets is returned by Issue when Max tickets wait to be used.
var ErrTooManyTickets = errors.New("middleware: too many tickets wait to be used")

var errTicket = errors.New("middleware: no valid ticket")

// NewTickets returns a store without tickets.
func NewTickets(o TicketOptions) *Tickets {
	if o.Lifetime == 0 {
		o.Lifetime = 30 * time.Second
	}
	if o.Max == 0 {
		o.Max = 10_000
	}
	if o.Param == "" {
		o.Param = "ticket"
	}
	return &Tickets{options: o, waiting: make(map[string]*list.Element)}
}

// Issue returns a new ticket, 26 letters and digits, that stands for principal
// until expiry; the zero time is for ever.
func (t *Tickets) Issue(principal any, expiry time.Time) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for e := t.queue.Front(); e != nil && !now.Before(e.Value.(ticket).until); e = t.queue.Front() {
		t.remove(e)
	}
	if t.queue.Len() >= t.options.Max {
		return "", ErrTooManyTickets
	}
	name := rand.Text()
	t.waiting[name] = t.queue.PushBack(ticket{name, principal, expiry, now.Add(t.options.Lifetime)})
	return name, nil
}

// Verify is for Authenticate: it uses up the request's ticket.
func (t *Tickets) Verify(r *http.Request) (principal any, expiry time.Time, err error) {
	name := r.URL.Query().Get(t.options.Param)
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.waiting[name]
	if e == nil {
		return nil, time.Time{}, errTicket
	}
	found := t.remove(e)
	if !time.Now().Before(found.until) {
		return nil, time.Time{}, errTicket
	}
	return found.principal, found.expiry, nil
}

func (t *Tickets) remove(e *list.Element) ticket {
	found := t.queue.Remove(e).(ticket)
	delete(t.waiting, found.name)
	return found
}
