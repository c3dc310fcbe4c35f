//go:build !race

package router_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/router"
)

// A request costs two allocations beyond its own types: the context of its
// function, and what encoding/json needs to decode.
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
		in := &benchIn{Room: string(benchRequest[:2])}
		kept = in
		kept = benchOut{in.N, true}
	})
	_ = kept
	decode := testing.AllocsPerRun(1000, func() { _ = json.Unmarshal([]byte(`1`), new(int)) }) - 1
	if dispatch > own+decode+1 || decode > 1 {
		t.Errorf("%v allocations; %v are the types', %v encoding/json's", dispatch, own, decode)
	}
}
