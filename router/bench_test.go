package router_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/router"
	"github.com/tidewire/ws/wstest"
)

type benchIn struct {
	Room string `json:"room"`
	N    int    `json:"n"`
}

type benchOut struct {
	N  int  `json:"n"`
	OK bool `json:"ok"`
}

var benchRequest = []byte(`{"id":7,"type":"chat.post","data":{"room":"go","n":7}}`)

// sink is a transport that takes everything and gives nothing.
type sink struct{ conn.Transport }

func (sink) Write(p []byte) (int, error) { return len(p), nil }

func newSink() *ws.Conn {
	silent, _ := wstest.Pipe()
	return conn.New(sink{conn.NetTransport(silent)}, conn.Config{})
}

// One small request to its reply, without a network: the router, and what one
// writes by hand with a map of functions and encoding/json.
func BenchmarkDispatch(b *testing.B) {
	b.Run("router", func(b *testing.B) {
		r := router.New()
		router.Handle(r, "chat.post", func(_ context.Context, in benchIn) (benchOut, error) { return benchOut{in.N, true}, nil })
		c := newSink()
		defer c.CloseNow()
		ctx, err := r.Open(c.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		m := ws.Message{Type: ws.Text, Data: benchRequest}
		b.ReportAllocs()
		for b.Loop() {
			if err := r.Message(ctx, c, m); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("plain", func(b *testing.B) {
		handlers := map[string]func(json.RawMessage) (any, error){
			"chat.post": func(data json.RawMessage) (any, error) {
				var in benchIn
				if err := json.Unmarshal(data, &in); err != nil {
					return nil, err
				}
				return benchOut{in.N, true}, nil
			},
		}
		c := newSink()
		defer c.CloseNow()
		b.ReportAllocs()
		for b.Loop() {
			if err := plain(c, handlers, benchRequest); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("types", func(b *testing.B) { // what encoding/json takes for the user's own types
		b.ReportAllocs()
		var out []byte
		for b.Loop() {
			in := new(benchIn)
			if err := json.Unmarshal([]byte(`{"room":"go","n":7}`), in); err != nil {
				b.Fatal(err)
			}
			out, _ = json.Marshal(benchOut{in.N, true})
		}
		_ = out
	})
}

func plain(c *ws.Conn, handlers map[string]func(json.RawMessage) (any, error), p []byte) error {
	var request struct {
		ID   uint64          `json:"id"`
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(p, &request); err != nil {
		return err
	}
	out, err := handlers[request.Type](request.Data)
	if err != nil {
		return err
	}
	reply, err := json.Marshal(struct {
		ID   uint64 `json:"id"`
		Data any    `json:"data"`
	}{request.ID, out})
	if err != nil {
		return err
	}
	return c.Write(c.Context(), ws.Text, reply)
}
