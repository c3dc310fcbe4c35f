package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/tidewire/ws"
)

// echo sends the messages of a connection back until it ends.
func echo(ctx context.Context, c *ws.Conn) error {
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		if err := c.Write(ctx, m.Type, m.Data); err != nil {
			return err
		}
	}
	return nil
}

// serve serves connections on ln until ctx ends, and then takes leave of them.
func serve(ctx context.Context, ln net.Listener) error {
	h := &ws.Handler{Serve: echo, Options: ws.Options{
		ReadLimit:    readLimit,
		MaxFragments: maxFragments,
		Compression:  ws.CompressionTakeover,
	}}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return errors.Join(h.Shutdown(ctx), srv.Shutdown(ctx))
}
