package soak_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/wstest"
)

var (
	duration = flag.Duration("soak", 2*time.Second, "for how long")
	slots    = flag.Int("conns", 100, "connections at a time")
)

// tally counts what happened, to be seen that everything did.
type tally struct {
	conns, messages, bytes, cancelledReads, cancelledWrites, uncertain, pings, cuts, closes atomic.Int64
}

func TestSoak(t *testing.T) {
	goroutines, heap := settled()
	var n tally
	var streams streams
	streams.listen(t)
	end := time.Now().Add(*duration)
	var wg sync.WaitGroup
	errs := make(chan error, *slots)
	for slot := range *slots {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(slot), 42))
			for time.Now().Before(end) && len(errs) == 0 {
				if err := life(&streams, r, &n, end); err != nil {
					errs <- fmt.Errorf("slot %d: %w", slot, err)
					return
				}
			}
		})
	}
	wg.Wait()
	streams.close()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	t.Logf("%d connections, %d messages, %d bytes; %d reads and %d writes cancelled, %d of these uncertain; %d pings, %d cuts, %d closes",
		n.conns.Load(), n.messages.Load(), n.bytes.Load(), n.cancelledReads.Load(), n.cancelledWrites.Load(), n.uncertain.Load(),
		n.pings.Load(), n.cuts.Load(), n.closes.Load())
	left, heapLeft := settled()
	if left > goroutines+2 {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines before, %d after\n%s", goroutines, left, buf[:runtime.Stack(buf, true)])
	}
	if most := heap + 32<<20; heapLeft > most {
		t.Errorf("heap of %d bytes before, %d after", heap, heapLeft)
	}
}

// settled waits, with a bound, until nothing ends any more, and says what is left.
func settled() (goroutines int, heap uint64) {
	for range 100 {
		before := runtime.NumGoroutine()
		time.Sleep(200 * time.Millisecond) // an engine's goroutines stay for half of that
		if goroutines = runtime.NumGoroutine(); goroutines >= before {
			break
		}
	}
	runtime.GC()
	runtime.GC() // twice: pools keep things for one round
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), m.HeapAlloc
}

// streams makes pairs of streams.
type streams struct {
	ln     net.Listener
	server *tls.Config
	client *tls.Config
	mu     sync.Mutex // one dial at a time, so that the right one is accepted
}

func (s *streams) listen(t *testing.T) {
	var err error
	if s.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewTLSServer(nil) // for its certificate
	s.server = srv.TLS.Clone()
	s.client = &tls.Config{RootCAs: srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"}
	srv.Close()
}

func (s *streams) close() { _ = s.ln.Close() }

func (s *streams) tcp() (server, client net.Conn, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if client, err = net.Dial("tcp", s.ln.Addr().String()); err != nil {
		return nil, nil, err
	}
	server, err = s.ln.Accept()
	return server, client, err
}

// tls makes a pair on which TLS's handshake is done: a read that is given up in
// the middle of that would be the end of it.
func (s *streams) tls() (server, client net.Conn, err error) {
	a, b, err := s.tcp()
	if err != nil {
		return nil, nil, err
	}
	ts, tc := tls.Server(a, s.server), tls.Client(b, s.client)
	done := make(chan error, 1)
	go func() { done <- ts.Handshake() }()
	err = tc.Handshake()
	return ts, tc, errors.Join(err, <-done)
}

// pair makes one of the kinds of streams; cut says that it will break.
func (s *streams) pair(r *rand.Rand) (server, client net.Conn, cut bool, err error) {
	switch r.IntN(4) {
	case 0:
		server, client = wstest.PipeSize(100 + r.IntN(1<<16))
		f := wstest.Faults{Seed: r.Uint64() | 1, ReadMax: 200 + r.IntN(5000), WriteMax: 200 + r.IntN(5000),
			ReadDelay: time.Duration(r.IntN(100)) * time.Microsecond}
		if cut = r.IntN(4) == 0; cut {
			at := r.IntN(100_000)
			f.WriteCut = &at
		}
		return server, wstest.Faulty(client, f), cut, nil
	case 1:
		server, client, err = s.tls()
		return server, client, false, err
	}
	server, client, err = s.tcp()
	return server, client, false, err
}

// life is one connection from its beginning to its end.
func life(s *streams, r *rand.Rand, n *tally, end time.Time) error {
	a, b, cut, err := s.pair(r)
	if err != nil {
		return err
	}
	cfg := conn.Config{ControlRate: -1, ReadLimit: 1 << 20, CloseTimeout: time.Minute}
	if r.IntN(3) == 0 {
		cfg.Compression = conn.Compression{ServerMaxWindowBits: 15, ClientMaxWindowBits: 9, ServerNoContextTakeover: r.IntN(2) == 0}
	}
	byEngine := r.IntN(2) == 0
	transport := conn.NetTransport
	if byEngine {
		transport = conn.EngineTransport
	}
	server := conn.New(transport(a), cfg)
	cfg.Client = true
	client := conn.New(conn.NetTransport(b), cfg)
	defer server.CloseNow()
	defer client.CloseNow()
	n.conns.Add(1)
	if cut {
		n.cuts.Add(1)
	}
	served := make(chan struct{})
	by := serve(server, byEngine, served)
	x := &exchange{c: client, cut: cut, n: n, end: end, seed: r.Uint64()}
	if _, tls := a.(*tls.Conn); tls {
		x.noCancels = true // a cancelled write ends a connection over TLS
	}
	err = x.run()
	_ = client.CloseNow()
	select {
	case <-served:
	case <-time.After(time.Minute):
		err = errors.Join(err, errors.New("the server's side never ended"))
	}
	if err != nil {
		err = fmt.Errorf("over %T, server by %s, which ended with %w: %w", b, by, context.Cause(server.Context()), err)
	}
	return err
}

// echoes is the server's side with an Engine.
type echoes struct {
	c    *conn.Conn
	done chan struct{}
}

func (e *echoes) Message(m conn.Message) error { return reply(e.c, m) }

func (e *echoes) Ended(error) {
	_ = e.c.CloseNow()
	close(e.done)
}

var engine conn.Engine

// serve echoes in one of the ways that there are, and pings now and then.
func serve(c *conn.Conn, byEngine bool, done chan struct{}) (by string) {
	if byEngine {
		engine.Run(c, &echoes{c, done})
		return "Engine"
	}
	go func() {
		defer close(done)
		defer c.CloseNow()
		for m, err := range c.Messages(context.Background()) {
			if err != nil || reply(c, m) != nil {
				return
			}
		}
	}()
	return "Messages"
}

// goodbye is the message that the server answers by closing.
const goodbye = "goodbye"

var errGoodbye = errors.New("closed as asked")

func reply(c *conn.Conn, m conn.Message) error {
	ctx := context.Background()
	if string(m.Data) == goodbye {
		_ = c.Close(ctx, conn.StatusServiceRestart, goodbye)
		return errGoodbye
	}
	if len(m.Data)%7 == 0 {
		p, err := conn.NewPrepared(m)
		if err != nil {
			return err
		}
		return c.WritePrepared(ctx, p)
	}
	return c.Write(ctx, m.Type, m.Data)
}

// exchange is the client's side: one goroutine sends numbered messages, another
// one reads what comes back.
type exchange struct {
	c         *conn.Conn
	cut       bool
	noCancels bool
	n         *tally
	end       time.Time
	seed      uint64

	mu   sync.Mutex
	sent []outcome
}

// outcome is what is known of a message that was to be sent.
type outcome byte

const (
	sent outcome = iota
	uncertain
	notSent
)

func (x *exchange) run() error {
	read := make(chan error, 1)
	go func() { read <- x.readAll() }()
	err := x.writeAll()
	if err := <-read; err != nil {
		return err
	}
	if err != nil && !x.cut && !errors.Is(err, conn.ErrWriteCut) {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// writeAll sends some messages, and in the end asks the server to close.
func (x *exchange) writeAll() error {
	r := rand.New(rand.NewPCG(x.seed, 1))
	for i := range r.IntN(200) {
		if time.Now().After(x.end) {
			break
		}
		if err := x.write(r, uint64(i)); err != nil {
			return err
		}
		switch r.IntN(20) {
		case 0:
			if err := x.ping(); err != nil {
				return err
			}
		case 1, 2, 3, 4: // now and then most connections are idle
			time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
		}
	}
	return x.c.Write(context.Background(), conn.Text, []byte(goodbye))
}

func (x *exchange) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	x.n.pings.Add(1)
	return x.c.Ping(ctx)
}

func (x *exchange) write(r *rand.Rand, i uint64) error {
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if !x.noCancels && r.IntN(10) == 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(r.IntN(300))*time.Microsecond)
	}
	defer cancel()
	x.mu.Lock() // before it can come back
	x.sent = append(x.sent, uncertain)
	x.mu.Unlock()
	err := x.c.Write(ctx, conn.Binary, x.payload(i))
	known := sent
	switch {
	case err == nil:
		x.n.messages.Add(1)
	case errors.Is(err, net.ErrClosed) || !errors.Is(err, context.DeadlineExceeded):
		return err
	case strings.Contains(err.Error(), "may still arrive"):
		known = uncertain
		x.n.uncertain.Add(1)
		x.n.cancelledWrites.Add(1)
	default:
		known = notSent
		x.n.cancelledWrites.Add(1)
	}
	x.mu.Lock()
	x.sent[i] = known
	x.mu.Unlock()
	return nil
}

// payload is message i: its number, and bytes that follow from it.
func (x *exchange) payload(i uint64) []byte {
	r := rand.New(rand.NewPCG(x.seed, i+2))
	size := r.IntN(200)
	switch r.IntN(20) {
	case 0:
		size = r.IntN(70_000)
	case 1:
		size = r.IntN(4000)
	}
	if r.IntN(500) == 0 {
		size = r.IntN(400_000)
	}
	p := binary.BigEndian.AppendUint64(nil, i)
	for len(p) < size {
		p = binary.LittleEndian.AppendUint64(p, r.Uint64()>>r.IntN(64))
	}
	return p
}

// stuckAfter is how long nothing may come for a connection to count as stuck: the
// other side never pauses for more than milliseconds.
const stuckAfter = time.Minute

// readAll reads with contexts that end now and then, until the connection ends.
func (x *exchange) readAll() error {
	r := rand.New(rand.NewPCG(x.seed, 0))
	next := uint64(0)
	var buf []byte
	for {
		patient := true
		ctx, cancel := context.WithTimeout(context.Background(), stuckAfter)
		if r.IntN(5) == 0 {
			patient = false
			cancel()
			ctx, cancel = context.WithTimeout(context.Background(), time.Duration(r.IntN(500))*time.Microsecond)
		}
		_, p, err := x.c.AppendRead(ctx, buf[:0])
		cancel()
		switch {
		case err == nil:
			x.n.bytes.Add(int64(len(p)))
			if next, err = x.check(next, p); err != nil {
				return err
			}
			buf = p
		case errors.Is(err, net.ErrClosed):
			return x.ended(next, err)
		case errors.Is(err, context.DeadlineExceeded) && !patient:
			x.n.cancelledReads.Add(1)
		default:
			return fmt.Errorf("read, at message %d: %w", next, err)
		}
	}
}

// check holds a reply against what was sent, and returns the number that comes next.
func (x *exchange) check(next uint64, p []byte) (uint64, error) {
	if len(p) < 8 {
		return 0, fmt.Errorf("a reply of %d bytes", len(p))
	}
	i := binary.BigEndian.Uint64(p)
	x.mu.Lock()
	defer x.mu.Unlock()
	if i < next || i >= uint64(len(x.sent)) {
		return 0, fmt.Errorf("message %d came where %d to %d were possible", i, next, len(x.sent)-1)
	}
	for k := next; k < i; k++ {
		if x.sent[k] == sent {
			return 0, fmt.Errorf("message %d is lost, %d came", k, i)
		}
	}
	if x.sent[i] == notSent {
		return 0, fmt.Errorf("message %d came, although it was not sent", i)
	}
	if !bytes.Equal(p, x.payload(i)) {
		return 0, fmt.Errorf("message %d of %d bytes is torn", i, len(p))
	}
	return i + 1, nil
}

// ended checks that nothing was outstanding, unless the stream broke.
func (x *exchange) ended(next uint64, err error) error {
	var ce *conn.CloseError
	if errors.As(err, &ce) && ce.Code == conn.StatusServiceRestart {
		x.n.closes.Add(1)
	} else if x.cut || errors.Is(err, conn.ErrWriteCut) { // the latter: by a context of this test's
		return nil
	} else {
		return fmt.Errorf("ended with %w", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for k := next; k < uint64(len(x.sent)); k++ {
		if x.sent[k] == sent {
			return fmt.Errorf("message %d of %d is lost at the end", k, len(x.sent))
		}
	}
	return nil
}
