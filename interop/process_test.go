package interop

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a peer may take for a step.
const patience = 60 * time.Second

// need returns the first of the paths that exists, or skips the test.
func need(t *testing.T, hint string, paths ...string) string {
	t.Helper()
	for _, p := range paths {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	if os.Getenv("INTEROP") == "required" {
		t.Fatalf("%s is missing: %s", paths[0], hint)
	}
	t.Skipf("%s is missing: %s", paths[0], hint)
	return ""
}

func node(t *testing.T) string {
	need(t, "run `npm ci` in interop", "node_modules/ws")
	return need(t, "install Node.js 20 or later", "node")
}

func python(t *testing.T) string {
	need(t, "run `apt-get install python3-websockets`", "/usr/lib/python3/dist-packages/websockets")
	return need(t, "run `apt-get install python3`", "/usr/bin/python3")
}

func chromium(t *testing.T) string {
	need(t, "run `npm ci` in interop", "node_modules/playwright-core")
	return need(t, "run `apt-get install chromium`", "chromium")
}

// process is a peer that runs.
type process struct {
	*testing.T
	name   string
	stop   func() // ends it, and waits until it has
	kill   func() // the same, giving it no time for anything
	stdin  io.Writer
	lines  chan string // of its standard output; closed at its end
	ended  chan struct{}
	err    error // how it has ended, once it has
	stderr lockedBuffer
}

// start starts a program that ends with the test at the latest.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	p := &process{T: t, name: name, lines: make(chan string, 100), ended: make(chan struct{})}
	cmd.Stderr = &p.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(stdout); s.Scan(); {
			p.lines <- s.Text()
		}
		close(p.lines)
		p.err = cmd.Wait()
		close(p.ended)
	}()
	p.stop = func() {
		cancel()
		<-p.ended
	}
	p.kill = func() {
		_ = cmd.Process.Kill()
		<-p.ended
	}
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, p.stderr.String())
		}
	})
	return p
}

// line returns the next line that the process prints; false if it ends instead.
func (p *process) line() (string, bool) {
	p.Helper()
	select {
	case s, ok := <-p.lines:
		return s, ok
	case <-time.After(patience):
		p.Fatalf("%s has been silent for %v", p.name, patience)
		return "", false
	}
}

// says waits for the next line of a process that must not end.
func (p *process) says() string {
	p.Helper()
	s, ok := p.line()
	if !ok {
		p.Fatalf("%s has ended", p.name)
	}
	return s
}

// succeeds waits for the end of a process, which has to exit with 0.
func (p *process) succeeds() {
	p.Helper()
	select {
	case <-p.ended:
		if p.err != nil {
			p.Errorf("%s: %v", p.name, p.err)
		}
	case <-time.After(patience):
		p.Errorf("%s does not end", p.name)
	}
}

// terminate ends a process of ours, which has to do so of its own accord.
func (p *process) terminate() {
	p.Helper()
	p.stop()
	if p.err != nil && !errors.Is(p.err, context.Canceled) {
		p.Errorf("%s, told to end: %v", p.name, p.err)
	}
}

// lockedBuffer is a buffer that is written and read by two goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
