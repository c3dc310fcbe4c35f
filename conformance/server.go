package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// Server tests clients that echo. A client connects to these paths, one connection each:
//
//	/getCaseCount               receives the number of cases as a text message
//	/runCase?case=N&agent=X     is tested with case N, counting from 1
//	/getCaseInfo?case=N         receives {"id": ..., "description": ...}
//	/getCaseStatus?case=N&agent=X  receives {"behavior": ...} once the case has ended
//	/updateReports?agent=X      says that it is done
//
// casetuple=1.1.1 may stand for case=N. Connections run independently of each other.
type Server struct {
	// OnUpdate is called when an agent asks for reports; nil: nothing happens then. Set it before Serve.
	OnUpdate func(agent string)

	options Options
	cases   []*Case
	report  *Report

	mu     sync.Mutex
	open   map[io.Closer]struct{} // listeners and connections, to be closed by Close
	closed bool
	wg     sync.WaitGroup // connections
}

// NewServer returns a server for the cases that o selects. It is an error if a pattern matches none.
func NewServer(o Options) (*Server, error) {
	cases, err := Cases(o.Cases, o.Exclude)
	if err != nil {
		return nil, err
	}
	return &Server{options: o.withDefaults(), cases: cases, report: newReport(cases), open: map[io.Closer]struct{}{}}, nil
}

// Report returns what has come in so far. It goes on changing with each case that ends.
func (s *Server) Report() *Report { return s.report }

// Serve accepts connections until ln fails or Close is called; after Close it returns net.ErrClosed. It closes ln.
func (s *Server) Serve(ln net.Listener) error {
	if !s.track(ln) {
		return net.ErrClosed
	}
	defer s.untrack(ln)
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		if !s.track(conn) {
			return net.ErrClosed
		}
		go func() {
			defer s.untrack(conn)
			s.serveConn(conn)
		}()
	}
}

// Close ends all connections and waits until their cases are in the report.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *Server) track(c io.Closer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return false
	}
	s.open[c] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *Server) untrack(c io.Closer) {
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
	c.Close()
	s.wg.Done()
}

func (s *Server) serveConn(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(s.options.clock().handshake()))
	br := bufio.NewReader(conn)
	r, err := http.ReadRequest(br)
	if err != nil {
		refuse(conn, err)
		return
	}
	in := &visit{server: s, conn: conn, in: br, request: r, agent: r.URL.Query().Get("agent")}
	if in.c, err = s.requestedCase(r.URL); err == nil {
		err = in.serve()
	}
	if err != nil {
		refuse(conn, err)
	}
}

// requestedCase returns the case that the URL names, or nil.
func (s *Server) requestedCase(u *url.URL) (*Case, error) {
	q := u.Query()
	if id := q.Get("casetuple"); id != "" {
		for _, c := range s.cases {
			if c.ID == id {
				return c, nil
			}
		}
		return nil, fmt.Errorf("no case %s", id)
	}
	if !q.Has("case") {
		return nil, nil
	}
	n, err := strconv.Atoi(q.Get("case"))
	if err != nil || n < 1 || n > len(s.cases) {
		return nil, fmt.Errorf("no case %s, there are %d", q.Get("case"), len(s.cases))
	}
	return s.cases[n-1], nil
}

func refuse(conn net.Conn, err error) {
	fmt.Fprintf(conn, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n%v\n", err)
}

// visit is one connection to the server.
type visit struct {
	server  *Server
	conn    net.Conn
	in      *bufio.Reader
	request *http.Request
	c       *Case // nil: the URL names none
	agent   string
}

// serve does what the path asks for. An error means that the handshake was not answered yet.
func (v *visit) serve() error {
	if v.request.URL.Path == "/runCase" {
		return v.runCase()
	}
	answer, err := v.answer()
	if err != nil {
		return err
	}
	session, err := v.upgrade(nil)
	if err != nil {
		return err
	}
	defer session.out.stop()
	if answer != nil {
		message, err := json.Marshal(answer())
		if err != nil {
			panic(err) // maps of strings
		}
		session.send([]frame{text(string(message))})
	}
	session.sendClose(1000)
	session.finish()
	return nil
}

// answer returns what makes the message that the path asks for, or nil for none. It may wait.
func (v *visit) answer() (func() any, error) {
	s, path := v.server, v.request.URL.Path
	switch {
	case path == "/getCaseCount":
		return func() any { return len(s.cases) }, nil
	case path == "/getCaseInfo" && v.c != nil:
		return func() any { return map[string]string{"id": v.c.ID, "description": v.c.Title} }, nil
	case path == "/getCaseStatus" && v.c != nil && v.agent != "":
		return func() any { return map[string]Verdict{"behavior": v.status()} }, nil
	case path == "/updateReports" && v.agent != "":
		if s.OnUpdate != nil {
			s.OnUpdate(v.agent)
		}
		return nil, nil
	}
	return nil, fmt.Errorf("%s is unknown here, or lacks its case or agent", v.request.URL)
}

// status waits for the case's result; the client may ask while its last connection is still being wound up.
func (v *visit) status() Verdict {
	ctx, cancel := context.WithTimeout(context.Background(), v.server.options.clock().handshake())
	defer cancel()
	res, err := v.server.report.wait(ctx, v.agent, v.c.ID)
	if err != nil {
		return Failed
	}
	return res.Behavior
}

func (v *visit) runCase() error {
	if v.c == nil || v.agent == "" {
		return errors.New("/runCase needs case and agent")
	}
	start := time.Now()
	sc := v.c.build(v.server.options.Scale)
	session, err := v.upgrade(sc.deflate)
	res := Result{}
	if err != nil {
		res = notOpened(v.c, err)
	} else {
		session.run(sc)
		res = judge(v.c, sc, session)
	}
	res.Agent, res.Duration = v.agent, time.Since(start)
	v.server.report.add(res, v.server.options.Log)
	return err
}

// upgrade answers the handshake.
func (v *visit) upgrade(d *deflateTest) (*session, error) {
	if err := checkRequest(v.request); err != nil {
		return nil, err
	}
	extensions, codec, err := serverCodec(v.request.Header.Values("Sec-WebSocket-Extensions"), d)
	if err != nil {
		return nil, err
	}
	if err := writeResponse(v.conn, v.request, extensions); err != nil {
		return nil, err
	}
	early, err := io.ReadAll(io.LimitReader(v.in, int64(v.in.Buffered())))
	if err != nil {
		return nil, err
	}
	return newSession(v.conn, false, early, codec, v.server.options.clock()), v.conn.SetDeadline(time.Time{})
}
