package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tidewire/ws"
)

// publisher publishes one message after the other. One that is not acknowledged
// is published again with the same id, by whatever node, until it is.
type publisher struct {
	run  *run
	name string
	conn *ws.Conn // nil: there is none
}

// publish publishes until stop ends, and then what it has begun until ctx does.
func (p *publisher) publish(ctx, stop context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	defer p.hangUp()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-stop.Done():
			return
		}
		id := fmt.Sprintf("%s-%d", p.name, n)
		room := p.run.ledgers[rand.IntN(len(p.run.ledgers))]
		for p.try(ctx, room, id) != nil {
			p.hangUp()
			pauseFor(ctx, rand.N(10*minPause))
			if ctx.Err() != nil {
				return
			}
			p.run.retried.Add(1)
		}
	}
}

func (p *publisher) try(ctx context.Context, room *ledger, id string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if p.conn == nil {
		if p.conn, err = dial(ctx, p.run.fleet.url(p.run.fleet.any(), p.name)); err != nil {
			return err
		}
	}
	if err := ws.Send(ctx, p.conn, request{N: 1, Publish: room.name, ID: id}); err != nil {
		return err
	}
	a, err := ws.Receive[reply](ctx, p.conn)
	if err != nil {
		return err
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	room.acknowledge(id, a.Pos)
	return nil
}

func (p *publisher) hangUp() {
	if p.conn != nil {
		_ = p.conn.CloseNow()
		p.conn = nil
	}
}
