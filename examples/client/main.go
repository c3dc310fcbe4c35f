// Command client is a Go client of examples/rpc: it prints what is said there, and
// says what it reads. An empty line tells the others that you are writing.
//
//	go run ./examples/rpc &
//	go run ./examples/client -name ada
package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/router"
)

// What this client knows of the server's messages; members that it doesn't
// name are ignored.
type (
	post struct {
		Text string `json:"text"`
	}
	receipt struct {
		ID int `json:"id"`
	}
	since struct {
		ID int `json:"id"`
	}
	message struct {
		From string `json:"from"`
		Text string `json:"text"`
	}
	typing struct {
		From string `json:"from"`
	}
	none struct{}
)

func main() {
	server := flag.String("server", "http://localhost:8080", "`URL` of the chat")
	name := flag.String("name", cmp.Or(os.Getenv("USER"), "gopher"), "who you are")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := chat(ctx, *server, *name, os.Stdin, os.Stdout); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

// chat talks until in or the connection ends.
func chat(ctx context.Context, server, name string, in io.Reader, out io.Writer) error {
	c, err := dial(ctx, server, name)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	show := log.New(out, "", 0) // safe for concurrent use, as out may not be
	r := router.New()
	router.On(r, "typing", func(_ context.Context, who typing) error {
		show.Printf("%s is writing ...", who.From)
		return nil
	})
	writing := router.Emits[none](r, "typing")

	served := make(chan error, 1)
	go func() { served <- r.Serve(ctx, c) }() // replies are read here, and events
	go follow(ctx, c, show)
	lines := read(c.Context(), in)
	for {
		select {
		case err := <-served:
			return err
		case line, more := <-lines:
			switch {
			case !more:
				return c.Close(ctx, ws.StatusNormal, "")
			case line == "":
				err = writing.Send(ctx, c, none{})
			default:
				err = say(ctx, c, show, line)
			}
			if err != nil {
				return err
			}
		}
	}
}

// dial signs in, and connects with the cookie that this gave.
func dial(ctx context.Context, server, name string) (*ws.Conn, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	browser := http.Client{Jar: jar}
	resp, err := browser.PostForm(server+"/sign-in", url.Values{"name": {name}})
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return nil, fmt.Errorf("sign in: %s", resp.Status)
	}
	c, _, err := ws.Dial(ctx, server+"/ws", &ws.DialOptions{Jar: jar})
	return c, err
}

// follow shows all messages, from the first one.
func follow(ctx context.Context, c *ws.Conn, show *log.Logger) {
	for m, err := range router.Items[message](ctx, c, "messages", since{}) {
		if err != nil {
			if c.Context().Err() == nil {
				show.Print(err)
			}
			return
		}
		show.Printf("%s: %s", m.From, m.Text)
	}
}

// say posts a line. That the server refuses one is no reason to end.
func say(ctx context.Context, c *ws.Conn, show *log.Logger, line string) error {
	_, err := router.Call[receipt](ctx, c, "post", post{line})
	var refused *router.Error
	if errors.As(err, &refused) {
		show.Printf("%s: %v", refused.Message, refused.Details)
		return nil
	}
	return err
}

// read returns in's lines, until ctx ends.
func read(ctx context.Context, in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}
