//go:build !race

package ws_test

import (
	"context"
	"testing"

	"github.com/tidewire/ws"
)

// TestEventsAllocs: a message that comes, is handled and answered allocates nothing, at either end.
func TestEventsAllocs(t *testing.T) {
	c := overTCP(t, &ws.Handler{Events: echoMessage}).dial()
	ctx, p, b := context.Background(), make([]byte, 100), make([]byte, 0, 200)
	trip := func() {
		if err := c.Write(ctx, ws.Binary, p); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.AppendRead(ctx, b); err != nil || len(got) != len(p) {
			t.Fatal(len(got), err)
		}
	}
	if n := testing.AllocsPerRun(500, trip); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}
