package router

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/router/schema"
)

const streamKind = schema.Stream

// session is what the router knows of one connection.
//
// Messages are read by whoever serves the connection: the main reader. In the
// common lane with a concurrency of 1, which most connections have, it runs the
// functions itself, so that a quick one costs no switch of goroutines; while a
// function is slow, or waits for the other side, a second reader stands in for
// it (reader.go). Functions of other lanes, and streams, have goroutines.
type session struct {
	c        *ws.Conn
	codec    codec.Codec
	envelope codec.Enveloper // nil: the codec has none
	typ      ws.MessageType

	*registry // nil until it is served
	ctx       context.Context
	inline    bool // the common lane's functions are run by the main reader
	main      reader
	functions sync.WaitGroup // the goroutines with functions

	standIn

	current atomic.Pointer[request] // what the main reader runs

	mu sync.Mutex
	// mu guards all below.
	bound      bool // somebody serves it
	watchesEnd bool // see forgetAtEnd
	lanes      []lane
	running    []*request // with an id, in goroutines
	streams    int
	waiting    int           // requests in the lanes' queues
	bytes      int           // of these
	asking     int           // calls that functions wait for
	room       chan struct{} // closed when there is room in the queues; nil: nobody waits
	calls      map[uint64]*call
	lastID     uint64
	locals     map[reflect.Type]any
}

// lane is a set of routes whose functions start in order.
type lane struct {
	limit, running int
	queue          []*request
}

// sessions finds what belongs to a connection, for Call, which is given no more
// than that. An entry lives as long as its connection is open or served.
var sessions sync.Map // *ws.Conn to *session

func sessionOf(c *ws.Conn) *session {
	if s, ok := sessions.Load(c); ok {
		return s.(*session)
	}
	s := &session{c: c, codec: c.Codec(), typ: ws.Text}
	s.envelope = enveloper(s.codec)
	if s.codec.Binary() {
		s.typ = ws.Binary
	}
	s.main = reader{s: s, main: true}
	other, _ := sessions.LoadOrStore(c, s)
	return other.(*session)
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

// bind makes the routes known.
func (s *session) bind(reg *registry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bound {
		return errServed
	}
	if s.envelope == nil {
		s.forgetAtEnd()
		return errNoEnvelope(s.codec)
	}
	reg.serving.Store(true)
	s.bound, s.registry, s.ctx = true, reg, nil
	s.inline = reg.opts.Concurrency == 1
	s.lanes = make([]lane, len(reg.lanes))
	for i, n := range reg.lanes {
		s.lanes[i].limit = n
	}
	return nil
}

func (s *session) unbind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bound = false
	s.forgetAtEnd()
}

// forgetAtEnd sees to it that a session which nobody serves, so that nobody will
// unbind it, goes with its connection. mu is held.
func (s *session) forgetAtEnd() {
	if s.bound || s.watchesEnd {
		return
	}
	if s.c.Context().Err() != nil {
		sessions.Delete(s.c)
		return
	}
	s.watchesEnd = true
	context.AfterFunc(s.c.Context(), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.watchesEnd = false
		s.forgetAtEnd()
	})
}

// begin gives a request to its lane.
func (s *session) begin(q *request, r *reader) {
	switch {
	case q.route.kind == streamKind:
		s.beginStream(q)
	case q.route.lane == 0 && s.inline && r.main:
		s.runInline(q)
	default:
		s.beginInLane(q, r)
	}
}

func (s *session) beginInLane(q *request, r *reader) {
	q.keep()
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.lanes[q.route.lane]
	byMain := q.route.lane == 0 && s.inline // who takes it from the queue
	for waited := true; ; waited = s.awaitRoom(r) {
		if l.running < l.limit && !byMain {
			l.running++
			s.track(q)
			s.functions.Add(1)
			go s.work(l, q)
			return
		}
		if s.hasRoom(len(q.Data)) || !waited {
			break
		}
		// While room is awaited, the lane's last function may return.
	}
	l.queue = append(l.queue, q)
	s.waiting++
	s.bytes += len(q.Data)
}

// hasRoom reports whether n more bytes may wait for their turn. While a function
// waits for the other side, its reply may be behind them, and nothing would ever
// leave the queues if reading stopped.
func (s *session) hasRoom(n int) bool {
	times := 1
	if s.asking > 0 {
		times = askingBacklog
	}
	return s.waiting == 0 || s.waiting < times*s.opts.Backlog && s.bytes+n <= times*backlogBytes
}

// askingBacklog is how many times the usual may wait meanwhile.
const askingBacklog = 16

// awaitRoom waits until something has left the queues or a lane: nothing is read
// meanwhile.
// It returns false if the reader is to stop, or the connection has ended: a little
// too much in a queue is better than what was read being lost. mu is held before
// and after.
func (s *session) awaitRoom(r *reader) bool {
	s.stopAsking()
	if s.room == nil {
		s.room = make(chan struct{})
	}
	room := s.room
	s.mu.Unlock()
	defer s.mu.Lock()
	signs := time.NewTicker(signInterval)
	defer signs.Stop()
	for {
		select {
		case <-room:
			return true
		case <-s.ctx.Done():
			return false
		case <-r.stop:
			return false
		case <-signs.C:
			s.sendSign()
		}
	}
}

// signInterval is how often something is sent to a peer whose messages are not read.
const signInterval = 30 * time.Second

// sendSign sends a ping whose pong nobody waits for. A peer that has gone is found
// out by sending to it while nothing is read, and by nothing else.
func (s *session) sendSign() {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_ = s.c.Ping(ctx)
}

// next takes a request from a lane's queue; nil if there is none. mu is held.
func (s *session) next(l *lane) *request {
	if len(l.queue) == 0 {
		return nil
	}
	q := l.queue[0]
	l.queue[0] = nil
	if l.queue = l.queue[1:]; len(l.queue) == 0 {
		l.queue = nil
	}
	s.waiting--
	s.bytes -= len(q.Data)
	s.madeRoom()
	return q
}

func (s *session) madeRoom() {
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}

// work runs the functions of a lane, one after the other, until none waits.
func (s *session) work(l *lane, q *request) {
	defer s.functions.Done()
	for q != nil {
		s.run(q)
		s.mu.Lock()
		s.untrack(q)
		if q = s.next(l); q != nil {
			s.track(q)
		} else {
			l.running--
			s.madeRoom()
		}
		s.mu.Unlock()
	}
}

// beginStream starts a stream beside everything else.
func (s *session) beginStream(q *request) {
	if !q.Reply {
		s.unwanted("stream without an id", q.Type)
		q.done()
		return
	}
	q.keep()
	s.mu.Lock()
	full := s.streams >= s.opts.Streams
	if !full {
		s.streams++
		s.track(q)
		s.functions.Add(1)
	}
	s.mu.Unlock()
	if full {
		s.reply(q, nil, &Error{Code: Unavailable, Message: "too many streams are open"})
		q.done()
		return
	}
	go func() {
		defer s.functions.Done()
		out, err := s.call(q)
		s.mu.Lock()
		s.streams-- // who has read the end may open another one
		s.untrack(q)
		s.mu.Unlock()
		s.reply(q, out, err)
		q.done()
	}()
}

// track makes q known to $cancel. mu is held.
func (s *session) track(q *request) {
	if q.Reply {
		s.running = append(s.running, q)
	}
}

func (s *session) untrack(q *request) {
	for i, other := range s.running {
		if other == q {
			last := len(s.running) - 1
			s.running[i], s.running[last] = s.running[last], nil
			s.running = s.running[:last]
			return
		}
	}
}

// cancelRequest ends the context of the request that e is about, wherever it is.
func (s *session) cancelRequest(e *codec.Envelope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.current.Load(); q != nil && q.hasID(e) {
		q.end(errCanceled)
	}
	for _, q := range s.running {
		if q.hasID(e) {
			q.end(errCanceled)
		}
	}
	for _, l := range s.lanes {
		for _, q := range l.queue {
			if q.hasID(e) {
				q.end(errCanceled)
			}
		}
	}
}

// unwanted notes a message that is ignored.
func (s *session) unwanted(what, typ string) {
	s.opts.Logger.LogAttrs(s.c.Context(), slog.LevelDebug, "router: message ignored: "+what, slog.String("type", typ))
}

// standIn is who reads while the main reader runs a function.
type standIn struct {
	// state is a count of functions run inline, and in its lowest two bits a phase.
	state   atomic.Uint64
	watched atomic.Bool // the timer runs

	// The session's mu guards all below.
	seen   uint64 // state when the timer was last set
	timer  *time.Timer
	cancel context.CancelFunc
	gone   chan struct{} // closed when the second reader has stopped
}
