//go:build linux

package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// profileMain puts a workload on one server and writes its CPU profile and its profile of all allocations.
func profileMain(args []string) error {
	f := flag.NewFlagSet("bench profile", flag.ContinueOnError)
	server := f.String("server", "ws", "the server to profile")
	workload := f.String("workload", "echo/binary/32B/100", "the workload to put on it")
	d := f.Duration("time", 5*time.Second, "for how long")
	dir := f.String("out", ".", "where cpu.prof and allocs.prof go")
	if err := f.Parse(args); err != nil {
		return err
	}
	o, err := parseOptions([]string{"-servers", *server, "-workloads", *workload})
	if err != nil {
		return err
	}
	if w := o.chosen[0]; len(o.chosen) > 1 || w.Shape == Memory || w.Shape == Clients {
		return fmt.Errorf("%q is not the name of one workload that keeps a server busy", *workload)
	}
	c := &contest{Workload: o.chosen[0], options: *o}
	x := &contestant{name: *server}
	defer x.stop()
	if err := c.start(x); err != nil {
		return err
	}
	return c.profile(x, *d, *dir)
}

func (c *contest) profile(x *contestant, d time.Duration, dir string) error {
	if _, err := c.window(x, d/5); err != nil {
		return err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	cpu, allocs := filepath.Join(dir, "cpu.prof"), filepath.Join(dir, "allocs.prof")
	if _, err := x.server.Ask("profile "+cpu, time.Minute); err != nil {
		return err
	}
	r, err := c.window(x, d)
	if err != nil {
		return err
	}
	for _, line := range []string{"stop", "allocs " + allocs} {
		if _, err := x.server.Ask(line, time.Minute); err != nil {
			return err
		}
	}
	fmt.Printf("%s, %s: %d messages, %.2f µs of CPU each\n", x.name, c.Name, r.Messages,
		float64(r.CPU.Microseconds())/float64(r.Messages))
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Printf("go tool pprof -top %s\ngo tool pprof -top -sample_index=alloc_objects %s\n(the program: %s)\n", cpu, allocs, self)
	return nil
}
