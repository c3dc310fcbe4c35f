package ws

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/internal/handshake"
	"github.com/tidewire/ws/internal/pool"
	"github.com/tidewire/ws/internal/upgrade"
)

// IsUpgrade reports whether a request asks for a websocket. Middleware lets
// every other request through.
func IsUpgrade(r *http.Request) bool { return handshake.IsUpgrade(r) }

// Accept upgrades a request to a connection (RFC 6455 4.2). o may be nil. If it
// fails it has answered the request with a status and a short text that says
// what is wrong, and its error says the same.
//
// The connection's context has the values of r's, but does not end with it: net/http
// cancels that when the handler returns. Whoever called Accept closes the
// connection. Handler does this, and more, by itself.
func Accept(w http.ResponseWriter, r *http.Request, o *AcceptOptions) (*Conn, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	a := acceptance{opts: &opts}
	c, err := a.accept(w, r)
	if err != nil {
		return nil, err
	}
	rec := upgrade.From(r.Context())
	context.AfterFunc(c.Context(), func() { a.over(c, rec) })
	return c, nil
}

// acceptance is one upgrade on its way to a connection.
type acceptance struct {
	handler  *Handler    // nil: a bare Accept
	opts     *Options    // the handler's, if Configure hasn't changed them
	lifetime *time.Timer // ends the connection; nil: nothing does
}

// keeper watches over the connection; nil: one of its own.
func (a *acceptance) keeper() *conn.Keeper {
	if a.handler == nil {
		return nil
	}
	return &a.handler.keeper
}

// group has the handler's connections; nil: none. opts may have another one.
func (a *acceptance) group() *Group {
	if a.handler == nil {
		return nil
	}
	return &a.handler.live
}

// agreement is what a handshake has settled.
type agreement struct {
	handshake.Response
	compression conn.Compression
}

func (a *acceptance) accept(w http.ResponseWriter, r *http.Request) (*Conn, error) {
	rec := upgrade.From(r.Context())
	agreed, ref := a.agree(r, rec)
	if ref != nil {
		a.refuse(w, r, *ref)
		return nil, fmt.Errorf("ws: accept: refused with %d: %s", ref.Status, ref.Text)
	}
	nc, rw, err := a.hijack(w, r, agreed.Response)
	if err != nil {
		return nil, err
	}
	c := a.connect(nc, r, agreed, rw)
	opened := false
	defer func() { // a hook may panic: net/http forgets a connection that was taken over
		if !opened {
			_ = c.CloseNow()
			a.leave(c)
		}
	}()
	if !a.join(c, rec, agreed.Response) {
		return nil, errors.New("ws: accept: the request has been upgraded already")
	}
	a.observeOpened(c, r)
	opened = true
	return c, nil
}

// agree checks the handshake and settles what it leaves open.
func (a *acceptance) agree(r *http.Request, rec *upgrade.Record) (agreement, *upgrade.Refusal) {
	var agreed agreement
	key, err := handshake.CheckRequest(r)
	if err != nil {
		return agreed, refusal("handshake", err)
	}
	if d, draining := a.draining(); draining {
		return agreed, &upgrade.Refusal{By: "shutdown", Status: http.StatusServiceUnavailable,
			RetryAfter: d, Text: "the server is shutting down"}
	}
	if !a.opts.InsecureSkipOrigin && !rec.OriginAllowed() {
		if err := handshake.CheckOrigin(r, a.opts.Origins); err != nil {
			return agreed, refusal("origin", err)
		}
	}
	offered, err := handshake.Protocols(r.Header)
	if err != nil {
		return agreed, refusal("handshake", err)
	}
	protocol := handshake.ChooseProtocol(a.opts.Subprotocols, offered)
	if protocol == "" && len(offered) > 0 && r.Header.Get("Origin") != "" {
		return agreed, &upgrade.Refusal{By: "subprotocol", Status: http.StatusBadRequest,
			Text: fmt.Sprintf("the server speaks none of the offered subprotocols %q, and browsers fail a connection "+
				"that chooses none: offer one of %q or none", strings.Join(offered, ", "), a.opts.Subprotocols)}
	}
	policy := a.opts.Compression.policy(a.opts.CompressionWindowBits)
	params, extensions, err := policy.Accept(r.Header["Sec-Websocket-Extensions"])
	if err != nil {
		return agreed, refusal("handshake", err)
	}
	if extensions != "" {
		agreed.compression = conn.Compression(params)
	}
	agreed.Response = handshake.Response{Key: key, Protocol: protocol, Extensions: extensions, Header: a.opts.Header}
	return agreed, nil
}

func refusal(by string, err error) *upgrade.Refusal {
	var e *handshake.Error
	if errors.As(err, &e) {
		return &upgrade.Refusal{By: by, Status: e.Status, Header: e.Header, Text: e.Text}
	}
	return &upgrade.Refusal{By: by, Status: http.StatusBadRequest, Text: err.Error()}
}

// broken answers a request that the server can't upgrade by its own fault.
func (a *acceptance) broken(w http.ResponseWriter, r *http.Request, err error) error {
	err = fmt.Errorf("ws: accept: %w", err)
	a.opts.logger().ErrorContext(r.Context(), err.Error())
	a.refuse(w, r, upgrade.Refusal{By: "server", Status: http.StatusInternalServerError,
		Text: "the server can't upgrade this connection"})
	return err
}

// hijackError names the wrapper that hides the connection.
func hijackError(w http.ResponseWriter, err error) error {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = u.Unwrap()
	}
	if _, ok := w.(http.Hijacker); ok {
		return fmt.Errorf("taking over the connection: %w", err)
	}
	return fmt.Errorf("%T, which some middleware has put around the http.ResponseWriter, hides the connection: "+
		"give it a method Unwrap() http.ResponseWriter, or mount the handler outside that middleware (%w)", w, err)
}

// hijack takes over the connection and sends the response. The response is
// built first, while the request can still be answered with an error.
func (a *acceptance) hijack(w http.ResponseWriter, r *http.Request, agreed handshake.Response) (net.Conn, *bufio.ReadWriter, error) {
	response, err := handshake.AppendResponse(pool.Get(pool.Small), agreed)
	if err != nil {
		return nil, nil, a.broken(w, r, err)
	}
	defer pool.Put(response)
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, a.broken(w, r, hijackError(w, err))
	}
	if err := a.switchProtocols(nc, response); err != nil {
		_ = nc.Close()
		return nil, nil, fmt.Errorf("ws: accept: sending the response: %w", err)
	}
	return nc, rw, nil
}

// switchProtocols sends the response in one write.
func (a *acceptance) switchProtocols(nc net.Conn, response []byte) error {
	timeout := a.opts.HandshakeTimeout
	if timeout == 0 {
		timeout = defaultHandshakeTimeout
	}
	var limit time.Time
	if timeout > 0 {
		limit = time.Now().Add(timeout)
	}
	if err := nc.SetWriteDeadline(limit); err != nil {
		return err
	}
	if _, err := nc.Write(response); err != nil {
		return err
	}
	return nc.SetDeadline(time.Time{}) // the http.Server may have set one for reading, too
}

// configs keeps connect's frame small: a goroutine whose stack has once needed
// more than 4 KB keeps 8, and there is one for each connection.
var configs = sync.Pool{New: func() any { return new(conn.Config) }}

// connect makes the connection. rw, which may be nil, has what the client has
// sent behind its handshake.
func (a *acceptance) connect(nc net.Conn, r *http.Request, agreed agreement, rw *bufio.ReadWriter) *Conn {
	cfg := configs.Get().(*conn.Config)
	a.opts.configure(cfg)
	transport := conn.NetTransport
	switch h := a.handler; {
	case h == nil:
		cfg.Parent = context.WithoutCancel(r.Context())
	case h.Serve != nil:
		cfg.Parent = requestContext{r}
	default: // nothing of the request may live as long as the connection
		cfg.Parent = context.Background()
		if rec := upgrade.From(r.Context()); rec != nil {
			cfg.Parent = upgrade.NewContext(cfg.Parent, rec)
		}
		transport = conn.EngineTransport
	}
	cfg.Subprotocol = agreed.Protocol
	cfg.Compression = agreed.compression
	cfg.Codec = a.opts.Codecs[agreed.Protocol]
	cfg.Keeper = a.keeper()
	if rw != nil {
		cfg.Early, _ = rw.Peek(rw.Reader.Buffered())
	}
	c := conn.NewFrom(transport(nc), cfg)
	*cfg = conn.Config{}
	configs.Put(cfg)
	if rw != nil { // their 8 KiB would live as long as the handler does
		*rw.Reader, *rw.Writer = bufio.Reader{}, bufio.Writer{}
	}
	return c
}

// join makes the connection known to its groups and to the middleware.
func (a *acceptance) join(c *Conn, rec *upgrade.Record, agreed handshake.Response) bool {
	a.group().add(c)
	a.opts.Group.add(c)
	opened := upgrade.Opening{Subprotocol: agreed.Protocol, Extensions: agreed.Extensions}
	if rec != nil && !rec.Open(opened, func() { c.CloseCause(statusUnauthorized, "credential expired", conn.ErrExpired) }) {
		return false
	}
	if d := a.opts.MaxLifetime; d > 0 {
		a.lifetime = time.AfterFunc(d-rand.N(d/10+1), func() { c.CloseCause(StatusGoingAway, "", conn.ErrLifetime) })
	}
	return true
}

// statusUnauthorized is registered with IANA as "Unauthorized".
const statusUnauthorized StatusCode = 3000

// over is the end of what join began.
func (a *acceptance) over(c *Conn, rec *upgrade.Record) {
	a.leave(c)
	if a.lifetime != nil {
		a.lifetime.Stop()
	}
	if rec == nil {
		return
	}
	stats := c.Stats()
	rec.End(upgrade.End{Cause: context.Cause(c.Context()), In: upgrade.Traffic(stats.In), Out: upgrade.Traffic(stats.Out)})
}

func (a *acceptance) leave(c *Conn) {
	a.group().remove(c)
	a.opts.Group.remove(c)
}

func (a *acceptance) draining() (retryAfter time.Duration, draining bool) {
	if d, ok := a.group().draining(); ok {
		return d, true
	}
	return a.opts.Group.draining()
}

// requestContext has the values of a request's context, and the request, but
// does not end with it: middleware and net/http end that in ways that must not
// end the connection.
type requestContext struct{ r *http.Request }

func (requestContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (requestContext) Done() <-chan struct{}       { return nil }
func (requestContext) Err() error                  { return nil }

func (c requestContext) Value(key any) any {
	if key == (requestKey{}) {
		return c.r
	}
	return c.r.Context().Value(key)
}

type requestKey struct{}

func (requestKey) String() string { return "ws request" }

// Request returns the request that was upgraded, during Handler's Serve and
// Open; nil with any other context.
func Request(ctx context.Context) *http.Request {
	r, _ := ctx.Value(requestKey{}).(*http.Request)
	return r
}

// Principal returns who the connection was authenticated as, by middleware in
// front of the handler; nil if nobody was.
func Principal(ctx context.Context) any { return upgrade.From(ctx).Principal() }

// Renew moves the time at which the connection of ctx ends because its
// credential expires; the zero time means never. It fails once the connection
// has expired or ended, and for a ctx that is not a connection's.
func Renew(ctx context.Context, expiry time.Time) error {
	rec := upgrade.From(ctx)
	switch {
	case rec == nil:
		return errors.New("ws: renew: the context belongs to no connection with a credential")
	case !rec.Renew(expiry):
		return fmt.Errorf("ws: renew: %w", conn.ErrExpired)
	}
	return nil
}
