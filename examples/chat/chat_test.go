package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidewire/ws"
)

// start runs the chat until the test is over and returns its host and port.
func start(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- run(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return ln.Addr().String()
}

// visitor is somebody at a page of the chat.
type visitor struct {
	*testing.T
	conn *ws.Conn
}

func visit(t *testing.T, host, room, query string) visitor {
	t.Helper()
	c, _, err := ws.Dial(t.Context(), "ws://"+host+"/room/"+room+"/ws?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return visitor{t, c}
}

func (v visitor) say(text string) {
	v.Helper()
	if err := v.conn.Write(v.Context(), ws.Text, []byte(text)); err != nil {
		v.Fatal(err)
	}
}

// hears returns the next event, which has to be of this type.
func (v visitor) hears(kind string) event {
	v.Helper()
	e, err := ws.Receive[event](v.Context(), v.conn)
	if err != nil {
		v.Fatal(err)
	}
	if e.Type != kind {
		v.Fatalf("got %+v, want a %s", e, kind)
	}
	return e
}

func TestConversation(t *testing.T) {
	host := start(t)
	ada := visit(t, host, "lobby", "name=Ada")
	if e := ada.hears("welcome"); e.Name != "Ada" || !slices.Equal(e.People, []string{"Ada"}) || e.History != nil {
		t.Errorf("welcome is %+v", e)
	}
	grace := visit(t, host, "lobby", "name=Grace")
	if e := grace.hears("welcome"); !slices.Equal(e.People, []string{"Ada", "Grace"}) {
		t.Errorf("welcome is %+v", e)
	}
	if e := ada.hears("joined"); e.Name != "Grace" {
		t.Errorf("joined is %+v", e)
	}
	grace.say("  Hello, Ada <3 ")
	for _, v := range []visitor{ada, grace} {
		if e := v.hears("message"); e.Name != "Grace" || e.Text != "Hello, Ada <3" || e.At.IsZero() {
			t.Errorf("message is %+v", e)
		}
	}
	if err := grace.conn.Close(t.Context(), ws.StatusNormal, ""); err != nil {
		t.Error(err)
	}
	if e := ada.hears("left"); e.Name != "Grace" {
		t.Errorf("left is %+v", e)
	}
}

func TestRoomsAreApart(t *testing.T) {
	host := start(t)
	here, there := visit(t, host, "here", "name=A"), visit(t, host, "there", "name=B")
	here.hears("welcome")
	there.hears("welcome")
	here.say("for here")
	there.say("for there")
	if e := here.hears("message"); e.Text != "for here" {
		t.Errorf("here heard %+v", e)
	}
	if e := there.hears("message"); e.Text != "for there" {
		t.Errorf("there heard %+v", e)
	}
}

func TestOneNameIsOnePerson(t *testing.T) {
	host := start(t)
	first, second := visit(t, host, "lobby", "name=Ada"), visit(t, host, "lobby", "name=Ada")
	first.hears("welcome")
	if e := second.hears("welcome"); !slices.Equal(e.People, []string{"Ada"}) {
		t.Errorf("people are %q", e.People)
	}
	if err := second.conn.Close(t.Context(), ws.StatusNormal, ""); err != nil {
		t.Error(err)
	}
	first.say("still alone") // neither joined nor left comes first
	first.hears("message")
}

func TestHistory(t *testing.T) {
	const said = maxHistory + 2
	c, host := new(chat), start(t)
	room := c.enter("lobby", &member{conn: visit(t, host, "elsewhere", "").conn})
	for i := range said {
		room.say(&member{name: "Ada"}, fmt.Sprint(i))
	}
	if len(room.history) != maxHistory || room.history[0].Text != "2" || room.history[maxHistory-1].Text != fmt.Sprint(said-1) {
		t.Errorf("history is %+v", room.history)
	}

	ada := visit(t, host, "lobby", "name=Ada")
	ada.hears("welcome")
	ada.say("before")
	ada.hears("message")
	if e := visit(t, host, "lobby", "name=Late").hears("welcome"); len(e.History) != 1 || e.History[0].Text != "before" {
		t.Errorf("welcome is %+v", e)
	}
}

// A member whose page takes nothing is cut off, and holds up nobody meanwhile.
func TestSlowReader(t *testing.T) {
	c := new(chat)
	host := serveChat(t, c)
	slow, quick := visit(t, host, "lobby", "name=slow"), visit(t, host, "lobby", "name=quick")
	quick.hears("welcome")
	room := c.rooms["lobby"]
	text := strings.Repeat("x", maxText)
	const enough = 20_000 // some 80 MiB: more than all buffers on the way
	cut := false
	for range enough {
		room.say(&member{name: "somebody"}, text)
		e, err := ws.Receive[event](t.Context(), quick.conn)
		if err != nil {
			t.Fatal(err)
		}
		if cut = e.Type == "left" && e.Name == "slow"; cut {
			break
		}
	}
	if !cut {
		t.Fatal("the slow reader is still there")
	}
	for {
		if _, _, err := slow.conn.Read(t.Context()); err != nil {
			break // whatever has been on the way first
		}
	}
}

// serveChat serves c where the test can get at it.
func serveChat(t *testing.T, c *chat) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: routes(&ws.Handler{Serve: c.serve})}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return ln.Addr().String()
}

func TestRoomsAreBounded(t *testing.T) {
	c := new(chat)
	host := start(t)
	conn := visit(t, host, "elsewhere", "").conn
	guest := func() *member { return &member{conn: conn} }
	var last *room
	var in *member
	for i := range maxRooms {
		in = guest()
		if last = c.enter(fmt.Sprint(i), in); last == nil {
			t.Fatalf("room %d was refused", i)
		}
	}
	if c.enter("one more", guest()) != nil {
		t.Error("there is no bound")
	}
	last.leave(in)
	if c.enter("one more", guest()) == nil {
		t.Error("a deserted room was not given up")
	}
	if len(c.rooms) != maxRooms {
		t.Errorf("%d rooms", len(c.rooms))
	}
}

func TestBinaryIsRefused(t *testing.T) {
	v := visit(t, start(t), "lobby", "")
	if e := v.hears("welcome"); e.Name != "somebody" {
		t.Errorf("welcome is %+v", e)
	}
	if err := v.conn.Write(t.Context(), ws.Binary, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.conn.Read(t.Context()); ws.CloseStatus(err) != ws.StatusUnsupportedData {
		t.Errorf("got %v, want a close with 1003", err)
	}
}

func TestTidyName(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"Ada", "Ada"},
		{"  Ada Lovelace ", "Ada Lovelace"},
		{"", "somebody"},
		{" \t\n", "somebody"},
		{"a\x00b\u202ec", "abc"},
		{strings.Repeat("é", 30), strings.Repeat("é", maxName)},
		{strings.Repeat("x", maxName-1) + " yz", strings.Repeat("x", maxName-1)},
	} {
		if got := tidyName(test.in); got != test.want {
			t.Errorf("tidyName(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestPages(t *testing.T) {
	host := start(t)
	for path, want := range map[string]string{
		"/":                 "<!doctype html>", // by way of the lobby
		"/room/lobby":       "<!doctype html>",
		"/page/chat.js":     "WebSocket",
		"/page/chat.css":    "color-scheme",
		"/page/icon.svg":    "<svg",
		"/room/No%20Room":   "404",
		"/room/lobby/other": "404",
	} {
		resp, err := http.Get("http://" + host + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(body), want) {
			t.Errorf("%s has no %q: %.100s", path, want, body)
		}
		if resp.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s has no policy", path)
		}
	}
}

// A page of another site can't listen in with its visitor's browser.
func TestOtherOrigins(t *testing.T) {
	host := start(t)
	_, resp, err := ws.Dial(t.Context(), "ws://"+host+"/room/lobby/ws", &ws.DialOptions{
		Header: http.Header{"Origin": {"https://evil.example"}},
	})
	if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("got %v, %v; want 403", resp, err)
	}
}
