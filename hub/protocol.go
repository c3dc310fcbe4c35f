package hub

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"time"
	"unicode/utf8"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/router"
	"github.com/tidewire/ws/router/schema"
)

// Access says what clients may do by themselves. Its functions return nil for
// yes; an error that is no *router.Error is answered forbidden, and not sent.
// principal is whose connection it is, by Options.Principal; "" is anybody.
type Access struct {
	// Join says who may join a room. nil: everybody, all that Options.Rooms knows.
	Join func(ctx context.Context, principal, room string) error

	// Publish says who of a room's members may publish in it; what can be published
	// is for Publishes to say. nil: nobody.
	Publish func(ctx context.Context, principal, room string) error

	// Meta makes what others see of a member of what the client says about it,
	// which is nil if it says nothing. nil: it is taken as it is.
	Meta func(ctx context.Context, principal, room string, meta json.RawMessage) (any, error)
}

// Protocol is what clients can ask of a Hub by themselves, on connections of a
// router: see Hub.Mount.
type Protocol struct {
	h         *Hub
	router    *router.Router
	access    Access
	published map[string]func(ctx context.Context, p *Publication, data []byte) (Message, error)
}

// Mount lets clients of r's connections join and leave rooms, come back to them
// with what they have missed, ask who is there and, with Publishes, publish:
// docs/envelope.md has the protocol, which package hub/client and the generated
// TypeScript client speak. It is called once, before r serves connections. a may
// be nil.
//
// Requests run in the order in which the client has sent them. The protocol is
// JSON: connections with binary codecs are joined by Join, and are sent all events.
func (h *Hub) Mount(r *router.Router, a *Access) *Protocol {
	p := &Protocol{h: h, router: r, published: make(map[string]func(context.Context, *Publication, []byte) (Message, error))}
	if a != nil {
		p.access = *a
	}
	reserved := r.Reserved()
	reserved.Use(textOnly)
	router.Handle(reserved, "$join", p.join)
	router.Handle(reserved, "$resume", p.resume)
	router.On(reserved, "$leave", p.leave)
	router.Handle(reserved, "$presence", p.presence)
	router.Handle(reserved, "$publish", p.publish)
	return p
}

// Publication is a message that a client wants to publish.
type Publication struct {
	Room      string
	Principal string
	ID        string          // the client's own, for the message; "": it has none
	Meta      json.RawMessage // of the connection's presence in the room; nil: none
}

// Publishes lets clients publish e in rooms, where Access.Publish allows it. f
// makes the event of what the client sends: here belongs what clients must not
// make up, such as names and times. f's errors go to the client.
//
// In a room with a history, of a client's messages with one id only the first
// counts, for 2 minutes at least: f may have run more than once. Ids of different
// principals have nothing to do with each other.
func Publishes[In, Out any](p *Protocol, e *router.Event[Out], f func(ctx context.Context, m Publication, in In) (Out, error)) {
	p.router.Describe(schema.Message{Type: e.Type(), Kind: schema.Published, In: reflect.TypeFor[In]()})
	p.published[e.Type()] = func(ctx context.Context, m *Publication, data []byte) (Message, error) {
		in, err := router.Decode[In](ctx, data)
		if err != nil {
			return Message{}, err
		}
		out, err := f(ctx, *m, in)
		return Typed(e, out), err
	}
}

// textOnly is middleware: requests have raw JSON inside.
func textOnly(next router.Handler) router.Handler {
	return func(ctx context.Context, q *router.Request) (any, error) {
		if router.Conn(ctx).Codec().Binary() {
			return nil, &router.Error{Code: router.BadPayload, Message: q.Type + " needs a codec of JSON"}
		}
		return next(ctx, q)
	}
}

type joinRequest struct {
	Room   string          `json:"room"`
	Since  Position        `json:"since"`
	Recent int             `json:"recent"`
	Meta   json.RawMessage `json:"meta"`
}

func (p *Protocol) join(ctx context.Context, in joinRequest) (Joined, error) {
	joined, err := p.enter(ctx, &in)
	return joined, p.tell(in.Room, err)
}

// enter joins a room. Who is in it already leaves it before.
func (p *Protocol) enter(ctx context.Context, in *joinRequest) (Joined, error) {
	m, err := p.who(ctx, in.Room)
	if err != nil {
		return Joined{}, err
	}
	if err := allow(ctx, p.access.Join, m.principal, in.Room); err != nil {
		return Joined{}, err
	}
	o := &JoinOptions{Since: in.Since, Recent: in.Recent, announce: true}
	if o.Meta, err = p.meta(ctx, m, in); err != nil {
		return Joined{}, err
	}
	p.h.leaveNow(m.c, in.Room)
	return p.h.Join(ctx, m.c, in.Room, o)
}

// who returns the member that asks for something about a room whose name is good.
func (p *Protocol) who(ctx context.Context, room string) (*member, error) {
	if err := checkName(room); err != nil {
		return nil, &router.Error{Code: router.Invalid, Message: "room: is no name of a room"}
	}
	if _, _, err := p.h.lookup(room); errors.Is(err, ErrClosed) {
		return nil, err
	} else if err != nil {
		return nil, orCode(err, router.NotFound)
	}
	return p.h.add(router.Conn(ctx))
}

func allow(ctx context.Context, f func(context.Context, string, string) error, principal, room string) error {
	if f == nil {
		return nil
	}
	return orCode(f(ctx, principal, room), router.Forbidden)
}

// orCode makes err an error that has nothing but a code, unless it is meant for clients.
func orCode(err error, code string) error {
	var known *router.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &router.Error{Code: code}
}

func (p *Protocol) meta(ctx context.Context, m *member, in *joinRequest) (any, error) {
	if p.access.Meta != nil {
		meta, err := p.access.Meta(ctx, m.principal, in.Room, in.Meta)
		return meta, orCode(err, router.Invalid)
	}
	if len(in.Meta) > maxMeta {
		return nil, &router.Error{Code: router.Invalid, Message: fmt.Sprintf("meta: has more than %d bytes", maxMeta)}
	}
	if in.Meta == nil || string(in.Meta) == "null" {
		return nil, nil
	}
	return in.Meta, nil
}

type resumeRequest struct {
	Rooms []joinRequest `json:"rooms"`
}

type resumeReply struct {
	Rooms []resumed `json:"rooms"`
}

// resumed is how joining one of the rooms went.
type resumed struct {
	Room string `json:"room"`
	Joined
	Error *resumeError `json:"error,omitempty"`
}

type resumeError struct {
	Code    string `json:"code"`
	Message string `json:"message,omitempty"`
	RetryMS int64  `json:"retry_ms,omitempty"`
}

func (p *Protocol) resume(ctx context.Context, in resumeRequest) (resumeReply, error) {
	if len(in.Rooms) > p.h.opts.MaxRooms {
		return resumeReply{}, p.tell("", errTooManyRooms)
	}
	out := resumeReply{Rooms: make([]resumed, len(in.Rooms))}
	for i := range in.Rooms {
		room := in.Rooms[i].Room
		joined, err := p.enter(ctx, &in.Rooms[i])
		out.Rooms[i] = resumed{Room: room, Joined: joined}
		if err != nil {
			var e *router.Error
			errors.As(p.tell(room, err), &e)
			out.Rooms[i].Error = &resumeError{Code: e.Code, Message: e.Message, RetryMS: e.RetryAfter.Milliseconds()}
		}
	}
	return out, nil
}

type roomRequest struct {
	Room string `json:"room"`
}

func (p *Protocol) leave(ctx context.Context, in roomRequest) error {
	p.h.leaveNow(router.Conn(ctx), in.Room)
	return nil
}

// leaveNow is Leave after which nothing more of the room is sent: what the client
// gets behind the reply is of its next membership.
func (h *Hub) leaveNow(c *ws.Conn, room string) {
	if s := h.seatOf(c, room); s != nil {
		h.Leave(c, room)
		s.m.dropWaiting(s)
	}
}

type presenceReply struct {
	Members []Member `json:"members"`
}

var errNotMember = &router.Error{Code: router.Forbidden, Message: "join the room first"}

func (p *Protocol) presence(ctx context.Context, in roomRequest) (presenceReply, error) {
	if p.h.seatOf(router.Conn(ctx), in.Room) == nil {
		return presenceReply{}, errNotMember
	}
	return presenceReply{p.h.Presence(in.Room)}, nil
}

// seatOf returns a connection's seat in a room; nil: it has none.
func (h *Hub) seatOf(c *ws.Conn, room string) *seat {
	h.mu.RLock()
	m, r := h.members[c], h.rooms[room]
	h.mu.RUnlock()
	if m == nil || r == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seatIn(r)
}

type publishRequest struct {
	Room string          `json:"room"`
	Type string          `json:"type"`
	ID   string          `json:"id"`
	Data json.RawMessage `json:"data"`
}

type publishReply struct {
	Pos Position `json:"pos,omitzero"` // of the message; none in a room without a history
}

// maxMessageID bounds a client's id of a message, in bytes.
const maxMessageID = 64

func (p *Protocol) publish(ctx context.Context, in publishRequest) (publishReply, error) {
	s := p.h.seatOf(router.Conn(ctx), in.Room)
	if s == nil {
		return publishReply{}, errNotMember
	}
	if p.access.Publish == nil {
		return publishReply{}, &router.Error{Code: router.Forbidden}
	}
	if err := allow(ctx, p.access.Publish, s.m.principal, in.Room); err != nil {
		return publishReply{}, err
	}
	if len(in.ID) > maxMessageID || !utf8.ValidString(in.ID) {
		return publishReply{}, &router.Error{Code: router.Invalid, Message: fmt.Sprintf("id: has more than %d bytes", maxMessageID)}
	}
	prepare := p.published[in.Type]
	if prepare == nil {
		return publishReply{}, &router.Error{Code: router.UnknownType, Message: "unknown type " + in.Type + " to publish"}
	}
	m, err := prepare(ctx, s.publication(&in), in.Data)
	if err != nil {
		return publishReply{}, err
	}
	m.ID = scopedID(s.m.principal, in.ID)
	pos, err := p.h.Publish(ctx, in.Room, m)
	return publishReply{pos}, p.tell(in.Room, err)
}

func (s *seat) publication(in *publishRequest) *Publication {
	m := &Publication{Room: in.Room, Principal: s.m.principal, ID: in.ID}
	if s.entry != nil {
		m.Meta = s.entry.Meta
	}
	return m
}

// scopedID keeps clients from guessing ids of others, whose messages would then
// seem to have been published already.
func scopedID(principal, id string) string {
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(principal + "\x00" + id))
	return base64.RawURLEncoding.EncodeToString(sum[:18])
}

// retryAfter is when clients try again after something between nodes has failed.
const retryAfter = time.Second

// tell makes of a hub's error what a client is told: a *router.Error.
func (p *Protocol) tell(room string, err error) error {
	var known *router.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.Is(err, errTooManyRooms):
		return &router.Error{Code: router.Conflict, Message: "too many rooms"}
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		return &router.Error{Code: router.Canceled}
	case errors.Is(err, context.DeadlineExceeded):
		return &router.Error{Code: router.Timeout}
	case !errors.Is(err, ErrClosed):
		p.h.opts.Logger.Warn("hub: request of a client failed", slog.String("room", room), slog.Any("error", err))
	}
	return &router.Error{Code: router.Unavailable, RetryAfter: retryAfter}
}
