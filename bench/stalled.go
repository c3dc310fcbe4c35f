//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/tidewire/ws/bench/load"
	"github.com/tidewire/ws/bench/peer"
	"github.com/tidewire/ws/bench/proc"
	"github.com/tidewire/ws/bench/report"
	"github.com/tidewire/ws/hub"
)

// A stalledRoom is a room of a hub in which some of the members read nothing.
type stalledRoom struct {
	stalled  int
	server   *proc.Child
	driver   *proc.Child
	base     int64     // RSS when all had joined
	p99, cpu []float64 // by round; microseconds, and nanoseconds a copy
	grown    int64
	hub      hub.Stats
}

// stalledMain measures what members that have stalled cost the others.
func stalledMain(args []string, w io.Writer) error {
	f := flag.NewFlagSet("stalled", flag.ContinueOnError)
	members := f.Int("members", 1000, "of the room")
	rounds := f.Int("rounds", 5, "how often each room gets its turn")
	window := f.Duration("time", 500*time.Millisecond, "how long a turn is")
	if err := f.Parse(args); err != nil {
		return err
	}
	rooms := []*stalledRoom{{stalled: 0}, {stalled: 1}, {stalled: *members / 10}}
	for _, r := range rooms {
		defer r.stop()
		if err := r.start(*members); err != nil {
			return err
		}
		if err := r.warmUp(*window); err != nil {
			return err
		}
	}
	for round := range *rounds {
		for i := range rooms {
			if err := rooms[(i+round)%len(rooms)].measure(*window); err != nil {
				return err
			}
		}
	}
	for _, r := range rooms {
		rss, err := proc.RSS(r.server.PID())
		if err != nil {
			return err
		}
		r.grown = rss - r.base
		if err := r.askHub(); err != nil {
			return err
		}
	}
	return writeStalled(w, *members, rooms)
}

func (r *stalledRoom) start(members int) (err error) {
	const burst = 16
	cfg := peer.Config{Mode: peer.Room, Burst: burst}
	if r.server, err = startSelf([]string{"serve", "hub", encode(cfg)}); err != nil {
		return err
	}
	spec := load.Spec{
		Kind: load.Fan, Addr: r.server.Ready, PID: r.server.PID(), Conns: members, Stalled: r.stalled,
		Payload: load.Binary, Size: 128, Fan: burst, Numbered: true,
	}
	if r.driver, err = startSelf([]string{"load", encode(spec)}); err != nil {
		return err
	}
	r.base, err = proc.RSS(r.server.PID())
	return err
}

// warmUp fills what the kernel and the connections hold for those who don't read, until their queues are full.
func (r *stalledRoom) warmUp(d time.Duration) error {
	const least = 5 // for all of them
	for i := range 100 {
		if _, err := r.run(d); err != nil {
			return err
		}
		if err := r.askHub(); err != nil || i >= least && (r.stalled == 0 || r.hub.Dropped > 0) {
			return err
		}
	}
	return errors.New("nobody falls behind")
}

func (r *stalledRoom) askHub() error {
	answer, err := r.server.Ask("hub", time.Minute)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(answer), &r.hub)
}

func (r *stalledRoom) stop() {
	for _, child := range []*proc.Child{r.driver, r.server} {
		if child != nil {
			child.Stop()
		}
	}
}

func (r *stalledRoom) run(d time.Duration) (result load.Result, err error) {
	answer, err := r.driver.Ask("run "+d.String(), d+time.Minute)
	if err == nil {
		err = json.Unmarshal([]byte(answer), &result)
	}
	return result, err
}

func (r *stalledRoom) measure(d time.Duration) error {
	result, err := r.run(d)
	if err != nil {
		return fmt.Errorf("%d stalled: %w", r.stalled, err)
	}
	r.p99 = append(r.p99, float64(result.P99)/1000)
	r.cpu = append(r.cpu, float64(result.CPU)/float64(result.Messages))
	return nil
}

// writeStalled writes the table; ratios are those of each round to the room without.
func writeStalled(w io.Writer, members int, rooms []*stalledRoom) error {
	fmt.Fprintf(w, "A room of %d; bursts of 16 messages of 128 bytes to those who read.\n\n", members)
	fmt.Fprintln(w, "| stalled | p99, µs | to without | CPU a copy, ns | to without | copies dropped | waiting for them, MB | memory grown, MB |")
	fmt.Fprintln(w, "| --: | --: | --: | --: | --: | --: | --: | --: |")
	for _, r := range rooms {
		_, err := fmt.Fprintf(w, "| %d | %.0f | %.2f | %.0f | %.2f | %d | %.1f | %.1f |\n", r.stalled,
			report.Median(r.p99), ratio(r.p99, rooms[0].p99), report.Median(r.cpu), ratio(r.cpu, rooms[0].cpu), r.hub.Dropped, float64(r.hub.Waiting)/1e6, float64(r.grown)/1e6)
		if err != nil {
			return err
		}
	}
	return nil
}

// ratio is the median of the rounds' ratios.
func ratio(a, b []float64) float64 {
	var all []float64
	for i := range a {
		all = append(all, a[i]/b[i])
	}
	return report.Median(all)
}
