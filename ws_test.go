package ws_test

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/tidewire/ws"
)

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

func TestHandlerServes(t *testing.T) {
	srv := httptest.NewServer(&ws.Handler{Serve: echo})
	defer srv.Close()
	_ = srv
}
