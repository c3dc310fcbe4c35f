package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidewire/ws"
)

// asProgram has the test's own binary be the program.
const asProgram = "DEPLOY_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

const (
	clients = 8
	orders  = 500
	every   = 10 * time.Millisecond
)

// TestDeploy replaces both servers behind a proxy while clients send.
func TestDeploy(t *testing.T) {
	proxies := map[string]func(t *testing.T, front, a, b string) *exec.Cmd{
		"own": func(t *testing.T, front, a, b string) *exec.Cmd {
			return program("proxy", "-addr", front, a, b)
		},
		"haproxy": func(t *testing.T, front, a, b string) *exec.Cmd {
			cmd := exec.Command(installed(t, "haproxy"), "-f", config(t, "haproxy.cfg", "5s", "1s"))
			cmd.Env = append(os.Environ(), "FRONT="+front, "A="+a, "B="+b)
			return cmd
		},
		"nginx": func(t *testing.T, front, a, b string) *exec.Cmd {
			return exec.Command(installed(t, "nginx"), "-c", config(t, "nginx.conf", "5s", "1s",
				"FRONT", front, "BACKEND_A", a, "BACKEND_B", b, "DIR", t.TempDir()))
		},
	}
	for name, proxy := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			front, a, b := freeAddress(t), freeAddress(t), freeAddress(t)
			dir := t.TempDir()
			serve := func(addr, name string) *process {
				p := start(t, program("serve", "-addr", addr, "-journal", filepath.Join(dir, name), "-spread", "300ms", "-ping", "250ms"))
				p.answers(addr, addr)
				return p
			}
			serverA, serverB := serve(a, "a.txt"), serve(b, "b.txt")
			between := start(t, proxy(t, front, a, b))
			between.answers(front, a)
			between.answers(front, b)

			idle := connect(t, front)
			crowd := sendAll(t, "ws://"+front)
			wait(t, func() bool { return len(kept(t, dir)) >= clients*orders/3 })
			// The proxies' idle timeouts have passed: keepalive has held the line.
			if err := idle.Context().Err(); err != nil {
				t.Errorf("the idle connection ended: %v", context.Cause(idle.Context()))
			}
			serverA.terminate()
			serve(a, "a.txt")
			between.answers(front, a) // the proxy has noticed
			serverB.terminate()
			serve(b, "b.txt")
			crowd.finish(t)

			all := kept(t, dir)
			for c := range clients {
				for i := range orders {
					if o := order(c, i); !all[o] {
						t.Fatalf("%s was acknowledged and is lost", o)
					}
				}
			}
			if len(all) != clients*orders {
				t.Errorf("%d orders are kept, of %d", len(all), clients*orders)
			}
		})
	}
}

func order(client, i int) string {
	return fmt.Sprintf("c%d %d %q", client, i+1, fmt.Sprintf("order %d of c%d", i+1, client))
}

// kept returns the orders in all journals.
func kept(t *testing.T, dir string) map[string]bool {
	t.Helper()
	all := make(map[string]bool)
	for _, name := range []string{"a.txt", "b.txt"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			if line, whole := bytes.CutSuffix(line, []byte("\n")); whole {
				all[string(line)] = true
			}
		}
	}
	return all
}

// crowd is the clients and what happened to them.
type crowd struct {
	wg     sync.WaitGroup
	mu     sync.Mutex
	losses map[string]int // connections, by cause
}

func sendAll(t *testing.T, url string) *crowd {
	cr := &crowd{losses: make(map[string]int)}
	for i := range clients {
		s := newSender(fmt.Sprint("c", i), orders, every)
		cr.wg.Go(func() {
			err := s.run(t.Context(), &ws.Redialer{URL: url, MinBackoff: 50 * time.Millisecond, MaxBackoff: time.Second}, func(err error) {
				cr.mu.Lock()
				defer cr.mu.Unlock()
				cr.losses[ws.CauseLabel(err)]++
			})
			if err != nil || len(s.pending) > 0 {
				t.Errorf("client %d: %v, with %d orders left", i, err, len(s.pending))
			}
		})
	}
	return cr
}

// finish waits for all; whoever lost a connection has to have been told why.
func (cr *crowd) finish(t *testing.T) {
	t.Helper()
	cr.wg.Wait()
	t.Logf("losses: %v", cr.losses)
	for cause, n := range cr.losses {
		if cause != "close_1012" {
			t.Errorf("%d connections ended with %s", n, cause)
		}
	}
	if cr.losses["close_1012"] == 0 {
		t.Error("nobody was sent away")
	}
}

// connect opens a connection that is only read from.
func connect(t *testing.T, addr string) *ws.Conn {
	t.Helper()
	c, _, err := ws.Dial(t.Context(), "ws://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	c.CloseRead(t.Context())
	return c
}

// process is a program that ends with the test.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}
	err  error
	log  *output
}

// output keeps what a process writes, for when the test fails.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, done: make(chan struct{}), log: new(output)}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-p.done
		}
		if t.Failed() {
			t.Logf("%v:\n%s", cmd.Args, p.log.buf.String())
		}
	})
	return p
}

// terminate asks the program to end, and waits until it has done so in good order.
func (p *process) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
		if p.err != nil {
			p.t.Errorf("%v: %v", p.cmd.Args, p.err)
		}
	case <-time.After(30 * time.Second):
		p.t.Fatalf("%v doesn't end", p.cmd.Args)
	}
}

// answers waits until a server answers at addr, be it through the process.
func (p *process) answers(addr, server string) {
	p.t.Helper()
	wait(p.t, func() bool {
		select {
		case <-p.done:
			p.t.Fatalf("%v ended: %v", p.cmd.Args, p.err)
		default:
		}
		resp, err := http.Get("http://" + addr + "/health")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return err == nil && resp.StatusCode == http.StatusOK && strings.TrimSpace(string(body)) == server
	})
}

// wait looks again and again until it is so.
func wait(t *testing.T, so func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 1500 {
		if so() {
			return
		}
		<-tick.C
	}
	t.Fatal("waited in vain")
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// installed finds a program that Debian has in a folder which not everybody's path contains.
func installed(t *testing.T, name string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// config makes a copy of a configuration with some words replaced.
func config(t *testing.T, name string, replace ...string) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b strings.Builder
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "#") {
			b.WriteString(strings.NewReplacer(replace...).Replace(lines.Text()) + "\n")
		}
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
