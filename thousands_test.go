//go:build linux

package ws_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidewire/ws"
)

// TestShutdownOfThousands has 5,000 clients told to come back: each by a close frame with the code and the hint that were
// asked for, over the time that was asked for, and nothing is left of them. (TestDrain looks at the times, in a bubble.)
func TestShutdownOfThousands(t *testing.T) {
	n := 5000
	if testing.Short() || raceEnabled {
		n = 500
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Cur < uint64(2*n+1000) {
		t.Skipf("%d connections need twice as many files: raise the limit (ulimit -n %d)", n, 2*n+1000)
	}
	forms(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
		before := openFiles(t)
		h := handler(echoMessage)
		h.Options.Drain = ws.Drain{Code: ws.StatusServiceRestart, Spread: time.Second, RetryAfter: time.Minute}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: h}
		go srv.Serve(ln)
		ends := leaving(t, ln.Addr().String(), n, func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := h.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		})
		srv.Close()
		slices.SortFunc(ends, func(a, b visitorEnd) int { return int(a.after - b.after) })
		for _, end := range ends {
			var closed *ws.CloseError
			wait, ok := ws.RetryAfter(end.err)
			if !errors.As(end.err, &closed) || closed.Code != ws.StatusServiceRestart || closed.SentFirst || !ok || wait > time.Minute {
				t.Fatalf("a client saw %v", end.err)
			}
		}
		first, half, last := ends[0].after, ends[n/2].after, ends[n-1].after
		t.Logf("the first of %d was told after %v, half of them after %v, the last after %v", n, first, half, last)
		if last-first < h.Options.Drain.Spread/2 {
			t.Errorf("all were told within %v", last-first)
		}
		if stats := h.Stats(); stats.Live != 0 || stats.Closed["shutdown"] != int64(n) {
			t.Errorf("%d are left, closed %v", stats.Live, stats.Closed)
		}
		if after := openFiles(t); after > before+10 {
			t.Errorf("%d files were open before, %d are now", before, after)
		}
	})
}

// leaving opens n connections, calls f, and returns how they ended, and how long after f's beginning.
func leaving(t *testing.T, addr string, n int, f func()) []visitorEnd {
	t.Helper()
	conns := make([]*ws.Conn, n)
	for i := range conns {
		var err error
		if conns[i], err = dialFrom(addr, i); err != nil {
			t.Fatal(err)
		}
	}
	ends := make([]visitorEnd, n)
	start := time.Now()
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() {
			_, _, err := c.Read(t.Context())
			ends[i] = visitorEnd{time.Since(start), err}
			_ = c.CloseNow()
		})
	}
	f()
	wg.Wait()
	return ends
}

func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
