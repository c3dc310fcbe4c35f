package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

// fleet is the nodes, each a process that can be killed and started again.
type fleet struct {
	self  string // this program
	cfgs  []nodeConfig
	procs []*process     // nil: it is down
	lives []atomic.Int64 // how often each has been killed
}

type process struct {
	cmd *exec.Cmd
	in  io.Closer
}

func startFleet(o options, e *engine) (*fleet, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f := &fleet{self: self, procs: make([]*process, o.Nodes), lives: make([]atomic.Int64, o.Nodes)}
	for i, addr := range freeAddrs(o.Nodes) {
		f.cfgs = append(f.cfgs, nodeConfig{Addr: addr, Engine: e.of(i), Heartbeat: o.Heartbeat, Verbose: o.Verbose})
	}
	var wg sync.WaitGroup // at once: servers of a cluster wait for each other
	errs := make([]error, o.Nodes)
	for i := range o.Nodes {
		wg.Go(func() { errs[i] = f.start(i) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

// start starts a node and waits until it serves.
func (f *fleet) start(i int) error {
	config, err := json.Marshal(f.cfgs[i])
	if err != nil {
		return err
	}
	cmd := exec.Command(f.self, "node", string(config)) //nolint:gosec // this program, again
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	f.procs[i] = &process{cmd, in}
	late := time.AfterFunc(startTimeout, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		return fmt.Errorf("node %d: it said %q, and is not ready", i, line)
	}
	return nil
}

// kill ends a node as a power cut would.
func (f *fleet) kill(i int) {
	p := f.procs[i]
	if p == nil {
		return
	}
	f.lives[i].Add(1)
	_ = p.cmd.Process.Kill() // it may be gone
	_ = p.cmd.Wait()
	p.in.Close()
	f.procs[i] = nil
}

func (f *fleet) stop() {
	for i := range f.procs {
		f.kill(i)
	}
}

// life is a node from its start to its end.
type life struct {
	node int
	n    int64
}

// any picks a node: a dead one, too, as who has lost its connection doesn't know.
func (f *fleet) any() life {
	i := rand.IntN(len(f.cfgs))
	return life{i, f.lives[i].Load()}
}

func (f *fleet) over(l life) bool { return f.lives[l.node].Load() != l.n }

func (f *fleet) url(l life, name string) string {
	return "ws://" + f.cfgs[l.node].Addr + "/?name=" + name
}
