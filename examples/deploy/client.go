package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/tidewire/ws"
)

// sender has orders that must not get lost. It forgets one when it is
// acknowledged, and sends all others again on each new connection.
type sender struct {
	client  string
	pending []Order // not acknowledged, in order
	every   time.Duration
}

func newSender(client string, n int, every time.Duration) *sender {
	s := &sender{client: client, every: every}
	for i := range n {
		s.pending = append(s.pending, Order{client, i + 1, fmt.Sprintf("order %d of %s", i+1, client)})
	}
	return s
}

// run sends everything, over as many connections as it takes; changed is told of each loss of one.
func (s *sender) run(ctx context.Context, r *ws.Redialer, changed func(error)) error {
	for c, err := range r.Conns(ctx) {
		var retry *ws.Retry
		switch {
		case errors.As(err, &retry):
			changed(err)
		case err != nil:
			return err
		default:
			if s.use(ctx, c); len(s.pending) == 0 {
				return c.Close(ctx, ws.StatusNormal, "all sent")
			}
		}
	}
	return ctx.Err()
}

// use sends what is pending until everything is acknowledged, or the connection has ended.
func (s *sender) use(ctx context.Context, c *ws.Conn) {
	go s.send(ctx, c, s.pending)
	for len(s.pending) > 0 {
		ack, err := ws.Receive[Ack](ctx, c)
		if err != nil {
			return // and Redialer knows why
		}
		for len(s.pending) > 0 && s.pending[0].Seq <= ack.Seq {
			s.pending = s.pending[1:]
		}
	}
}

func (s *sender) send(ctx context.Context, c *ws.Conn, orders []Order) {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for _, o := range orders {
		if ws.Send(ctx, c, o) != nil {
			return // Receive returns the same
		}
		select {
		case <-tick.C:
		case <-c.Context().Done():
			return
		}
	}
}

func send(ctx context.Context, flags *flag.FlagSet, args []string) error {
	client := flags.String("client", fmt.Sprint("client-", os.Getpid()), "`name` of the client")
	n := flags.Int("n", 1000, "number of orders")
	every := flags.Duration("every", 20*time.Millisecond, "time between two orders")
	_ = flags.Parse(args)
	if flags.NArg() != 1 || *every <= 0 {
		return errors.New("usage: deploy send [flags] ws://host:port")
	}
	s := newSender(*client, *n, *every)
	return s.run(ctx, &ws.Redialer{URL: flags.Arg(0)}, func(err error) { log.Print(err) })
}
