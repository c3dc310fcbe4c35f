package main

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/examples/chat/app"
	"github.com/tidewire/ws/hub/client"
	"github.com/tidewire/ws/router"
)

// Four visitors, of whom nginx gives some to each node, hear each other.
func TestDemo(t *testing.T) {
	if _, err := lookNginx(); err != nil {
		if os.Getenv("INTEROP") == "required" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	ran := make(chan error, 1)
	go func() { ran <- run(ctx, t.TempDir(), addr, "") }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	heard := make(chan string, 100)
	for name := range strings.SplitSeq("ABCD", "") {
		c := client.New(router.New(), &client.Options{Redialer: ws.Redialer{URL: "ws://" + addr + "/ws?name=" + name, MaxBackoff: time.Second}})
		client.On(c, "said", func(_ context.Context, e client.Event[app.Said]) error {
			heard <- e.Data.Name + " to " + name
			return nil
		})
		go c.Run(ctx)
		lobby := c.Join("lobby", &client.JoinOptions{Recent: 10})
		if _, err := lobby.Publish(ctx, "said", app.Say{Text: "hello"}); err != nil {
			t.Fatal(err)
		}
	}
	all := make(map[string]bool)
	for len(all) < 16 {
		select {
		case what := <-heard:
			all[what] = true
		case <-ctx.Done():
			t.Fatalf("heard only %v", all)
		}
	}
}
