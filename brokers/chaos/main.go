// Command chaos kills nodes of a hub, one after the other, while clients talk to
// each other, and checks that nobody notices: every message that was acknowledged
// reaches every member of its room once and in one order, and everybody soon
// knows again who is there.
//
//	go run . -engine redis                                      a quick run with a redis-server of its own
//	go run . -engine nats                                       with a nats-server and JetStream
//	go run . -engine embedded                                   with a NATS server in each node, which dies with it
//	go run . -engine redis -clients 3000 -rooms 100 -heartbeat 2s -kill 10s -for 5m
//
// It ends with status 1 if anything was lost, came twice or in another order.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	Engine     string
	Nodes      int
	Clients    int
	Rooms      int
	Joins      int
	Watchers   int
	Publishers int
	Rate       float64
	Heartbeat  time.Duration
	Kill       time.Duration
	Down       time.Duration
	For        time.Duration
	Slack      time.Duration
	Verbose    bool
}

func parseOptions(args []string) (o options, err error) {
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.StringVar(&o.Engine, "engine", "redis", "one of "+strings.Join(engines, ", "))
	f.IntVar(&o.Nodes, "nodes", 3, "how many nodes")
	f.IntVar(&o.Clients, "clients", 90, "how many clients")
	f.IntVar(&o.Rooms, "rooms", 10, "how many rooms")
	f.IntVar(&o.Joins, "joins", 2, "how many of them a client is in")
	f.IntVar(&o.Watchers, "watchers", 30, "how many clients watch each other's presence")
	f.IntVar(&o.Publishers, "publishers", 10, "how many publish")
	f.Float64Var(&o.Rate, "rate", 100, "messages a second")
	f.DurationVar(&o.Heartbeat, "heartbeat", 300*time.Millisecond, "of the nodes")
	f.DurationVar(&o.Kill, "kill", 2*time.Second, "how often a node is killed")
	f.DurationVar(&o.Down, "down", 200*time.Millisecond, "how long it stays dead")
	f.DurationVar(&o.For, "for", 10*time.Second, "how long messages are published")
	f.DurationVar(&o.Slack, "slack", 5*time.Second, "how long presence may be wrong beyond four heartbeats")
	f.BoolVar(&o.Verbose, "v", false, "show the nodes' logs")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || !slices.Contains(engines, o.Engine) || min(o.Nodes, o.Clients, o.Rooms, o.Joins, o.Watchers, o.Publishers) < 1 || o.Rate <= 0 {
		return o, fmt.Errorf("%q makes no sense; -help explains", args)
	}
	return o, nil
}

func main() {
	if err := dispatch(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func dispatch(args []string) error {
	if len(args) == 2 && args[0] == "node" {
		return nodeMain(args[1])
	}
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r := newRun(o)
	err = r.do(ctx)
	r.report(os.Stdout)
	if err != nil {
		return err
	}
	if n := r.verdict.faults(); n > 0 {
		return fmt.Errorf("%d faults", n)
	}
	return nil
}

func (r *run) report(w io.Writer) {
	v := &r.verdict
	fmt.Fprintf(w, "%s: %d nodes, %d clients in %d of %d rooms each, %d kills in %v\n",
		r.Engine, r.Nodes, r.Clients, r.Joins, r.Rooms, r.kills, r.took.Round(time.Second))
	fmt.Fprintf(w, "%d messages acknowledged, %d deliveries, %d publishes tried again, %d gaps told and made up for\n",
		r.acknowledged(), r.delivered.Load(), r.retried.Load(), r.gaps.Load())
	fmt.Fprintf(w, "lost %d, doubled %d, out of order %d, presence wrong %d\n", v.Lost, v.Doubled, v.Disordered, v.Presence)
	fmt.Fprintf(w, "time to resume: %s\n", quantiles(r.resumes))
	fmt.Fprintf(w, "from a kill until presence was right everywhere (a node is dead after 3 to 4 heartbeats of %v): %s\n", r.Heartbeat, quantiles(r.presence))
	for _, s := range v.Said {
		fmt.Fprintln(w, " ", s)
	}
}

func quantiles(ds []time.Duration) string {
	if len(ds) == 0 {
		return "none"
	}
	ds = slices.Sorted(slices.Values(ds))
	at := func(q float64) time.Duration { return ds[int(q*float64(len(ds)-1))].Round(time.Millisecond) }
	return fmt.Sprintf("p50 %v, p99 %v, longest %v, of %d", at(0.5), at(0.99), at(1), len(ds))
}
