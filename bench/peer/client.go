//go:build linux

package peer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewire/ws/bench/load"
	"github.com/tidewire/ws/bench/proc"
)

// A Client is a library's client side.
type Client struct {
	Name  string
	Role  Role
	About string
	Dial  func(url string) (Session, error)
}

// A Session is a connection of a client to a server that echoes.
type Session interface {
	// Echo sends p as a binary message, again after each reply that more likes, and returns after the first that it doesn't.
	Echo(p []byte, more func(reply []byte) bool) error
	// Close closes with 1000.
	Close() error
}

// Clients are all clients that are built in, in the order of the tables' columns.
var Clients = []*Client{&ownClient, &gorillaClient, &coderClient, &gobwasClient, &gwsClient}

// Main is a client's process. It understands "run DURATION", "gc" and "mallocs" (see load.Main and Server.Main).
func (c *Client) Main(spec load.Spec, r io.Reader, w io.Writer) error {
	url := "ws://" + spec.Addr + "/"
	run := func(d time.Duration) (load.Result, error) { return c.dial(url, spec.Conns, d) }
	if spec.Kind == load.Echo {
		echoer, err := c.newEchoer(url, spec)
		if err != nil {
			return err
		}
		run = echoer.run
	}
	commands := maps.Clone(control)
	commands["run"] = load.Timed(run)
	return proc.Answer(r, w, "", commands)
}

// echoer has several sessions talk at once.
type echoer struct {
	sessions []Session
	payload  []byte
}

func (c *Client) newEchoer(url string, spec load.Spec) (*echoer, error) {
	payloads, err := load.Payloads(load.Binary, spec.Size, 1)
	if err != nil {
		return nil, err
	}
	e := &echoer{payload: payloads[0]}
	for range spec.Conns {
		s, err := c.Dial(url)
		if err != nil {
			return nil, err
		}
		e.sessions = append(e.sessions, s)
	}
	return e, nil
}

func (e *echoer) run(d time.Duration) (load.Result, error) {
	var stop atomic.Bool
	time.AfterFunc(d, func() { stop.Store(true) })
	counts := make([]int, len(e.sessions))
	return measure(len(e.sessions), func(i int, _ time.Time) error {
		wrong := false
		err := e.sessions[i].Echo(e.payload, func(reply []byte) bool {
			counts[i]++
			wrong = wrong || !bytes.Equal(reply, e.payload)
			return !wrong && !stop.Load()
		})
		if wrong {
			err = errors.New("another message came back than was sent")
		}
		return err
	}, counts)
}

// dial opens and closes sessions for d, workers of them at a time and so many at least.
func (c *Client) dial(url string, workers int, d time.Duration) (load.Result, error) {
	counts := make([]int, workers)
	return measure(workers, func(i int, start time.Time) error {
		for ; counts[i] == 0 || time.Since(start) < d; counts[i]++ {
			s, err := c.Dial(url)
			if err != nil {
				return err
			}
			if err := s.Close(); err != nil {
				return err
			}
		}
		return nil
	}, counts)
}

// measure runs work n times at once and counts what it wrote into counts.
func measure(n int, work func(i int, start time.Time) error, counts []int) (load.Result, error) {
	meter, err := load.StartMeter(0)
	if err != nil {
		return load.Result{}, err
	}
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = work(i, meter.Start) })
	}
	wg.Wait()
	var result load.Result
	for _, n := range counts {
		result.Messages += n
	}
	if err := errors.Join(errs...); err != nil {
		return result, fmt.Errorf("after %d messages: %w", result.Messages, err)
	}
	err = meter.Stop(&result)
	return result, err
}
