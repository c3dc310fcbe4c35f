//go:build linux

package proc

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A Tracer counts the system calls of a running process, by strace.
type Tracer struct {
	cmd *exec.Cmd
	out string // the file of strace's summary
}

// Trace attaches strace to process pid and all its threads. It returns once strace says that it has attached.
func Trace(pid int) (*Tracer, error) {
	out, err := os.CreateTemp("", "bench-strace-")
	if err != nil {
		return nil, err
	}
	out.Close()
	cmd := exec.Command("strace", "-c", "-f", "-o", out.Name(), "-p", strconv.Itoa(pid))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := &Tracer{cmd: cmd, out: out.Name()}
	attached := make(chan bool, 1)
	go watchAttach(stderr, attached)
	select {
	case ok := <-attached:
		if ok {
			return t, nil
		}
	case <-time.After(5 * time.Second):
	}
	t.Stop()
	return nil, fmt.Errorf("strace could not attach to process %d", pid)
}

// watchAttach reads strace's messages to their end and says true once one tells that it has attached, false at the end.
func watchAttach(stderr io.Reader, attached chan<- bool) {
	said := false
	for s := bufio.NewScanner(stderr); s.Scan(); {
		if !said && strings.Contains(s.Text(), "attached") {
			said = true
			attached <- true
		}
	}
	if !said {
		attached <- false
	}
}

// Stop detaches and returns how often each system call was made.
func (t *Tracer) Stop() (map[string]int, error) {
	defer os.Remove(t.out)
	t.cmd.Process.Signal(os.Interrupt)
	kill := time.AfterFunc(5*time.Second, func() { t.cmd.Process.Kill() })
	t.cmd.Wait() // strace ends by the signal it was given: its status says nothing
	kill.Stop()
	b, err := os.ReadFile(t.out)
	if err != nil {
		return nil, err
	}
	return parseSummary(b), nil
}

// parseSummary reads the table of strace -c: % time, seconds, usecs/call, calls, errors (may be blank), name.
func parseSummary(b []byte) map[string]int {
	counts := map[string]int{}
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) < 5 || f[len(f)-1] == "total" {
			continue
		}
		if n, err := strconv.Atoi(f[3]); err == nil {
			counts[f[len(f)-1]] += n
		}
	}
	return counts
}
