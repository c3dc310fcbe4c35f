package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/redis/rueidis"

	wsnats "github.com/tidewire/ws/brokers/nats"
	"github.com/tidewire/ws/brokers/nats/embedded"
	"github.com/tidewire/ws/brokers/redis"
	"github.com/tidewire/ws/hub"
)

// engines are what nodes can talk through: a server outside of them, or one inside each.
var engines = []string{"redis", "nats", "embedded"}

// engineConfig says how a node reaches the engine.
type engineConfig struct {
	Kind    string
	Addr    string // of the server outside
	Cluster string // of the server inside
	Routes  []string
	Dir     string
}

const reconnectWait = 50 * time.Millisecond

func (e engineConfig) connect() (hub.Broker, error) {
	switch e.Kind {
	case "redis":
		c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{e.Addr}, DisableCache: true, ForceSingleClient: true})
		if err != nil {
			return nil, err
		}
		return redis.New(c, nil), nil
	case "nats":
		nc, err := nats.Connect(e.Addr, nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait))
		if err != nil {
			return nil, err
		}
		return wsnats.New(nc, stream(1)), nil
	case "embedded":
		s, err := embedded.Start(embedded.Options{Name: filepath.Base(e.Dir), Cluster: e.Cluster, Routes: e.Routes, Dir: e.Dir})
		if err != nil {
			return nil, err
		}
		nc, err := s.Connect(nats.ReconnectWait(reconnectWait))
		if err != nil {
			return nil, err
		}
		return wsnats.New(nc, stream(len(e.Routes))), nil
	}
	return nil, fmt.Errorf("no engine is called %q", e.Kind)
}

func stream(replicas int) *wsnats.Options {
	return &wsnats.Options{JetStream: &wsnats.Stream{PerRoom: history, Replicas: min(replicas, 3)}}
}

// engine is what all nodes share.
type engine struct {
	kind   string
	dir    string
	addr   string
	routes []string
	server *exec.Cmd // nil: each node brings its own
}

// errMissing is a program that is not installed.
var errMissing = errors.New("not installed: apt-get install")

func startEngine(kind, dir string, nodes int) (*engine, error) {
	e := &engine{kind: kind, dir: dir}
	if kind == "embedded" {
		e.routes = freeAddrs(nodes)
		return e, nil
	}
	e.addr = freeAddrs(1)[0]
	host, port, _ := net.SplitHostPort(e.addr) // it has just been joined
	line := map[string][]string{
		"redis": {"redis-server", "--port", port, "--bind", host, "--dir", dir, "--save", "", "--appendonly", "no", "--loglevel", "warning"},
		"nats":  {"nats-server", "-a", host, "-p", port, "-js", "-sd", dir, "-l", filepath.Join(dir, "log")},
	}[kind]
	if line == nil {
		return nil, fmt.Errorf("no engine is called %q", kind)
	}
	path, err := exec.LookPath(line[0])
	if err != nil {
		return nil, fmt.Errorf("%s is %w %s", line[0], errMissing, line[0])
	}
	e.server = exec.Command(path, line[1:]...)
	e.server.Stderr = os.Stderr
	if err := e.server.Start(); err != nil {
		return nil, err
	}
	if err := awaitListener(e.addr); err != nil {
		e.stop()
		return nil, err
	}
	return e, nil
}

func (e *engine) stop() {
	if e.server != nil {
		_ = e.server.Process.Kill() // it may be gone
		_ = e.server.Wait()
	}
}

// of returns how the i-th node reaches the engine.
func (e *engine) of(i int) engineConfig {
	cfg := engineConfig{Kind: e.kind, Addr: e.addr}
	if e.routes != nil {
		cfg.Cluster, cfg.Routes, cfg.Dir = e.routes[i], e.routes, filepath.Join(e.dir, fmt.Sprint("n", i))
	}
	return cfg
}

// freeAddrs returns addresses on which nobody listens at the moment.
func freeAddrs(n int) []string {
	addrs := make([]string, n)
	for i := range addrs {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err) // a machine without a loopback interface
		}
		defer ln.Close()
		addrs[i] = ln.Addr().String()
	}
	return addrs
}

func awaitListener(addr string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return nil
		}
		<-tick.C
	}
	return fmt.Errorf("nobody listens at %s", addr)
}
