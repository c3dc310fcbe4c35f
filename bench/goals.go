//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/tidewire/ws/bench/report"
)

// A goal is what one of our servers shall cost at most in some workloads.
type goal struct {
	server    string
	workloads string // as -workloads has them
	metric    Metric
	versus    string  // a ratio to this server, or to the bestPeer; "": the figure itself
	most      float64 // ratio, KB, or allocations
}

const bestPeer = "best Go peer"

// small are the echoes of the first three goals.
const (
	small = "echo/binary/32B/100,echo/binary/32B/1000,echo/binary/1KiB/100,echo/binary/1KiB/1000"
	text  = "echo/ascii/32B/100,echo/ascii/32B/1000,echo/ascii/1KiB/100,echo/ascii/1KiB/1000," +
		"echo/cjk/32B/100,echo/cjk/32B/1000,echo/cjk/1KiB/100,echo/cjk/1KiB/1000"
	large = "echo/binary/16KiB/100,echo/binary/256KiB/100"
)

// goals are all of them. They were set by what prototypes cost on two processors.
var goals = []goal{
	{"ws", small, CPU, bestPeer, 0.70},
	{"ws", small, CPU, "tcp", 0.80},
	{"ws", small, CPU, "bun", 1.00},
	{"ws", text, CPU, bestPeer, 0.70},
	{"ws", "echo/binary/16KiB/100", CPU, bestPeer, 0.60},
	{"ws", "echo/binary/256KiB/100", CPU, bestPeer, 0.75},
	{"ws-events", small + "," + text + "," + large, CPU, bestPeer, 0.85},
	{"ws", "pipelined/64B", CPU, "gorilla", 0.05},
	{"ws", "pipelined/1KiB", CPU, "gorilla", 0.15},
	{"ws", "pipelined", CPU, "tcp", 1.00},
	{"ws", "writers", CPU, bestPeer, 0.25},
	{"ws", "prepared/16", CPU, bestPeer, 0.15},
	{"ws-trywrite", "prepared/16", CPU, bestPeer, 0.15},
	{"ws", "prepared/1", CPU, bestPeer, 0.85},
	{"ws-trywrite", "prepared/1", CPU, bestPeer, 0.85},
	{"ws", "idle/plain", Spoken, "", 10.5},
	{"ws", "idle/chi", Spoken, "", 16},
	{"ws", "idle/tls", Spoken, "", 33},
	{"ws-events", "idle/plain", Spoken, "", 1.6},
	{"ws-events", "idle/chi,idle/stack", Spoken, "", 1.8},
	{"ws-events", "idle/tls", Spoken, "", 14},
	{"ws-waiter", "idle/plain,idle/chi,idle/stack", Spoken, "", 4.5},
	{"ws", "upgrade", CPU, "gorilla", 0.95},
	{"ws", "upgrade", Allocs, "", 66},
	{"ws", small, Allocs, "", 0.01},
	{"ws-events", small, Allocs, "", 0.01},
	{"ws", "prepared", Allocs, "", 0.01},
}

// goalWorkloads are the patterns of all goals.
func goalWorkloads() string {
	var patterns []string
	for _, g := range goals {
		patterns = append(patterns, g.workloads)
	}
	return strings.Join(patterns, ",")
}

// goalServers leaves out what no goal refers to, and melody, which is gorilla with something around it.
const goalServers = "ws,ws-events,ws-trywrite,ws-waiter,gorilla,coder,gobwas,gws,fasthttp,tcp,epoll,bun"

// writeGoals writes a table of what was reached.
func writeGoals(w io.Writer, o *options, all []*contest) error {
	var b strings.Builder
	b.WriteString("### Goals\n\n| | server | at most | reached | |\n| :-- | :-- | :-- | --: | :-- |\n")
	met, measured := 0, 0
	for _, g := range goals {
		for _, c := range all {
			if chosen, err := choose([]Workload{c.Workload}, g.workloads); err != nil || len(chosen) == 0 {
				continue
			}
			reached, text := g.reached(o, c)
			word := "–"
			if !math.IsNaN(reached) {
				measured++
				if word = "missed"; reached <= g.most {
					met++
					word = "met"
				}
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", c.Name, g.server, g.bound(), text, word)
		}
	}
	fmt.Fprintf(&b, "\n%d of %d are met.\n\n", met, measured)
	_, err := io.WriteString(w, b.String())
	return err
}

// bound is the goal in words.
func (g goal) bound() string {
	switch {
	case g.versus != "":
		return fmt.Sprintf("%.2f of the CPU time of %s", g.most, g.versus)
	case g.metric == Allocs:
		return fmt.Sprintf("%v allocations", g.most)
	}
	return fmt.Sprintf("%v KB a connection", g.most)
}

// reached is the figure, NaN if there is none, and its text: with the interval of a ratio, and whose figure it is a ratio to if
// that isn't clear.
func (g goal) reached(o *options, c *contest) (x float64, text string) {
	samples := map[string][]float64{}
	for _, x := range c.contestants {
		samples[x.name] = x.samples[g.metric]
	}
	if g.versus == "" {
		x = report.Median(samples[g.server])
		if g.metric != Allocs {
			x /= 1000
		}
		return x, report.Number(x)
	}
	other, by := g.versus, ""
	if other == bestPeer {
		other = report.BestPeer(report.Row{Samples: samples}, o.columns(c.Workload), o.Baseline)
		by = " (" + other + ")"
	}
	return report.Ratio(samples[g.server], samples[other]), report.RatioWithin(samples[g.server], samples[other]) + by
}

// aimAtGoals makes o a run of all goals, where the command line doesn't say otherwise.
func (o *options) aimAtGoals(given []string) {
	if !slices.Contains(given, "workloads") {
		o.Workloads = goalWorkloads()
	}
	if !slices.Contains(given, "servers") {
		o.Servers = goalServers
	}
}
