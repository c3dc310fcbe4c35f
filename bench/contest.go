//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/tidewire/ws/bench/load"
	"github.com/tidewire/ws/bench/peer"
	"github.com/tidewire/ws/bench/proc"
)

// Metric is what is measured.
type Metric string

const (
	CPU      Metric = "CPU"                    // nanoseconds a message
	Allocs   Metric = "allocations"            // a message
	Calls    Metric = "system calls"           // a message
	Wire     Metric = "bytes on the wire"      // a message, server to client
	Opened   Metric = "RSS, opened"            // bytes a connection
	Spoken   Metric = "RSS, after a message"   // bytes a connection, garbage collected
	Garbage  Metric = "RSS, before collecting" // the same, as found
	LoadTime Metric = "CPU of the load"        // nanoseconds a message
)

// metrics are all of them, in the order of the report.
var metrics = []Metric{CPU, Allocs, Calls, Wire, Opened, Spoken, Garbage, LoadTime}

// A contestant is a server, or for Clients a client, in one workload.
type contestant struct {
	name    string
	server  *proc.Child // nil while it isn't running
	driver  *proc.Child // load generator or client; nil while it isn't running
	asks    *proc.Child // the one of them that is measured
	counts  bool        // it can say how much it has allocated
	base    int64       // RSS before the first connection
	samples map[Metric][]float64
	err     error // why it's out
}

// A contest runs one workload over all contestants, in rounds.
type contest struct {
	Workload
	options
	contestants []*contestant
}

// warmUp is how many turns go by before one counts.
const warmUp = 5

// run measures, and reports each contestant's samples through its fields. Contestants that don't support the workload drop
// out without an error.
func (c *contest) run() {
	defer c.stop()
	if c.Shape == Memory {
		c.rounds(1, c.idle) // memory hardly varies, and each round starts new processes
		return
	}
	c.each(c.start)
	c.each(func(x *contestant) error { _, err := c.window(x, warmUp*c.Time); return err })
	if c.Shape == Traffic {
		c.each(c.measureTraffic)
	}
	c.rounds(c.Rounds, c.measure)
	if c.Syscalls {
		c.each(c.trace)
	}
}

// rounds calls f for each contestant n times, starting each round with another one.
func (c *contest) rounds(n int, f func(*contestant) error) {
	for round := range n {
		for i := range c.contestants {
			c.attempt(c.contestants[(i+round)%len(c.contestants)], f)
		}
		for _, x := range c.contestants {
			x.fillUp(round + 1)
		}
	}
}

func (c *contest) each(f func(*contestant) error) {
	for _, x := range c.contestants {
		c.attempt(x, f)
	}
}

func (c *contest) attempt(x *contestant, f func(*contestant) error) {
	if x.err != nil {
		return
	}
	if x.err = f(x); x.err != nil {
		x.stop()
	}
}

// fillUp gives x a NaN for each metric that it has no sample of in a round, so that rounds stay aligned.
func (x *contestant) fillUp(rounds int) {
	for m, s := range x.samples {
		for len(s) < rounds {
			s = append(s, math.NaN())
		}
		x.samples[m] = s
	}
}

func (x *contestant) add(m Metric, v float64) {
	if x.samples == nil {
		x.samples = map[Metric][]float64{}
	}
	x.samples[m] = append(x.samples[m], v)
}

func (x *contestant) stop() {
	for _, child := range []*proc.Child{x.driver, x.server} {
		if child != nil {
			child.Stop()
		}
	}
	x.driver, x.server, x.asks = nil, nil, nil
}

func (c *contest) stop() {
	for _, x := range c.contestants {
		x.stop()
	}
}

// start starts the contestant's server and the process that drives it.
func (c *contest) start(x *contestant) error {
	if err := c.startServer(x); err != nil {
		return err
	}
	spec := c.Load
	spec.Addr, spec.PID = x.server.Ready, x.server.PID()
	args := []string{"load"}
	if c.Shape == Clients {
		spec.PID = 0
		args = []string{"client", x.name}
	} else if s := c.find(x.name); s != nil {
		spec.Raw = s.Role == peer.Floor
	}
	var err error
	if x.driver, err = startSelf(append(args, encode(spec))); err != nil {
		return err
	}
	if c.Shape == Clients {
		x.asks = x.driver
	}
	return nil
}

func (c *contest) startServer(x *contestant) (err error) {
	name := x.name
	if c.Shape == Clients {
		name = c.Against
	}
	s := c.find(name)
	if s.Command != nil {
		x.server, err = proc.Start(command(s.Command, c.Server))
	} else {
		x.server, err = startSelf([]string{"serve", name, encode(c.Server)})
	}
	if err != nil {
		return err
	}
	x.asks, x.counts = x.server, s.Command == nil
	x.base, err = c.settledRSS(x)
	return err
}

// startSelf starts this program as a child.
func startSelf(args []string) (*proc.Child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return proc.Start(exec.Command(self, args...))
}

// command is a server that isn't part of this program; it gets its configuration from the environment.
func command(line []string, cfg peer.Config) *exec.Cmd {
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), "BENCH_MODE="+string(cfg.Mode), "BENCH_BURST="+strconv.Itoa(cfg.Burst))
	if cfg.Chi {
		cmd.Env = append(cmd.Env, "BENCH_CHI=1")
	}
	if cfg.TLS {
		cmd.Env = append(cmd.Env, "BENCH_TLS=1")
	}
	return cmd
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a struct of strings, numbers and booleans
	}
	return string(b)
}

// window has the contestant driven for d.
func (c *contest) window(x *contestant, d time.Duration) (r load.Result, err error) {
	answer, err := x.driver.Ask("run "+d.String(), d+time.Minute)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(answer), &r); err != nil {
		return r, err
	}
	if r.Messages == 0 {
		return r, errors.New("no message in a whole window")
	}
	return r, nil
}

// measure takes one sample of everything that a window tells.
func (c *contest) measure(x *contestant) error {
	before, err := x.mallocs()
	if err != nil {
		return err
	}
	r, err := c.window(x, c.Time)
	if err != nil {
		return err
	}
	after, err := x.mallocs()
	if err != nil {
		return err
	}
	n := float64(r.Messages)
	x.add(CPU, float64(r.CPU)/n)
	if c.Shape != Clients {
		x.add(LoadTime, float64(r.Load)/n)
	}
	if x.counts {
		x.add(Allocs, (after-before)/n)
	}
	if c.Load.Deflate || c.Load.Mixed {
		x.add(Wire, float64(r.In)/n)
	}
	return nil
}

func (x *contestant) mallocs() (float64, error) {
	if !x.counts {
		return 0, nil
	}
	answer, err := x.asks.Ask("mallocs", time.Minute)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(answer, 64)
}

// trace counts system calls in a window of its own: strace slows the server down.
func (c *contest) trace(x *contestant) error {
	tracer, err := proc.Trace(x.asks.PID())
	if err != nil {
		return err
	}
	r, err := c.window(x, c.Time)
	calls, stopErr := tracer.Stop()
	if err := errors.Join(err, stopErr); err != nil {
		return err
	}
	total := 0
	for _, n := range calls {
		total += n
	}
	x.add(Calls, float64(total)/float64(r.Messages))
	return nil
}

// idle takes one sample of memory in processes of its own.
func (c *contest) idle(x *contestant) error {
	defer x.stop()
	if err := c.start(x); err != nil {
		return err
	}
	if _, err := x.driver.Ask("connect", 3*time.Minute); err != nil {
		return err
	}
	opened, err := c.settledRSS(x)
	if err != nil {
		return err
	}
	if _, err := x.driver.Ask("message", 3*time.Minute); err != nil {
		return err
	}
	c.addRSS(x, Opened, opened)
	return c.measureTraffic(x)
}

// quiet is how long connections have been without a message when they count as idle.
const quiet = time.Second

// measureTraffic takes a sample of the memory of a server whose connections have had messages a moment ago.
func (c *contest) measureTraffic(x *contestant) error {
	if c.Shape == Memory {
		time.Sleep(quiet)
	}
	found, err := proc.RSS(x.server.PID())
	if err != nil {
		return err
	}
	settled, err := c.settledRSS(x)
	if err != nil {
		return err
	}
	c.addRSS(x, Garbage, found)
	c.addRSS(x, Spoken, settled)
	return nil
}

func (c *contest) addRSS(x *contestant, m Metric, rss int64) {
	x.add(m, float64(rss-x.base)/float64(c.Load.Conns))
}

// settledRSS returns the server's memory once its garbage has been collected: what the connections keep.
func (c *contest) settledRSS(x *contestant) (int64, error) {
	if _, err := x.server.Ask("gc", time.Minute); err != nil {
		return 0, err
	}
	return proc.RSS(x.server.PID())
}
