package main

import (
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewire/ws/hub"
)

// The nodes are started from this program, which in tests is the test.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "node" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Nodes are killed, and nobody notices.
func TestKilledNodes(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			o, err := parseOptions([]string{"-engine", engine, "-for", "5s", "-kill", "1500ms", "-clients", "60", "-slack", "30s"})
			if err != nil {
				t.Fatal(err)
			}
			r := newRun(o)
			if err := r.do(t.Context()); errors.Is(err, errMissing) && os.Getenv("INTEROP") != "required" {
				t.Skip(err)
			} else if err != nil {
				t.Fatal(err)
			}
			r.report(t.Output())
			if r.verdict.faults() > 0 {
				t.Error("it was noticed")
			}
			if len(r.resumes) == 0 || r.kills == 0 || r.acknowledged() == 0 {
				t.Error("nothing has happened")
			}
		})
	}
}

// The checker sees what it is there for.
func TestChecker(t *testing.T) {
	at := func(offset uint64) hub.Position { return hub.Position{Offset: offset, Epoch: "e"} }
	for name, test := range map[string]struct {
		happens func(l *ledger, r *reading)
		want    [3]int // lost, doubled, out of order
	}{
		"nothing": {func(l *ledger, r *reading) {
			l.acknowledge("a", at(1))
			r.take("c", "a", at(1))
			r.take("c", "b", at(7))
			l.acknowledge("b", at(7))
		}, [3]int{}},
		"lost": {func(l *ledger, r *reading) {
			l.acknowledge("a", at(1))
			l.acknowledge("b", at(2))
			r.take("c", "b", at(2))
		}, [3]int{1, 0, 0}},
		"delivered twice": {func(_ *ledger, r *reading) {
			r.take("c", "a", at(1))
			r.take("c", "a", at(1))
		}, [3]int{0, 1, 0}},
		"kept twice": {func(l *ledger, r *reading) {
			l.acknowledge("a", at(1))
			r.take("c", "a", at(1))
			r.take("c", "a", at(2))
		}, [3]int{0, 1, 0}},
		"out of order": {func(_ *ledger, r *reading) {
			r.take("c", "b", at(2))
			r.take("c", "a", at(1))
		}, [3]int{0, 0, 1}},
		"two orders": {func(l *ledger, r *reading) {
			l.note("b", at(1))
			r.take("c", "a", at(1))
		}, [3]int{0, 0, 1}},
		"another history": {func(l *ledger, r *reading) {
			l.note("a", at(1))
			r.take("c", "b", hub.Position{Offset: 2, Epoch: "f"})
		}, [3]int{1, 0, 0}},
	} {
		var v verdict
		l := newLedger("room", &v)
		r := &reading{ledger: l, got: make(map[uint64]bool)}
		test.happens(l, r)
		v.Lost += len(r.missing())
		if got := [3]int{v.Lost, v.Doubled, v.Disordered}; got != test.want {
			t.Errorf("%s: lost, doubled, out of order are %v, want %v", name, got, test.want)
		}
	}
}

func TestGhosts(t *testing.T) {
	c := &client{
		run: &run{fleet: &fleet{lives: make([]atomic.Int64, 1)}}, name: "c", joined: true,
		there: map[string]string{"n1-1": "c", "n1-2": "d"},
	}
	names := map[string]bool{"c": true, "d": true}
	if wrong := c.sees(names); wrong != "" {
		t.Error(wrong)
	}
	c.there["n2-1"] = "d"
	if c.sees(names) == "" {
		t.Error("somebody who is there twice isn't noticed")
	}
	delete(c.there, "n1-1")
	if c.sees(names) == "" {
		t.Error("somebody who is there twice instead of another isn't noticed")
	}
	c.there = map[string]string{"n1-1": "c", "n1-2": "d"}
	c.run.fleet.lives[0].Add(1)
	if c.sees(names) == "" {
		t.Error("a connection to a dead node counts")
	}
}

func TestQuantiles(t *testing.T) {
	ds := make([]time.Duration, 100)
	for i := range ds {
		ds[i] = time.Duration(100-i) * time.Second
	}
	if got, want := quantiles(slices.Clone(ds)), "p50 50s, p99 1m39s, longest 1m40s, of 100"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
