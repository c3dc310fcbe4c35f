//go:build linux

package proc

import (
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestCPUTime(t *testing.T) {
	before, err := CPUTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); time.Since(start) < 20*time.Millisecond; {
	}
	after, err := CPUTime(0)
	if err != nil {
		t.Fatal(err)
	}
	// A machine that is shared may have given this process little of those 20 ms, but never nothing.
	if after <= before {
		t.Errorf("CPU time went from %v to %v", before, after)
	}
	if _, err := CPUTime(1 << 22); err == nil { // the first number that no process can have
		t.Error("no error for a process that isn't there")
	}
}

func TestRSS(t *testing.T) {
	before, err := RSS(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// Not Go's own memory, of which the race detector keeps a shadow.
	block, err := unix.Mmap(-1, 0, 64<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_POPULATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(block)
	after, err := RSS(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if grown := after - before; grown < 60<<20 || grown > 80<<20 {
		t.Errorf("RSS grew by %d for %d bytes", grown, len(block))
	}
}

func TestParseSummary(t *testing.T) {
	const summary = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000600           6       100        10 read
 40.00    0.000400           4       120           write
------ ----------- ----------- --------- --------- ----------------
100.00    0.001000           4       220        10 total
`
	if got, want := parseSummary([]byte(summary)), map[string]int{"read": 100, "write": 120}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAnswer(t *testing.T) {
	commands := Commands{"double": func(arg string) (string, error) { return arg + arg, nil }}
	var out strings.Builder
	if err := Answer(strings.NewReader("double ab\nhalf x\n"), &out, "127.0.0.1:1", commands); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "ready 127.0.0.1:1\nabab\nerror: no command half\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestChild(t *testing.T) {
	c, err := Start(exec.Command("sh", "-c", `echo ready here; while read line; do echo "error: $line"; done`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Ready != "here" {
		t.Errorf("ready %q, want %q", c.Ready, "here")
	}
	if _, err := c.Ask("what", time.Minute); err == nil || err.Error() != "what" {
		t.Errorf("error %v, want %q", err, "what")
	}
	c.Stop()
	if _, err := c.Ask("what", time.Minute); err == nil {
		t.Error("a stopped child answered")
	}
}

func TestStartFails(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{"echo unsupported", ErrUnsupported.Error()},
		{"echo error: no port", "no port"},
		{"echo hello", `first line "hello"`},
		{"exit 1", "ended"},
	} {
		_, err := Start(exec.Command("sh", "-c", c.script))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.script, err, c.want)
		}
	}
}
