package app

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/hub"
	"github.com/tidewire/ws/hub/client"
	"github.com/tidewire/ws/router"
	"github.com/tidewire/ws/router/schema"
)

var update = flag.Bool("update", false, "write the page's client anew")

// The client that is embedded is the one that the chat's messages make.
func TestClientIsUpToDate(t *testing.T) {
	c, err := New(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	typescript, err := c.router.TypeScript()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"page/client.ts": typescript, "page/client.js": schema.JavaScript()} {
		if *update {
			if err := os.WriteFile(name, want, 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := page.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not up to date: go test ./examples/chat/app -update (%v)", name, err)
		}
	}
}

// start runs the chat until the test is over and returns its host and port.
func start(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- Run(ctx, ln, nil) }()
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
	*client.Client
	said   chan client.Event[Said]
	typing chan client.Event[Typing]
	seen   chan client.Change
}

func visit(t *testing.T, host, query string) visitor {
	v := visitor{t, nil, make(chan client.Event[Said], 100), make(chan client.Event[Typing], 100), make(chan client.Change, 100)}
	v.Client = client.New(router.New(), &client.Options{
		Redialer: ws.Redialer{URL: "ws://" + host + "/ws?" + query},
		Presence: func(_ *client.Room, c client.Change) { v.seen <- c },
	})
	client.On(v.Client, "said", func(_ context.Context, e client.Event[Said]) error {
		v.said <- e
		return nil
	})
	client.On(v.Client, "typing", func(_ context.Context, e client.Event[Typing]) error {
		v.typing <- e
		return nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- v.Client.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ran
	})
	return v
}

func (v visitor) enter(room string) *client.Room {
	v.Helper()
	r := v.Join(room, &client.JoinOptions{Recent: 50})
	if err := r.Joined(v.Context()); err != nil {
		v.Fatal(err)
	}
	return r
}

func (v visitor) hears(room, name, text string) {
	v.Helper()
	e := next(v, v.said)
	if e.Room.Name() != room || e.Data.Name != name || e.Data.Text != text || e.Data.At.IsZero() {
		v.Errorf("heard %+v in %s, want %s from %s in %s", e.Data, e.Room.Name(), text, name, room)
	}
}

func next[T any](v visitor, from chan T) (got T) {
	v.Helper()
	select {
	case got = <-from:
	case <-time.After(10 * time.Second):
		v.Fatal("nothing comes")
	}
	return got
}

func TestConversation(t *testing.T) {
	host := start(t)
	ada, grace := visit(t, host, "name=Ada"), visit(t, host, "name=%20Grace%00%20")
	lobby := ada.enter("lobby")
	next(ada, ada.seen)
	if _, err := lobby.Publish(t.Context(), "said", Say{"  Hello <3 "}); err != nil {
		t.Error(err)
	}
	ada.hears("lobby", "Ada", "Hello <3")
	graces := grace.enter("lobby")
	grace.hears("lobby", "Ada", "Hello <3") // history
	if c := next(ada, ada.seen); len(c.Joined) != 1 || c.Joined[0].ID != "Grace" {
		t.Errorf("ada sees %+v", c)
	}
	if ms := lobby.Members(); len(ms) != 2 {
		t.Errorf("members are %v", ms)
	}

	grace.enter("typing:lobby")
	beside := ada.enter("typing:lobby")
	if _, err := beside.Publish(t.Context(), "typing", None{}); err != nil {
		t.Error(err)
	}
	if e := next(grace, grace.typing); e.Data.Name != "Ada" || e.Room.Name() != "typing:lobby" {
		t.Errorf("typing is %+v", e)
	}

	gophers := grace.enter("gophers")
	for _, r := range []*client.Room{gophers, graces} {
		if _, err := r.Publish(t.Context(), "said", Say{"in " + r.Name()}); err != nil {
			t.Error(err)
		}
	}
	ada.hears("lobby", "Grace", "in lobby") // and nothing of gophers
	graces.Leave()
	if c := next(ada, ada.seen); len(c.Left) != 1 || c.Left[0].ID != "Grace" {
		t.Errorf("ada sees %+v", c)
	}
}

func TestRefusals(t *testing.T) {
	v := visit(t, start(t), "")
	lobby := v.enter("lobby")
	for text, code := range map[string]string{" ": router.Invalid, strings.Repeat("x", maxText+1): router.Invalid, strings.Repeat("é", maxText): ""} {
		_, err := lobby.Publish(t.Context(), "said", Say{text})
		if e := (*router.Error)(nil); errors.As(err, &e) != (code != "") || e != nil && e.Code != code {
			t.Errorf("%.10q: %v, want %q", text, err, code)
		}
	}
	if e := next(v, v.said); e.Data.Name != "somebody" {
		t.Errorf("said by %q", e.Data.Name)
	}
	for _, name := range []string{"No Room", "typing:", "typing:A", strings.Repeat("x", 33)} {
		var e *router.Error
		if err := v.Join(name, nil).Joined(t.Context()); !errors.As(err, &e) || e.Code != router.NotFound {
			t.Errorf("%s: %v", name, err)
		}
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
		"/page/chat.js":     "client.js",
		"/page/client.js":   "class Client",
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
		_ = resp.Body.Close()
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
	_, resp, err := ws.Dial(t.Context(), "ws://"+host+"/ws", &ws.DialOptions{Header: http.Header{"Origin": {"https://evil.example"}}})
	if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("got %v, %v; want 403", resp, err)
	}
}

// starting is a broker that never gets to its servers.
type starting struct{ hub.Broker }

func (starting) Start(ctx context.Context, _ hub.Receiver) error {
	<-ctx.Done()
	return ctx.Err()
}

// A node that is stopped while it is still looking for the others hasn't failed.
func TestStoppedWhileStarting(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := Run(ctx, nil, starting{}); err != nil {
		t.Error(err)
	}
}
