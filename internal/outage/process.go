//go:build unix

// Package outage has what befalls servers: for tests that kill them, freeze them
// and cut them off.
package outage

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// Process is a server of a test's own.
type Process struct {
	addr string
	line []string
	cmd  *exec.Cmd
}

// Start starts a program that is going to listen at addr, and ends it with the test.
func Start(t testing.TB, addr string, line ...string) *Process {
	t.Helper()
	p := &Process{addr: addr, line: line}
	p.Restart(t)
	t.Cleanup(p.Kill)
	return p
}

// Restart starts the program again after Kill.
func (p *Process) Restart(t testing.TB) {
	t.Helper()
	p.cmd = exec.Command(p.line[0], p.line[1:]...)
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := awaitListener(p.addr); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", p.line[0], err))
	}
}

func awaitListener(addr string) (err error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		var c net.Conn
		if c, err = net.Dial("tcp", addr); err == nil {
			return c.Close()
		}
		<-tick.C
	}
	return err
}

// Kill ends the program as a power cut would.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may be gone
	_ = p.cmd.Wait()
}

// Freeze stops the program until Thaw: its connections stay, and nobody answers.
func (p *Process) Freeze() { _ = p.cmd.Process.Signal(syscall.SIGSTOP) } // fails if it is gone

// Thaw lets the program go on.
func (p *Process) Thaw() { _ = p.cmd.Process.Signal(syscall.SIGCONT) } // as above

// FreeAddr returns an address of the loopback interface at which nobody listens.
func FreeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// Look finds a program, whose Debian package has its name. A test without it is
// skipped, unless INTEROP=required is set.
func Look(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
	case os.Getenv("INTEROP") == "required":
		t.Fatal(err)
	default:
		t.Skipf("%s is not installed: apt-get install %s", program, program)
	}
	return path
}
