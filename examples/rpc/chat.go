package main

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/router"
)

// The types of the messages: clients, schema and checks are made from them.

// Mood is how a message is meant.
type Mood string

// Enum returns all moods.
func (Mood) Enum() []Mood { return []Mood{"plain", "loud", "quiet"} }

// Post is what somebody wants to say.
type Post struct {
	Text string `json:"text" doc:"1 to 500 bytes"`
	Mood Mood   `json:"mood,omitempty"`
}

// Validate is called by the router.
func (p Post) Validate() error {
	var errs []error
	if n := len(strings.TrimSpace(p.Text)); n == 0 || n > 500 {
		errs = append(errs, router.Field("text", "must have 1 to 500 bytes"))
	}
	switch p.Mood {
	case "", "plain", "loud", "quiet":
	default:
		errs = append(errs, router.Field("mood", "is not a mood"))
	}
	return errors.Join(errs...)
}

// Message is what somebody has said.
type Message struct {
	ID   int       `json:"id"`
	From string    `json:"from"`
	At   time.Time `json:"at"`
	Post
}

// Receipt is the reply to a Post.
type Receipt struct {
	ID int `json:"id"`
}

// Since asks for the messages behind one.
type Since struct {
	ID int `json:"id" doc:"0: from the first"`
}

// Typing says who is writing.
type Typing struct {
	From string `json:"from"`
}

// None is for messages without data.
type None struct{}

// chat is the program's state. mu guards it.
type chat struct {
	mu       sync.Mutex
	messages []Message
	added    chan struct{} // closed when there is a new message
	conns    map[*ws.Conn]struct{}
}

func newChat() *chat {
	return &chat{added: make(chan struct{}), conns: make(map[*ws.Conn]struct{})}
}

// routes declares the API.
func (ch *chat) routes() *router.Router {
	r := router.New(router.Options{Title: "Chat", Version: "1.0.0", Open: ch.join, Closed: ch.leave})
	typing := router.Emits[Typing](r, "typing").Doc("Somebody else is writing.")
	router.On(r, "typing", func(ctx context.Context, _ None) error {
		me := router.Conn(ctx)
		for _, c := range ch.others(me) {
			if err := typing.Send(ctx, c, Typing{user(ctx)}); err != nil && c.Context().Err() == nil {
				return err
			}
		}
		return nil
	}).Doc("I am writing.")
	router.Handle(r, "post", ch.post).Doc("Says something to all.")
	router.Stream(r, "messages", ch.watch).Doc("All messages, those of the past first, for as long as you listen.")

	admin := r.Group("admin.", adminsOnly)
	router.Handle(admin, "clear", ch.clear).Doc("Forgets everything. For the user named admin.")
	return r
}

func (ch *chat) join(_ context.Context, c *ws.Conn) (context.Context, error) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.conns[c] = struct{}{}
	return context.Background(), nil
}

func (ch *chat) leave(_ context.Context, c *ws.Conn, _ error) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	delete(ch.conns, c)
}

func (ch *chat) others(me *ws.Conn) []*ws.Conn {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	var all []*ws.Conn
	for c := range ch.conns {
		if c != me {
			all = append(all, c)
		}
	}
	return all
}

func (ch *chat) post(ctx context.Context, in Post) (Receipt, error) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	m := Message{ID: len(ch.messages) + 1, From: user(ctx), At: time.Now().UTC(), Post: in}
	ch.messages = append(ch.messages, m)
	ch.changed()
	return Receipt{m.ID}, nil
}

// changed wakes all who watch. mu is held.
func (ch *chat) changed() {
	close(ch.added)
	ch.added = make(chan struct{})
}

// watch yields what there is, and waits for more.
func (ch *chat) watch(ctx context.Context, in Since) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for at := max(in.ID, 0); ; {
			ch.mu.Lock()
			news, added := ch.messages[min(at, len(ch.messages)):], ch.added
			ch.mu.Unlock()
			for _, m := range news {
				if !yield(m, nil) {
					return
				}
				at = m.ID
			}
			select {
			case <-added:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (ch *chat) clear(context.Context, None) (None, error) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.messages = nil
	ch.changed()
	return None{}, nil
}

// adminsOnly is middleware for messages.
func adminsOnly(next router.Handler) router.Handler {
	return func(ctx context.Context, q *router.Request) (any, error) {
		if user(ctx) != "admin" {
			return nil, &router.Error{Code: router.Forbidden, Message: "for admins only"}
		}
		return next(ctx, q)
	}
}
