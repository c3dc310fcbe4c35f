//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tidewire/ws/bench/load"
	"github.com/tidewire/ws/bench/peer"
	"github.com/tidewire/ws/bench/proc"
	"github.com/tidewire/ws/bench/report"
)

// runAll runs the chosen workloads one after the other and prints the report; how it goes is told on standard error.
func runAll(o *options) error {
	for _, s := range o.skipped {
		fmt.Fprintln(os.Stderr, "bench:", s)
	}
	var all []*contest
	for _, w := range o.chosen {
		fmt.Fprintln(os.Stderr, "bench:", w.Name)
		c := newContest(o, w)
		c.run()
		all = append(all, c)
	}
	if o.JSON != "" {
		if err := writeJSON(o.JSON, all); err != nil {
			return err
		}
	}
	if err := writeReport(os.Stdout, o, all); err != nil {
		return err
	}
	return failures(all)
}

func newContest(o *options, w Workload) *contest {
	c := &contest{Workload: w, options: *o}
	for _, name := range o.names(w) {
		c.contestants = append(c.contestants, &contestant{name: name})
	}
	return c
}

// names are those of the contestants in w.
func (o *options) names(w Workload) (names []string) {
	if w.Shape == Clients {
		for _, c := range o.clients {
			names = append(names, c.Name)
		}
		return names
	}
	for _, s := range o.servers {
		if s.Role == peer.Floor && w.Load.Kind != load.Echo || s.Waits && w.Shape != Memory {
			continue
		}
		names = append(names, s.Name)
	}
	return names
}

// failures tells which contestants failed, but for those that don't support a workload.
func failures(all []*contest) error {
	var errs []error
	for _, c := range all {
		for _, x := range c.contestants {
			if x.failed() {
				errs = append(errs, fmt.Errorf("%s, %s: %w", c.Name, x.name, x.err))
			}
		}
	}
	return errors.Join(errs...)
}

func (x *contestant) failed() bool { return x.err != nil && !errors.Is(x.err, proc.ErrUnsupported) }

// writeReport writes a table for each metric of each title.
func writeReport(w io.Writer, o *options, all []*contest) error {
	writeHead(w, o)
	if o.Goals {
		if err := writeGoals(w, o, all); err != nil {
			return err
		}
	}
	for _, title := range titles(all) {
		for _, m := range metrics {
			if m == LoadTime {
				continue // in the samples only: it says how the load generator did
			}
			if t := table(o, all, title, m); len(t.Rows) > 0 {
				if err := t.Write(w); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func titles(all []*contest) (titles []string) {
	for _, c := range all {
		if !slices.Contains(titles, c.Title) {
			titles = append(titles, c.Title)
		}
	}
	return titles
}

// table collects the samples of metric m in the workloads under title.
func table(o *options, all []*contest, title string, m Metric) *report.Table {
	t := &report.Table{Scale: 1, Baseline: o.Baseline, Versus: m != Allocs}
	switch m {
	case CPU:
		t.Title, t.Unit, t.Scale, t.Ratios = title+": CPU time each, µs and ratio to "+o.Baseline, "µs", 1000, true
	case Opened, Spoken, Garbage:
		t.Title, t.Scale = fmt.Sprintf("%s: %s, KB a connection", title, m), 1000
	default:
		t.Title = fmt.Sprintf("%s: %s each", title, m)
	}
	for _, c := range all {
		if c.Title != title {
			continue
		}
		t.Columns = o.columns(c.Workload)
		row := report.Row{Name: "`" + c.Name + "`", Samples: map[string][]float64{}, Errors: map[string]error{}}
		for _, x := range c.contestants {
			row.Samples[x.name] = x.samples[m]
			if x.failed() {
				row.Errors[x.name] = x.err
			}
		}
		if row.Any() {
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

func (o *options) columns(w Workload) (columns []report.Column) {
	if w.Shape == Clients {
		for _, c := range o.clients {
			columns = append(columns, report.Column{Name: c.Name, Ours: c.Role == peer.Ours, Peer: c.Role == peer.Peer})
		}
		return columns
	}
	for _, s := range o.servers {
		columns = append(columns, report.Column{Name: s.Name, Ours: s.Role == peer.Ours, Peer: s.Role == peer.Peer})
	}
	return columns
}

// writeHead says what was run, where and with which versions.
func writeHead(w io.Writer, o *options) {
	fmt.Fprintf(w, "Made by `%s`: %d rounds of %v, interleaved; medians of the rounds' ratios.\n",
		strings.TrimSpace("go run . "+strings.Join(o.args, " ")), o.Rounds, o.Time)
	fmt.Fprintf(w, "%s, Linux %s, %d CPUs.\n\n", runtime.Version(), kernel(), runtime.NumCPU())
	for _, s := range o.servers {
		fmt.Fprintf(w, "- **%s**: %s\n", s.Name, s.About)
	}
	for _, s := range o.skipped {
		fmt.Fprintf(w, "- %s\n", s)
	}
	fmt.Fprintf(w, "\nVersions: %s.\n\n", strings.Join(versions(), ", "))
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "?"
	}
	return string(bytes.TrimRight(u.Release[:], "\x00"))
}

// versions are those of the peers' modules that this program is built with.
func versions() (all []string) {
	info, _ := debug.ReadBuildInfo()
	for _, d := range info.Deps {
		if strings.Contains(d.Path, "websocket") || strings.Contains(d.Path, "/ws") || strings.HasSuffix(d.Path, "/gws") ||
			strings.HasSuffix(d.Path, "/melody") {
			all = append(all, d.Path+" "+d.Version)
		}
	}
	return all
}

// writeJSON writes every sample.
func writeJSON(path string, all []*contest) error {
	type entry struct {
		Workload string
		Name     string
		Metric   Metric
		Median   float64
		Samples  []any // null for a round that was missed: JSON has no NaN
	}
	var entries []entry
	for _, c := range all {
		for _, x := range c.contestants {
			for _, m := range metrics {
				samples := x.samples[m]
				if samples == nil {
					continue
				}
				e := entry{Workload: c.Name, Name: x.name, Metric: m, Median: report.Median(samples)}
				for _, s := range samples {
					e.Samples = append(e.Samples, nullable(s))
				}
				entries = append(entries, e)
			}
		}
	}
	b, err := json.MarshalIndent(entries, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

func nullable(x float64) any {
	if math.IsNaN(x) {
		return nil
	}
	return x
}
