package main

import (
	"context"
	"time"

	"github.com/tidewire/ws"
)

// watcher shows a file to everybody who connects.
type watcher struct {
	file  string
	every time.Duration // how often to look
}

// serve follows the file on behalf of one visitor. One who reads slowly holds
// up nobody and needs no queue: this loop waits in Write, and finds the rest in
// the file.
func (w watcher) serve(ctx context.Context, c *ws.Conn) error {
	ctx = c.CloseRead(ctx) // nothing is expected of the visitor but pongs and a close
	t := &tail{path: w.file}
	defer t.close()
	look := time.NewTicker(w.every)
	defer look.Stop()
	for {
		lines, more, err := t.next()
		if err != nil {
			return err
		}
		if len(lines) > 0 {
			if err := c.Write(ctx, ws.Text, lines); err != nil {
				return err
			}
		}
		if more {
			continue
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
