//go:build linux

package router_test

import (
	"context"
	"encoding/json"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/router"
)

// What BenchmarkDispatch's router takes of the CPU time that its plain version
// takes: the two by turns, so that the machine's other work hits both, by the
// clock of one thread, and the median over the turns.
func BenchmarkDispatchShare(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := router.New()
	router.Handle(r, "chat.post", func(_ context.Context, in benchIn) (benchOut, error) { return benchOut{in.N, true}, nil })
	c := newSink()
	defer c.CloseNow()
	ctx, err := r.Open(c.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	handlers := map[string]func(json.RawMessage) (any, error){"chat.post": func(data json.RawMessage) (any, error) {
		var in benchIn
		err := json.Unmarshal(data, &in)
		return benchOut{in.N, true}, err
	}}
	var shares []float64
	for b.Loop() {
		routed := threadTime(b, func() error { return r.Message(ctx, c, ws.Message{Type: ws.Text, Data: benchRequest}) })
		shares = append(shares, float64(routed)/float64(threadTime(b, func() error { return plain(c, handlers, benchRequest) })))
	}
	slices.Sort(shares)
	b.ReportMetric(shares[len(shares)/2], "of-plain")
	b.ReportMetric(0, "ns/op")
}

// threadTime is the CPU time of 1000 calls.
func threadTime(b *testing.B, f func() error) time.Duration {
	const thread = 1 // RUSAGE_THREAD
	var before, after syscall.Rusage
	if err := syscall.Getrusage(thread, &before); err != nil {
		b.Fatal(err)
	}
	for range 1000 {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
	if err := syscall.Getrusage(thread, &after); err != nil {
		b.Fatal(err)
	}
	spent := func(u *syscall.Rusage) int64 { return u.Utime.Nano() + u.Stime.Nano() }
	return time.Duration(spent(&after) - spent(&before))
}
