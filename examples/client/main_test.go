package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startServer builds examples/rpc and runs it until the test ends.
func startServer(t *testing.T) (url string) {
	t.Helper()
	sources, err := filepath.Glob("../rpc/*")
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	for _, name := range sources { // so that the go command knows that this test's result depends on them
		if _, err := os.Stat(name); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(t.TempDir(), "rpc.exe")
	if b, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", program, "../rpc").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	cmd := exec.Command(program, "-addr", "127.0.0.1:0")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(log).ReadString('\n')
	at := strings.Index(line, "http://")
	if err != nil || at < 0 {
		t.Fatalf("%q, %v", line, err)
	}
	return strings.TrimSpace(line[at:])
}

// terminal is where somebody chats.
type terminal struct {
	t     *testing.T
	in    *io.PipeWriter
	out   *bufio.Scanner
	ended chan error
}

func open(t *testing.T, ctx context.Context, server, name string) *terminal {
	in, keys := io.Pipe()
	screen, out := io.Pipe()
	term := &terminal{t: t, in: keys, out: bufio.NewScanner(screen), ended: make(chan error, 1)}
	go func() { term.ended <- errors.Join(chat(ctx, server, name, in, out), out.Close()) }()
	return term
}

func (term *terminal) enter(line string) {
	term.t.Helper()
	if _, err := io.WriteString(term.in, line+"\n"); err != nil {
		term.t.Fatal(err)
	}
}

func (term *terminal) want(line string) {
	term.t.Helper()
	if !term.out.Scan() {
		term.t.Fatalf("the end instead of %q: %v", line, term.out.Err())
	}
	if got := term.out.Text(); got != line {
		term.t.Errorf("got %q, want %q", got, line)
	}
}

func TestChat(t *testing.T) {
	server := startServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ada := open(t, ctx, server, "ada")
	ada.enter("hello")
	ada.want("ada: hello")
	bob := open(t, ctx, server, "bob")
	bob.want("ada: hello")
	bob.enter("")
	ada.want("bob is writing ...")
	bob.enter("  ") // the server wants more than that
	bob.want("text: must have 1 to 500 bytes: [map[field:text message:must have 1 to 500 bytes]]")
	bob.enter("hi")
	for _, term := range []*terminal{ada, bob} {
		term.want("bob: hi")
		_ = term.in.Close()
		if err := <-term.ended; err != nil {
			t.Error(err)
		}
	}
	if err := chat(ctx, server, "", strings.NewReader(""), io.Discard); err == nil || err.Error() != "sign in: 400 Bad Request" {
		t.Error(err)
	}
}
