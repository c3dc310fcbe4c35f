//go:build !race

package router_test

import (
	"context"
	"testing"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/router"
)

// A request costs one allocation beyond those of its own types: its function's context.
func TestDispatchAllocations(t *testing.T) {
	r := router.New()
	router.Handle(r, "chat.post", func(_ context.Context, in benchIn) (benchOut, error) { return benchOut{in.N, true}, nil })
	c := newSink()
	defer c.CloseNow()
	ctx, err := r.Open(c.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	dispatch := testing.AllocsPerRun(1000, func() {
		if err := r.Message(ctx, c, ws.Message{Type: ws.Text, Data: benchRequest}); err != nil {
			t.Fatal(err)
		}
	})
	var kept any
	own := testing.AllocsPerRun(1000, func() {
		in := new(benchIn)
		if err := codec.JSON.Decode(benchRequest[len(`{"id":7,"type":"chat.post","data":`):len(benchRequest)-1], in); err != nil {
			t.Fatal(err)
		}
		kept = benchOut{in.N, true}
	})
	_ = kept
	if dispatch > own+1 {
		t.Errorf("%v allocations, of which the types' are %v", dispatch, own)
	}
}
