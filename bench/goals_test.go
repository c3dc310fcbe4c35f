//go:build linux

package main

import (
	"strings"
	"testing"

	"github.com/tidewire/ws/bench/peer"
)

// What goals name must be there, or they would never be looked at.
func TestGoalsExist(t *testing.T) {
	for _, g := range goals {
		for pattern := range strings.SplitSeq(g.workloads, ",") {
			if _, err := choose(workloads(1), pattern); err != nil {
				t.Error(err)
			}
		}
		for _, name := range []string{g.server, g.versus} {
			if _, err := findServer(peer.Servers, name); err != nil && name != "" && name != bestPeer {
				t.Error(err)
			}
		}
	}
	o, err := parseOptions([]string{"-goals"})
	if err != nil || o.Rounds != 40 || len(o.chosen) < 20 {
		t.Errorf("%d rounds of %d workloads, error %v", o.Rounds, len(o.chosen), err)
	}
	if o, err = parseOptions([]string{"-goals", "-rounds", "2", "-workloads", "upgrade"}); err != nil || o.Rounds != 2 || len(o.chosen) != 1 {
		t.Errorf("%d rounds of %d workloads, error %v", o.Rounds, len(o.chosen), err)
	}
}

// The table tells what was reached from what was not, and from what was not measured.
func TestGoalsReached(t *testing.T) {
	o := testOptions(t, "-goals", "-workloads", "upgrade,writers/64B,idle/plain")
	samples := map[string]map[Metric][]float64{
		"ws":        {CPU: {80, 90, 100}, Allocs: {67, 67, 67}, Spoken: {10_400}},
		"ws-events": {Spoken: {1_601}},
		"gorilla":   {CPU: {100, 100, 100}},
		"gws":       {CPU: {400, 400, 400}},
	}
	var all []*contest
	for _, w := range o.chosen {
		c := newContest(o, w)
		for _, x := range c.contestants {
			x.samples = samples[x.name]
		}
		all = append(all, c)
	}
	var b strings.Builder
	if err := writeGoals(&b, o, all); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| `writers/64B` | ws | 0.25 of the CPU time of best Go peer | 0.90 (gorilla) | missed |",
		"| `upgrade` | ws | 0.95 of the CPU time of gorilla | 0.90 | met |",
		"| `upgrade` | ws | 66 allocations | 67.0 | missed |",
		"| `idle/plain` | ws | 10.5 KB a connection | 10.4 | met |",
		"| `idle/plain` | ws-events | 1.6 KB a connection | 1.60 | missed |",
		"| `idle/plain` | ws-waiter | 4.5 KB a connection | – | – |",
		"\n2 of 5 are met.\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
