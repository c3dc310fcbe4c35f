//go:build linux

// Command bench runs WebSocket servers side by side and prints what they cost, as Markdown. README.md says what is measured,
// how, and how to read it.
//
//	go run .                    the core workloads over all servers
//	go run . -list              names of workloads, servers and clients
//	go run . -quick             a smoke run of a few seconds
//	go run . stalled            what members of a room that have stalled cost the others
//	go run . profile -server X  CPU and allocation profiles of a server under load
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/tidewire/ws/bench/load"
	"github.com/tidewire/ws/bench/peer"
)

func main() {
	if err := dispatch(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// dispatch runs a subcommand. serve, client and load are what the bench starts its children with.
func dispatch(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "serve":
			return tell(serveMain(args[1:]))
		case "client":
			return tell(clientMain(args[1:]))
		case "load":
			return tell(loadMain(args[1:]))
		case "profile":
			return profileMain(args[1:])
		case "stalled":
			return stalledMain(args[1:], os.Stdout)
		}
	}
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.List {
		return list(os.Stdout, o)
	}
	return runAll(o)
}

// tell hands a child's error to the parent, who waits for a line.
func tell(err error) error {
	if err != nil {
		fmt.Println("error:", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

// serveMain: NAME CONFIG.
func serveMain(args []string) error {
	var cfg peer.Config
	if err := json.Unmarshal([]byte(args[1]), &cfg); err != nil {
		return err
	}
	s, err := findServer(peer.Servers, args[0])
	if err != nil {
		return err
	}
	return s.Main(cfg, os.Stdin, os.Stdout)
}

// clientMain: NAME SPEC.
func clientMain(args []string) error {
	var spec load.Spec
	if err := json.Unmarshal([]byte(args[1]), &spec); err != nil {
		return err
	}
	c, err := findClient(args[0])
	if err != nil {
		return err
	}
	return c.Main(spec, os.Stdin, os.Stdout)
}

// loadMain: SPEC.
func loadMain(args []string) error {
	var spec load.Spec
	if err := json.Unmarshal([]byte(args[0]), &spec); err != nil {
		return err
	}
	return load.Main(spec, os.Stdin, os.Stdout)
}

func findServer(servers []*peer.Server, name string) (*peer.Server, error) {
	for _, s := range servers {
		if s.Name == name {
			return s, nil
		}
	}
	return nil, fmt.Errorf("no server is called %q; -list lists them", name)
}

func findClient(name string) (*peer.Client, error) {
	for _, c := range peer.Clients {
		if c.Name == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("no client is called %q; -list lists them", name)
}
