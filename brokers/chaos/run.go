package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	startTimeout = time.Minute      // of an engine, or a node
	callTimeout  = 10 * time.Second // of a connection, or a request
)

// run is one run: nodes, clients and publishers, and what the checker knows of them.
type run struct {
	options
	fleet   *fleet
	ledgers []*ledger
	clients []*client
	verdict verdict

	delivered, retried, gaps atomic.Int64
	kills                    int
	took                     time.Duration

	mu       sync.Mutex
	resumes  []time.Duration // guarded by mu
	presence []time.Duration // from a kill until everybody saw who is there
}

// newRun makes the rooms, and the clients' places in them.
func newRun(o options) *run {
	r := &run{options: o}
	for i := range o.Rooms {
		r.ledgers = append(r.ledgers, newLedger(fmt.Sprint("room ", i), &r.verdict))
	}
	for i := range o.Clients {
		c := &client{
			run: r, name: fmt.Sprint("c", i), readings: make(map[string]*reading),
			watches: i%max(1, o.Clients/o.Watchers) == 0, there: make(map[string]string),
		}
		for k := range min(o.Joins, o.Rooms) {
			l := r.ledgers[(i+k*(1+i/o.Rooms))%o.Rooms]
			c.readings[l.name] = &reading{ledger: l, got: make(map[uint64]bool)}
		}
		r.clients = append(r.clients, c)
	}
	return r
}

func (r *run) resumed(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resumes = append(r.resumes, d)
}

// do does all of it: everybody joins, messages are published while nodes are
// killed, and in the end everybody must have got everything.
func (r *run) do(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is in the system's temporary directory
	e, err := startEngine(r.Engine, dir, r.Nodes)
	if err != nil {
		return err
	}
	defer e.stop()
	if r.fleet, err = startFleet(r.options, e); err != nil {
		return err
	}
	defer r.fleet.stop()

	ctx, cancel := context.WithCancel(ctx)
	var living sync.WaitGroup
	defer living.Wait()
	defer cancel()
	if err := r.connect(ctx, &living); err != nil {
		return err
	}
	begun := time.Now()
	loaded, stop := context.WithTimeout(ctx, r.For)
	defer stop()
	var publishing sync.WaitGroup
	for i := range r.Publishers {
		p := &publisher{run: r, name: fmt.Sprint("p", i)}
		publishing.Go(func() { p.publish(ctx, loaded, time.Duration(float64(r.Publishers)/r.Rate*float64(time.Second))) })
	}
	if err := r.killNodes(loaded); err != nil {
		return err
	}
	<-loaded.Done()
	publishing.Wait()
	r.took = time.Since(begun)
	r.settle(ctx)
	return ctx.Err()
}

// connect has all clients join their rooms, some at a time.
func (r *run) connect(ctx context.Context, living *sync.WaitGroup) error {
	const atOnce = 50
	turns := make(chan struct{}, atOnce)
	var joined sync.WaitGroup
	for _, c := range r.clients {
		select {
		case turns <- struct{}{}:
		case <-time.After(startTimeout):
			return fmt.Errorf("%d clients can't join", atOnce)
		}
		joined.Add(1)
		living.Go(func() {
			c.live(ctx, func() {
				<-turns
				joined.Done()
			})
		})
	}
	joined.Wait()
	wrong := r.awaitPresence(r.patience())
	if wrong != "" {
		return fmt.Errorf("before anything has happened: %s", wrong)
	}
	return nil
}

// killNodes kills one node after the other, and starts it again, until ctx ends.
func (r *run) killNodes(ctx context.Context) error {
	tick := time.NewTicker(r.Kill)
	defer tick.Stop()
	for ; ; r.kills++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		i := r.kills % r.Nodes
		at := time.Now()
		r.fleet.kill(i)
		back := make(chan error, 1)
		go func() {
			pauseFor(ctx, r.Down)
			back <- r.fleet.start(i)
		}()
		wrong := r.awaitPresence(r.patience())
		if wrong != "" {
			r.verdict.count(&r.verdict.Presence, "kill %d: after %v %s", r.kills, time.Since(at).Round(time.Millisecond), wrong)
		}
		r.presence = append(r.presence, time.Since(at))
		if r.Verbose {
			fmt.Fprintf(os.Stderr, "kill %d of node %d: presence right after %v, %d messages acknowledged\n", r.kills, i, time.Since(at), r.acknowledged())
		}
		if err := <-back; err != nil {
			return fmt.Errorf("after kill %d: %w", r.kills, err)
		}
	}
}

// patience is how long presence may be wrong: a node is dead that has missed
// three heartbeats, which shows at the next one; and messages take their time.
func (r *run) patience() time.Duration { return 4*r.Heartbeat + r.Slack }

// awaitPresence waits until everybody who watches sees exactly who is there, and
// says what is still wrong after d.
func (r *run) awaitPresence(d time.Duration) (wrong string) {
	names := make(map[string]bool)
	var watching []*client
	for _, c := range r.clients {
		if c.watches {
			names[c.name] = true
			watching = append(watching, c)
		}
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); ; <-tick.C {
		wrong = ""
		for _, c := range watching {
			if wrong = c.sees(names); wrong != "" {
				break
			}
		}
		if wrong == "" || time.Since(begun) > d {
			return wrong
		}
	}
}

// settle waits until everybody has everything that was acknowledged, and counts
// what somebody hasn't.
func (r *run) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for ctx.Err() == nil && slices.ContainsFunc(r.clients, (*client).waits) {
		pauseFor(ctx, 50*time.Millisecond)
	}
	for _, c := range r.clients {
		for room, reading := range c.readings {
			for _, id := range reading.missing() {
				r.verdict.count(&r.verdict.Lost, "%s in %s: %s never came", c.name, room, id)
			}
		}
	}
}

func (c *client) waits() bool {
	for _, reading := range c.readings {
		if len(reading.missing()) > 0 {
			return true
		}
	}
	return false
}

func (r *run) acknowledged() (n int) {
	for _, l := range r.ledgers {
		n += l.acknowledged()
	}
	return n
}
