//go:build linux

package main

import (
	"fmt"
	"path"
	"strings"

	"github.com/tidewire/ws/bench/load"
	"github.com/tidewire/ws/bench/peer"
)

// A Workload is one row of a table.
type Workload struct {
	Name   string
	Title  string // of the table that the row is in
	Server peer.Config
	Load   load.Spec
	Shape  Shape
	Core   bool // runs unless others are asked for
}

// Shape is the way a workload is measured.
type Shape int

const (
	Windows Shape = iota // CPU time a message, in windows of time
	Memory               // resident memory a connection: opened, after a message
	Traffic              // CPU time a message, and resident memory a connection, under traffic and after it
	Clients              // CPU time a message of the clients
)

// Titles of the tables.
const (
	titleEcho      = "Echo, ping-pong"
	titlePipelined = "Echo, 64 messages in flight on each of 10 connections"
	titleWriters   = "16 goroutines writing to one connection"
	titleIdle      = "Idle connections"
	titleUpgrade   = "Connect, upgrade, close"
	titleBroadcast = "Broadcast to 1,000 connections"
	titleClients   = "Client side, against gorilla's server"
	titleDeflate   = "Echo of JSON texts, compressed, 100 connections"
	titleMemory    = "Echo of JSON texts of 1 KiB on 2,000 connections"
)

// workloads returns all of them; idle is how many connections the idle ones have.
func workloads(idle int) []Workload {
	var all []Workload
	all = append(all, echoes()...)
	all = append(all, pipelined()...)
	all = append(all, writers()...)
	all = append(all, idles(idle)...)
	all = append(all, Workload{
		Name: "upgrade", Title: titleUpgrade, Core: true,
		Server: peer.Config{Mode: peer.Echo},
		Load:   load.Spec{Kind: load.Upgrade, Conns: 4, Payload: load.Binary, Size: 1},
	})
	all = append(all, broadcasts()...)
	all = append(all, rooms(idle)...)
	all = append(all, clients()...)
	all = append(all, deflates()...)
	return append(all, memories()...)
}

func echoes() (all []Workload) {
	for _, payload := range []load.Payload{load.Binary, load.ASCII, load.CJK} {
		mode := peer.Text
		if payload == load.Binary {
			mode = peer.Echo
		}
		for _, size := range []int{32, 1 << 10, 16 << 10, 256 << 10} {
			for _, conns := range []int{1, 100, 1000} {
				all = append(all, Workload{
					Name:   fmt.Sprintf("echo/%s/%s/%d", payload, bytesName(size), conns),
					Title:  titleEcho,
					Core:   conns == 100 && (payload == load.Binary || size == 1<<10) || size <= 1<<10 && payload == load.Binary,
					Server: peer.Config{Mode: mode},
					Load:   load.Spec{Kind: load.Echo, Conns: conns, Payload: payload, Size: size, InFlight: 1},
				})
			}
		}
	}
	return all
}

func pipelined() (all []Workload) {
	for _, size := range []int{64, 1 << 10} {
		all = append(all, Workload{
			Name: "pipelined/" + bytesName(size), Title: titlePipelined, Core: true,
			Server: peer.Config{Mode: peer.Echo},
			Load:   load.Spec{Kind: load.Echo, Conns: 10, Payload: load.Binary, Size: size, InFlight: 64},
		})
	}
	return all
}

func writers() (all []Workload) {
	for _, size := range []int{64, 1 << 10} {
		all = append(all, Workload{
			Name: "writers/" + bytesName(size), Title: titleWriters, Core: true,
			Server: peer.Config{Mode: peer.Writers},
			Load:   load.Spec{Kind: load.Fan, Conns: 1, Payload: load.Binary, Size: size, Fan: peer.Goroutines * peer.Each},
		})
	}
	return all
}

func idles(conns int) []Workload {
	idle := func(name string, cfg peer.Config) Workload {
		return Workload{
			Name: "idle/" + name, Title: titleIdle, Shape: Memory, Core: true, Server: cfg,
			Load: load.Spec{Kind: load.Idle, Conns: conns, TLS: cfg.TLS, Payload: load.Binary, Size: 32, InFlight: 1},
		}
	}
	return []Workload{
		idle("plain", peer.Config{Mode: peer.Echo}),
		idle("chi", peer.Config{Mode: peer.Echo, Chi: true}),
		idle("stack", peer.Config{Mode: peer.Stack}),
		idle("tls", peer.Config{Mode: peer.Echo, TLS: true}),
	}
}

func broadcasts() (all []Workload) {
	for _, mode := range []peer.Mode{peer.Broadcast, peer.Prepared} {
		for _, burst := range []int{1, 16} {
			for _, size := range []int{128, 2 << 10} {
				all = append(all, Workload{
					Name:   fmt.Sprintf("%s/%d/%s", mode, burst, bytesName(size)),
					Title:  titleBroadcast,
					Core:   true,
					Server: peer.Config{Mode: mode, Burst: burst},
					Load:   load.Spec{Kind: load.Fan, Conns: 1000, Payload: load.Binary, Size: size, Fan: burst, Numbered: true},
				})
			}
		}
	}
	return append(all, Workload{
		Name: "mixed/1/1KiB", Title: titleBroadcast, Core: true,
		Server: peer.Config{Mode: peer.Mixed, Burst: 1},
		Load:   load.Spec{Kind: load.Fan, Conns: 1000, Payload: load.JSON, Size: 1 << 10, Fan: 1, Numbered: true, Mixed: true},
	})
}

func clients() []Workload {
	client := func(name string, spec load.Spec) Workload {
		return Workload{
			Name: "client/" + name, Title: titleClients, Shape: Clients, Core: true,
			Server: peer.Config{Mode: peer.Echo}, Load: spec,
		}
	}
	return []Workload{
		client("echo/32B", load.Spec{Kind: load.Echo, Conns: 100, Size: 32}),
		client("echo/1KiB", load.Spec{Kind: load.Echo, Conns: 100, Size: 1 << 10}),
		client("echo/16KiB", load.Spec{Kind: load.Echo, Conns: 100, Size: 16 << 10}),
		client("dial", load.Spec{Kind: load.Upgrade, Conns: 4}),
	}
}

func deflates() (all []Workload) {
	for _, mode := range []peer.Mode{peer.Deflate, peer.Takeover} {
		for _, size := range []int{128, 1 << 10, 16 << 10} {
			all = append(all, Workload{
				Name:   fmt.Sprintf("%s/%s", mode, bytesName(size)),
				Title:  titleDeflate,
				Core:   true,
				Server: peer.Config{Mode: mode},
				Load:   compressed(load.Spec{Conns: 100, Size: size}, mode),
			})
		}
	}
	return all
}

func memories() []Workload {
	memory := func(name string, mode peer.Mode, window int) Workload {
		spec := load.Spec{Kind: load.Echo, Conns: 2000, Payload: load.JSON, Size: 1 << 10, InFlight: 1}
		if mode != peer.Echo {
			spec = compressed(spec, mode)
			spec.Window = window
		}
		return Workload{
			Name: "memory/" + name, Title: titleMemory, Shape: Traffic, Core: true,
			Server: peer.Config{Mode: mode}, Load: spec,
		}
	}
	return []Workload{
		memory("plain", peer.Echo, 0),
		memory("deflate", peer.Deflate, 0),
		memory("takeover", peer.Takeover, 0),
		memory("takeover-12-bits", peer.Takeover, 12),
	}
}

// compressed makes spec one of JSON texts in the compression of mode.
func compressed(spec load.Spec, mode peer.Mode) load.Spec {
	spec.Kind, spec.Payload, spec.InFlight = load.Echo, load.JSON, 1
	spec.Deflate, spec.Takeover = true, mode == peer.Takeover
	return spec
}

func bytesName(n int) string {
	if n >= 1<<10 {
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}

// choose returns those of all that patterns name, separated by commas: "core", "all", or names with the wildcards of
// path.Match, where a name's beginning up to a slash stands for all below it.
func choose(all []Workload, patterns string) ([]Workload, error) {
	var chosen []Workload
	for _, w := range all {
		for pattern := range strings.SplitSeq(patterns, ",") {
			if ok, err := matches(w, pattern); err != nil {
				return nil, fmt.Errorf("workload %q: %w", pattern, err)
			} else if ok {
				chosen = append(chosen, w)
				break
			}
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no workload is called %q; -list lists them", patterns)
	}
	return chosen, nil
}

func matches(w Workload, pattern string) (bool, error) {
	switch pattern {
	case "all":
		return true, nil
	case "core":
		return w.Core, nil
	}
	parts := strings.Split(w.Name, "/")
	n := min(len(parts), strings.Count(pattern, "/")+1)
	return path.Match(pattern, strings.Join(parts[:n], "/"))
}
