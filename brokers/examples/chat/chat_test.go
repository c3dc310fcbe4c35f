package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/examples/chat/app"
	"github.com/tidewire/ws/hub/client"
	"github.com/tidewire/ws/router"
)

func TestNodes(t *testing.T) {
	for name, engines := range map[string]func(*testing.T) []engine{
		"alone": func(*testing.T) []engine { return []engine{{}} },
		"redis": func(t *testing.T) []engine {
			e := engine{redis: startProcess(t, "redis-server", "--save", "", "--port")}
			return []engine{e, e}
		},
		"cluster": func(t *testing.T) []engine {
			var routes []string
			for range 3 {
				routes = append(routes, freeAddress(t))
			}
			var es []engine
			for _, at := range routes {
				es = append(es, engine{cluster: at, routes: routes, dir: t.TempDir()})
			}
			return es
		},
		"nats": func(t *testing.T) []engine {
			e := engine{nats: "nats://" + startProcess(t, "nats-server", "-a", "127.0.0.1", "-js", "-sd", t.TempDir(), "-p")}
			return []engine{e, e}
		},
	} {
		t.Run(name, func(t *testing.T) { converse(t, startNodes(t, engines(t))) })
	}
}

// converse has ada and grace, on different nodes, talk; ada comes back to grace's.
func converse(t *testing.T, hosts []string) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	here, there := hosts[0], hosts[len(hosts)-1]
	ada, heardByAda, leave := visit(ctx, t, here, "Ada")
	grace, heardByGrace, _ := visit(ctx, t, there, "Grace")
	lobby := ada.Join("lobby", nil)
	graces := grace.Join("lobby", nil)
	for _, r := range []*client.Room{lobby, graces} {
		if err := r.Joined(ctx); err != nil {
			t.Fatal(err)
		}
	}
	say(ctx, t, lobby, "hello")
	hears(ctx, t, heardByGrace, "hello")
	hears(ctx, t, heardByAda, "hello")
	for len(graces.Members()) != 2 {
		if ctx.Err() != nil {
			t.Fatalf("grace sees %v", graces.Members())
		}
		time.Sleep(time.Millisecond)
	}
	at := lobby.Position()
	leave()
	say(ctx, t, graces, "are you there?")
	ada, heardByAda, _ = visit(ctx, t, there, "Ada")
	ada.Join("lobby", &client.JoinOptions{Since: at})
	hears(ctx, t, heardByAda, "are you there?")
}

func say(ctx context.Context, t *testing.T, r *client.Room, text string) {
	t.Helper()
	if _, err := r.Publish(ctx, "said", app.Say{Text: text}); err != nil {
		t.Fatal(err)
	}
}

func hears(ctx context.Context, t *testing.T, heard chan string, text string) {
	t.Helper()
	select {
	case got := <-heard:
		if got != text {
			t.Errorf("heard %q, want %q", got, text)
		}
	case <-ctx.Done():
		t.Fatalf("nobody said %q", text)
	}
}

// visit returns somebody's client, what it hears, and what ends it.
func visit(ctx context.Context, t *testing.T, host, name string) (c *client.Client, heard chan string, leave func()) {
	heard = make(chan string, 100)
	c = client.New(router.New(), &client.Options{Redialer: ws.Redialer{URL: fmt.Sprintf("ws://%s/ws?name=%s", host, name)}})
	client.On(c, "said", func(_ context.Context, e client.Event[app.Said]) error {
		heard <- e.Data.Text
		return nil
	})
	ctx, cancel := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()
	leave = func() {
		cancel()
		<-ran
		ran <- nil
	}
	t.Cleanup(leave)
	return c, heard, leave
}

// startNodes runs a node with each of the engines, and returns their hosts and ports.
func startNodes(t *testing.T, engines []engine) (hosts []string) {
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, len(engines))
	for _, e := range engines {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, ln.Addr().String())
		go func() { ran <- e.run(ctx, ln) }()
	}
	t.Cleanup(func() {
		cancel()
		for range engines {
			if err := <-ran; err != nil {
				t.Errorf("run: %v", err)
			}
		}
	})
	return hosts
}

func freeAddress(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// startProcess starts a server whose last argument is the port, and returns where it is.
func startProcess(t *testing.T, program string, args ...string) string {
	path, err := exec.LookPath(program)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + program); err != nil {
			if os.Getenv("INTEROP") == "required" {
				t.Fatalf("%s is not installed", program)
			}
			t.Skipf("%s is not installed: apt-get install %s", program, program)
		}
	}
	addr := freeAddress(t)
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, append(args, port)...)
	cmd.Dir = t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for range 1000 {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			return addr
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s does not listen", program)
	return ""
}
