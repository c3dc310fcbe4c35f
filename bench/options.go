//go:build linux

package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/tidewire/ws/bench/peer"
)

// options are the command line.
type options struct {
	Workloads string
	Servers   string
	Clients   string
	Rounds    int
	Time      time.Duration
	Idle      int
	Baseline  string
	Against   string
	Syscalls  bool
	Quick     bool
	Goals     bool
	List      bool
	JSON      string

	servers []*peer.Server // those that were asked for and are there
	clients []*peer.Client
	known   []*peer.Server // all, with those from -extern
	skipped []string       // why some are not there, in words
	chosen  []Workload
	args    []string
}

func parseOptions(args []string) (*options, error) {
	o := &options{args: args, known: peer.Servers}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.Workloads, "workloads", "core", "names with wildcards, separated by commas; core or all")
	f.StringVar(&o.Servers, "servers", "", "names separated by commas (default all)")
	f.StringVar(&o.Clients, "clients", "", "names separated by commas (default all)")
	f.IntVar(&o.Rounds, "rounds", 40, "how often each server gets its turn")
	f.DurationVar(&o.Time, "time", 60*time.Millisecond, "how long a turn is, at least: what is under way is waited for")
	f.IntVar(&o.Idle, "idle", 10000, "connections of the idle workloads")
	f.StringVar(&o.Baseline, "baseline", "gorilla", "the server or client that ratios refer to")
	f.StringVar(&o.Against, "against", "gorilla", "the server that clients talk to")
	f.BoolVar(&o.Syscalls, "syscalls", false, "count system calls too, by strace")
	f.BoolVar(&o.Quick, "quick", false, "a smoke run: few workloads, small and short, servers gorilla, tcp and our own")
	f.BoolVar(&o.Goals, "goals", false, "the workloads that there are goals for, and what was reached")
	f.BoolVar(&o.List, "list", false, "list workloads, servers and clients, and do nothing")
	f.StringVar(&o.JSON, "json", "", "write all samples to this file")
	f.Func("extern", "`name=command`: a server built elsewhere (see README.md); may be repeated", o.addExtern)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	if o.Goals {
		var given []string
		f.Visit(func(f *flag.Flag) { given = append(given, f.Name) })
		o.aimAtGoals(given)
	}
	return o, o.resolve()
}

func (o *options) addExtern(value string) error {
	name, line, ok := strings.Cut(value, "=")
	command := strings.Fields(line)
	if !ok || name == "" || len(command) == 0 {
		return fmt.Errorf("%q is not name=command", value)
	}
	s := &peer.Server{Name: name, Role: peer.Other, About: line, Command: command, Needs: command[:1], Hint: "given by -extern"}
	o.known = append(o.known[:len(o.known):len(o.known)], s)
	return nil
}

// resolve turns names into what they stand for.
func (o *options) resolve() (err error) {
	all := workloads(o.Idle)
	if o.Quick {
		if all, err = o.quicken(); err != nil {
			return err
		}
	}
	if o.chosen, err = choose(all, o.Workloads); err != nil {
		return err
	}
	if o.servers, err = pick(o.known, o.Servers, func(s *peer.Server) string { return s.Name }); err != nil {
		return err
	}
	o.clients, err = pick(peer.Clients, o.Clients, func(c *peer.Client) string { return c.Name })
	var there []*peer.Server
	for _, s := range o.servers {
		if missing := missing(s); missing != "" {
			o.skipped = append(o.skipped, fmt.Sprintf("%s is left out: there is no %s (%s)", s.Name, missing, s.Hint))
			continue
		}
		there = append(there, s)
	}
	o.servers = there
	return err
}

// missing names what s needs and doesn't find, "" if nothing.
func missing(s *peer.Server) string {
	for _, need := range s.Needs {
		_, err := os.Stat(need)
		if err != nil && !strings.Contains(need, "/") {
			_, err = exec.LookPath(need)
		}
		if err != nil {
			return need
		}
	}
	return ""
}

// pick returns those of all whose names are in names, in their own order.
func pick[T any](all []T, names string, name func(T) string) ([]T, error) {
	if names == "" {
		return all, nil
	}
	wanted := map[string]bool{}
	for n := range strings.SplitSeq(names, ",") {
		wanted[n] = true
	}
	var picked []T
	for _, x := range all {
		if wanted[name(x)] {
			picked = append(picked, x)
			delete(wanted, name(x))
		}
	}
	for n := range wanted {
		return nil, fmt.Errorf("nothing is called %q; -list lists what there is", n)
	}
	return picked, nil
}

// quicken cuts workloads and servers down to a smoke run.
func (o *options) quicken() ([]Workload, error) {
	o.Rounds, o.Time = min(o.Rounds, 2), min(o.Time, 50*time.Millisecond)
	if o.Servers == "" {
		o.Servers = "gorilla,tcp"
		if o.find("ws") != nil {
			o.Servers = "ws," + o.Servers
		}
	}
	some := "echo/binary/32B/100,echo/cjk/1KiB/100,pipelined/64B,writers/64B,idle/plain,idle/tls,upgrade," +
		"broadcast/1/128B,room/1000/16,members/1,prepared/16/128B,mixed/1/1KiB,client/echo/32B,deflate/1KiB,memory/deflate"
	all, err := choose(workloads(50), some)
	for i := range all {
		all[i].Load.Conns = min(all[i].Load.Conns, 50)
		all[i].Core = true
	}
	return all, err
}

// find returns the server of that name, nil if there is none.
func (o *options) find(name string) *peer.Server {
	s, _ := findServer(o.known, name)
	return s
}

func list(w io.Writer, o *options) error {
	for _, x := range workloads(o.Idle) {
		core := ""
		if x.Core {
			core = " (core)"
		}
		fmt.Fprintf(w, "workload %-24s %s%s\n", x.Name, x.Title, core)
	}
	for _, s := range o.known {
		fmt.Fprintf(w, "server   %-24s %s\n", s.Name, s.About)
	}
	for _, c := range peer.Clients {
		fmt.Fprintf(w, "client   %-24s %s\n", c.Name, c.About)
	}
	return nil
}
