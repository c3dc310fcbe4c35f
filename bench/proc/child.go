//go:build linux

package proc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// ErrUnsupported means that a child said it has no such mode.
var ErrUnsupported = errors.New("unsupported")

// A Child is a process that talks in lines: "ready ..." on its standard output once it is, then one line of answer to each
// line on its standard input, whose end tells it to exit. A Child is for one goroutine.
type Child struct {
	Ready string // what stood behind "ready"
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // closed at the end of the child's output
}

// Start starts cmd and waits for its first line. Its standard error is passed through.
func Start(cmd *exec.Cmd) (*Child, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &Child{cmd: cmd, in: in, lines: make(chan string, 16)}
	go c.scan(out)
	line, err := c.line(30 * time.Second)
	if err == nil {
		c.Ready, err = readyLine(line)
	}
	if err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

func readyLine(line string) (string, error) {
	if line == "unsupported" {
		return "", ErrUnsupported
	}
	if text, ok := strings.CutPrefix(line, "error: "); ok {
		return "", errors.New(text)
	}
	rest, ok := strings.CutPrefix(line, "ready")
	if !ok {
		return "", fmt.Errorf("first line %q, want \"ready ...\"", line)
	}
	return strings.TrimSpace(rest), nil
}

// PID is the child's process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Ask sends a line and returns the child's answer. An answer that begins with "error: " comes back as an error.
func (c *Child) Ask(line string, timeout time.Duration) (string, error) {
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		return "", fmt.Errorf("child has gone: %w", err)
	}
	answer, err := c.line(timeout)
	if err != nil {
		return "", fmt.Errorf("%q: %w", line, err)
	}
	if text, ok := strings.CutPrefix(answer, "error: "); ok {
		return "", errors.New(text)
	}
	return answer, nil
}

// Stop closes the child's input, waits a moment for it to exit, and kills it if it doesn't.
func (c *Child) Stop() {
	c.in.Close()
	kill := time.AfterFunc(2*time.Second, func() { c.cmd.Process.Kill() })
	for range c.lines { // up to the end of its output, or Wait would cut the reader off
	}
	c.cmd.Wait()
	kill.Stop()
}

func (c *Child) scan(out io.Reader) {
	defer close(c.lines)
	for s := bufio.NewScanner(out); s.Scan(); {
		c.lines <- s.Text()
	}
}

func (c *Child) line(timeout time.Duration) (string, error) {
	select {
	case line, ok := <-c.lines:
		if !ok {
			return "", errors.New("the process has ended")
		}
		return line, nil
	case <-time.After(timeout):
		return "", fmt.Errorf("no answer in %v", timeout)
	}
}
