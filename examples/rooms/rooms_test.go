package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/hub"
)

// startNodes runs n nodes until the test is over and returns their hosts and ports.
func startNodes(t *testing.T, n int) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var clusters, hosts []string
	for range n {
		ln := listen(t)
		clusters = append(clusters, ln.Addr().String())
		ln.Close()
	}
	ran := make(chan error, n)
	for i := range n {
		ln := listen(t)
		hosts = append(hosts, ln.Addr().String())
		one := node{routes: clusters}
		if n > 1 {
			one.cluster = clusters[i]
		}
		go func() { ran <- one.run(ctx, ln) }()
	}
	t.Cleanup(func() {
		cancel()
		for range n {
			if err := <-ran; err != nil {
				t.Errorf("run: %v", err)
			}
		}
	})
	return hosts
}

func listen(t *testing.T) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// guest is somebody at a page.
type guest struct {
	*testing.T
	conn *ws.Conn
}

type message struct {
	ID    int
	Type  string
	Room  string
	Pos   hub.Position
	Data  json.RawMessage
	Error *struct{ Code string }
}

func visit(t *testing.T, host string) guest {
	t.Helper()
	c, _, err := ws.Dial(t.Context(), "ws://"+host+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return guest{t, c}
}

func (g guest) send(id int, typ string, data any) {
	g.Helper()
	if err := ws.Send(g.Context(), g.conn, map[string]any{"id": id, "type": typ, "data": data}); err != nil {
		g.Fatal(err)
	}
}

// until reads messages up to one of a type, "" is a reply.
func (g guest) until(typ string) message {
	g.Helper()
	for {
		m, err := ws.Receive[message](g.Context(), g.conn)
		if err != nil {
			g.Fatal(err)
		}
		if m.Type == typ {
			return m
		}
	}
}

func (g guest) hears(text string) message {
	g.Helper()
	m := g.until("said")
	if !strings.Contains(string(m.Data), `"text":"`+text+`"`) {
		g.Fatalf("heard %s, want %s", m.Data, text)
	}
	return m
}

func TestRooms(t *testing.T) {
	for name, n := range map[string]int{"one node": 1, "two nodes": 2} {
		t.Run(name, func(t *testing.T) {
			hosts := startNodes(t, n)
			ada, grace := visit(t, hosts[0]), visit(t, hosts[n-1])
			ada.send(1, "join", joinRequest{Room: "lobby", Name: "Ada"})
			ada.until("")
			grace.send(1, "join", joinRequest{Room: "lobby", Name: "Grace"})
			grace.until("")
			for there := ""; !strings.Contains(there, "Grace"); {
				there = string(ada.until("$presence").Data)
			}
			grace.send(2, "say", sayRequest{Room: "lobby", Text: " hello ", ID: "1"})
			grace.send(3, "say", sayRequest{Room: "lobby", Text: "hello", ID: "1"}) // again
			seen := ada.hears("hello")
			ada.conn.CloseNow()
			grace.send(4, "say", sayRequest{Room: "lobby", Text: "are you there?"})
			for range 2 {
				grace.until("said")
			}

			ada = visit(t, hosts[n-1])
			ada.send(1, "join", joinRequest{Room: "lobby", Name: "Ada", Since: seen.Pos})
			if m := ada.hears("are you there?"); m.Room != "lobby" || m.Pos.Offset <= seen.Pos.Offset {
				t.Errorf("got %+v", m)
			}
			if m := ada.until(""); !strings.Contains(string(m.Data), `"recovered":true`) {
				t.Errorf("joining gave %s", m.Data)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	g := visit(t, startNodes(t, 1)[0])
	for i, test := range []struct {
		typ  string
		data any
		code string
	}{
		{"say", sayRequest{Room: "lobby", Text: "x"}, "forbidden"},
		{"join", joinRequest{Room: "lobby", Name: " "}, "invalid"},
		{"join", joinRequest{Room: strings.Repeat("x", 99), Name: "x"}, "not_found"},
	} {
		g.send(i, test.typ, test.data)
		if m := g.until(""); m.Error == nil || m.Error.Code != test.code {
			t.Errorf("%s %v: %+v, want %s", test.typ, test.data, m, test.code)
		}
	}
}

func TestPage(t *testing.T) {
	host := startNodes(t, 1)[0]
	for path, want := range map[string]string{"/": "<!doctype html>", "/rooms.js": "WebSocket", "/rooms.css": "color-scheme"} {
		resp, err := http.Get("http://" + host + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s has no %q: %.100s, %v", path, want, body, err)
		}
	}
}
