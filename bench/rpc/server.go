//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/gorilla/websocket"
	"github.com/sourcegraph/jsonrpc2"
	rpcwebsocket "github.com/sourcegraph/jsonrpc2/websocket"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/router"
)

// post is what every server takes, and sends back.
type post struct {
	Room string `json:"room"`
	Text string `json:"text"`
	N    int    `json:"n"`
}

const method = "chat.post"

// server is a server of one method, which returns what it was given.
type server struct {
	name    string
	jsonRPC bool // it speaks JSON-RPC 2.0; the router's envelope otherwise
	handler func() http.Handler
}

// servers has the floor first: what the others cost is told as a ratio to that.
var servers = []server{
	{"raw echo", false, rawEcho},
	{"router", false, func() http.Handler { return routed(codec.JSON) }},
	{"router, JSON-RPC", true, func() http.Handler { return routed(codec.JSONRPC) }},
	{"ws by hand", false, func() http.Handler { return &ws.Handler{Events: plain{}} }},
	{"gorilla by hand", false, func() http.Handler { return http.HandlerFunc(byHand) }},
	{"sourcegraph/jsonrpc2", true, func() http.Handler { return http.HandlerFunc(sourcegraph) }},
}

// echo sends back the bytes that it gets.
type echo struct{}

func (echo) Message(ctx context.Context, c *ws.Conn, m ws.Message) error {
	return c.Write(ctx, m.Type, m.Data)
}

func rawEcho() http.Handler { return &ws.Handler{Events: echo{}} }

func routed(cd codec.Codec) http.Handler {
	r := router.New()
	router.Handle(r, method, func(_ context.Context, in post) (post, error) { return in, nil })
	return &ws.Handler{Events: r, Options: ws.Options{Codecs: map[string]codec.Codec{"": cd}}}
}

var upgrader websocket.Upgrader

// methods is what one writes by hand where the router has routes.
var methods = map[string]func(data json.RawMessage) (any, error){
	method: func(data json.RawMessage) (any, error) {
		var in post
		err := json.Unmarshal(data, &in)
		return in, err
	},
}

type request struct {
	ID   uint64          `json:"id"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

type reply struct {
	ID   uint64 `json:"id"`
	Data any    `json:"data"`
}

// plain is this library and encoding/json by hand: what the router stands beside.
type plain struct{}

func (plain) Message(ctx context.Context, c *ws.Conn, m ws.Message) error {
	p, err := answer(m.Data)
	if err != nil {
		return err
	}
	return c.Write(ctx, m.Type, p)
}

// byHand is gorilla and encoding/json by hand.
func byHand(w http.ResponseWriter, r *http.Request) {
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	for {
		_, p, err := c.ReadMessage()
		if err != nil {
			return
		}
		if p, err = answer(p); err != nil {
			return
		}
		if err := c.WriteMessage(websocket.TextMessage, p); err != nil {
			return
		}
	}
}

// answer makes a reply, and nothing of errors, contexts, streams and limits.
func answer(p []byte) ([]byte, error) {
	var q request
	if err := json.Unmarshal(p, &q); err != nil {
		return nil, err
	}
	f := methods[q.Type]
	if f == nil {
		return nil, errors.New("unknown type " + q.Type)
	}
	out, err := f(q.Data)
	if err != nil {
		return nil, err
	}
	return json.Marshal(reply{q.ID, out})
}

// sourcegraph is jsonrpc2 over gorilla, by its own websocket package; its
// functions run one at a time, as the router's do.
func sourcegraph(w http.ResponseWriter, r *http.Request) {
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	h := jsonrpc2.HandlerWithError(func(_ context.Context, _ *jsonrpc2.Conn, q *jsonrpc2.Request) (any, error) {
		if q.Method != method || q.Params == nil {
			return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeMethodNotFound}
		}
		var in post
		err := json.Unmarshal(*q.Params, &in)
		return in, err
	})
	<-jsonrpc2.NewConn(r.Context(), rpcwebsocket.NewObjectStream(c), h.SuppressErrClosed()).DisconnectNotify()
}
