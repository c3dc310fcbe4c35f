//go:build linux

// Command rpc compares what a typed call costs servers: the router in both of its
// JSON envelopes, this library and gorilla with encoding/json by hand, and
// sourcegraph/jsonrpc2 over gorilla, to this library's echo of the same bytes.
//
//	cd bench/rpc && go run .
//
// Each server is a process of its own. A cell is the CPU time, user and system,
// that the server's process used for a call, as a ratio to the raw echo's in the
// same round: the median over the rounds, and in brackets the smallest and the
// largest. The raw echo is sent what the router is; JSON-RPC's requests are 20
// bytes longer. Every reply is checked.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/tidewire/ws/bench/proc"
)

func main() {
	rounds := flag.Int("rounds", 5, "how often each server gets its turn")
	turn := flag.Duration("time", 500*time.Millisecond, "how long a turn is")
	conns := flag.Int("conns", 100, "connections")
	serve := flag.Int("serve", -1, "be the server with this `index`; used by the program itself")
	flag.Parse()
	var err error
	if *serve >= 0 {
		err = beServer(*serve)
	} else {
		err = compare(os.Stdout, *rounds, *conns, *turn)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// beServer serves until the standard input ends.
func beServer(i int) error {
	if i >= len(servers) {
		return fmt.Errorf("no server %d", i)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(ln, servers[i].handler())
	return proc.Answer(os.Stdin, os.Stdout, ln.Addr().String(), nil)
}

// compare writes a table of all servers with 1 and with 64 calls in flight.
func compare(w io.Writer, rounds, conns int, turn time.Duration) error {
	fmt.Fprintf(w, "| server CPU a call, %d connections | 1 in flight | 64 in flight |\n| :-- | :-- | :-- |\n", conns)
	cells := make([][]string, len(servers))
	for _, inFlight := range []int{1, 64} {
		samples, err := contend(rounds, conns, inFlight, turn)
		if err != nil {
			return err
		}
		for i := range cells {
			cells[i] = append(cells[i], cell(samples, i))
		}
	}
	for i, s := range servers {
		fmt.Fprintf(w, "| %s | %s | %s |\n", s.name, cells[i][0], cells[i][1])
	}
	return nil
}

// cell sums up the samples of one server: the floor's are times, the others' ratios.
func cell(samples [][]time.Duration, i int) string {
	if i == 0 {
		times := slices.Clone(samples[0])
		slices.Sort(times)
		return "1 = " + times[len(times)/2].String()
	}
	var ratios []float64
	for round, d := range samples[i] {
		ratios = append(ratios, float64(d)/float64(samples[0][round]))
	}
	slices.Sort(ratios)
	return fmt.Sprintf("%.2f (%.2f-%.2f)", ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1])
}

// contest is all servers with their clients.
type contest struct {
	inFlight int
	children []*proc.Child
	clients  [][]*client // by server
}

func contend(rounds, conns, inFlight int, turn time.Duration) ([][]time.Duration, error) {
	c, err := newContest(conns, inFlight)
	defer c.stop()
	if err != nil {
		return nil, err
	}
	return c.measure(rounds, turn)
}

// newContest starts everything; what has been started is there to be stopped in any case.
func newContest(conns, inFlight int) (*contest, error) {
	c := &contest{inFlight: inFlight}
	program, err := os.Executable()
	if err != nil {
		return c, err
	}
	for i, s := range servers {
		child, err := proc.Start(exec.Command(program, "-serve", strconv.Itoa(i)))
		if err != nil {
			return c, fmt.Errorf("%s: %w", s.name, err)
		}
		c.children = append(c.children, child)
		c.clients = append(c.clients, nil)
		for range conns {
			cl, err := dial(child.Ready, s, inFlight)
			if err != nil {
				return c, fmt.Errorf("%s: %w", s.name, err)
			}
			c.clients[i] = append(c.clients[i], cl)
		}
	}
	return c, nil
}

func (c *contest) stop() {
	for _, clients := range c.clients {
		for _, cl := range clients {
			cl.nc.Close()
		}
	}
	for _, child := range c.children {
		child.Stop()
	}
}

// measure has the servers take turns, and returns the CPU time of a call, by
// server and round. Nobody is always first.
func (c *contest) measure(rounds int, turn time.Duration) ([][]time.Duration, error) {
	samples := make([][]time.Duration, len(servers))
	for round := range rounds {
		for k := range servers {
			i := (round + k) % len(servers)
			d, err := c.turn(i, turn)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", servers[i].name, err)
			}
			samples[i] = append(samples[i], d)
		}
	}
	return samples, nil
}

// turn has one server work. The clock is read while nothing is under way.
func (c *contest) turn(i int, turn time.Duration) (perCall time.Duration, err error) {
	before, err := proc.CPUTime(c.children[i].PID())
	if err != nil {
		return 0, err
	}
	type result struct {
		rounds int
		err    error
	}
	results := make(chan result, len(c.clients[i]))
	until := time.Now().Add(turn)
	for _, cl := range c.clients[i] {
		go func() {
			n, err := cl.run(until)
			results <- result{n, err}
		}()
	}
	calls := 0
	for range c.clients[i] {
		r := <-results
		calls += r.rounds * c.inFlight
		err = errors.Join(err, r.err)
	}
	after, clockErr := proc.CPUTime(c.children[i].PID())
	if err = errors.Join(err, clockErr); err != nil {
		return 0, err
	}
	if calls == 0 {
		return 0, errors.New("no call in a whole turn")
	}
	return (after - before) / time.Duration(calls), nil
}
