//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidewire/ws/bench/peer"
	"github.com/tidewire/ws/bench/report"
)

// The bench starts its children from its own program, which in tests is the test.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"serve", "load", "client"}, os.Args[1]) {
		main()
		return
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // or each child waits a second for more races before it exits
	os.Exit(m.Run())
}

func testOptions(t *testing.T, args ...string) *options {
	t.Helper()
	o, err := parseOptions(append([]string{"-quick"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Two servers, each kind of workload, a fraction of a second each: every row must be there, and every figure possible.
func TestSmoke(t *testing.T) {
	o := testOptions(t, "-servers", "ws,gorilla", "-clients", "gorilla,gws", "-time", "30ms", "-rounds", "2",
		"-workloads", "echo/binary,pipelined,writers,idle,upgrade,prepared,room,mixed,client,deflate,memory")
	var all []*contest
	for _, w := range o.chosen {
		c := newContest(o, w)
		c.run()
		all = append(all, c)
		for _, x := range c.contestants {
			checkSamples(t, c, x)
		}
	}
	var b strings.Builder
	if err := writeReport(&b, o, all); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if !strings.Contains(b.String(), "| `"+c.Name+"` |") {
			t.Errorf("no row for %s in\n%s", c.Name, b.String())
		}
	}
	if t.Failed() {
		t.Log(b.String())
	}
	testJSON(t, all)
}

func checkSamples(t *testing.T, c *contest, x *contestant) {
	if x.failed() {
		t.Errorf("%s, %s: %v", c.Name, x.name, x.err)
	}
	if x.err != nil {
		return
	}
	wanted := map[Shape][]Metric{
		Windows: {CPU, LoadTime, Allocs},
		Memory:  {Opened, Spoken, Garbage},
		Traffic: {CPU, Allocs, Spoken, Garbage},
		Clients: {CPU, Allocs},
	}[c.Shape]
	for _, m := range wanted {
		median := report.Median(x.samples[m])
		if low, high := bounds(m); !(low <= median && median <= high) {
			t.Errorf("%s, %s: %s is %v, want %v to %v", c.Name, x.name, m, median, low, high)
		}
	}
}

// bounds are what a metric can be at all.
func bounds(m Metric) (low, high float64) {
	switch m {
	case CPU, LoadTime:
		return 10, float64(time.Second)
	case Allocs:
		return 0, 1000
	}
	return 500, 16 << 20 // memory a connection, and the race detector's shadow of it
}

func testJSON(t *testing.T, all []*contest) {
	path := filepath.Join(t.TempDir(), "samples.json")
	if err := writeJSON(path, all); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := `"Workload": "upgrade"`; !strings.Contains(string(b), want) {
		t.Errorf("no %s in the samples", want)
	}
}

func TestRawFloor(t *testing.T) {
	o := testOptions(t, "-servers", "tcp", "-workloads", "echo/cjk", "-time", "20ms", "-rounds", "1")
	c := newContest(o, o.chosen[0])
	c.run()
	checkSamples(t, c, c.contestants[0])
}

// A server that is none must show as failed, and not stop the others.
func TestExternFails(t *testing.T) {
	o := testOptions(t, "-extern", "false=false", "-servers", "false,tcp", "-workloads", "echo/cjk", "-time", "20ms", "-rounds", "1")
	c := newContest(o, o.chosen[0])
	c.run()
	for _, x := range c.contestants {
		if want := x.name == "false"; x.failed() != want {
			t.Errorf("%s: failed is %t, want %t (%v)", x.name, x.failed(), want, x.err)
		}
	}
	if failures([]*contest{c}) == nil {
		t.Error("the failure isn't reported")
	}
}

func TestMissingPeersAreSkipped(t *testing.T) {
	o := testOptions(t, "-extern", "gone=/nowhere/at/all", "-servers", "gone,tcp")
	if len(o.servers) != 1 || len(o.skipped) != 1 || !strings.Contains(o.skipped[0], "/nowhere/at/all") {
		t.Errorf("servers %d, skipped %q", len(o.servers), o.skipped)
	}
}

func TestChoose(t *testing.T) {
	all := workloads(10)
	for _, c := range []struct {
		patterns string
		want     int
	}{
		{"all", len(all)},
		{"idle", 4},
		{"echo/binary/32B", 3},
		{"echo/*/32B/100", 3},
		{"idle/plain,idle/tls,idle/plain", 2},
	} {
		got, err := choose(all, c.patterns)
		if err != nil || len(got) != c.want {
			t.Errorf("%s: %d workloads, error %v; want %d", c.patterns, len(got), err, c.want)
		}
	}
	for _, bad := range []string{"nothing", "[", ""} {
		if _, err := choose(all, bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	add := func(kind, name string) {
		key := fmt.Sprint(kind, " ", name)
		if seen[key] {
			t.Errorf("two of %s", key)
		}
		seen[key] = true
	}
	for _, w := range workloads(1) {
		add("workload", w.Name)
	}
	for _, s := range peer.Servers {
		add("server", s.Name)
	}
	for _, c := range peer.Clients {
		add("client", c.Name)
	}
}

func TestBadOptions(t *testing.T) {
	for _, args := range [][]string{{"-servers", "nobody"}, {"-clients", "nobody"}, {"-workloads", "none"}, {"extra"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
