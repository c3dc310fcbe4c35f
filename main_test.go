package ws_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// TestMain fails if goroutines are left when all servers and connections have
// been closed.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	if left := goroutinesAbove(before); left > 0 && code == 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines left behind:\n", left)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		code = 1
	}
	os.Exit(code)
}

// goroutinesAbove returns how many goroutines there are beyond n, once those
// that are about to end have had the time.
func goroutinesAbove(n int) int {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 250 {
		if runtime.NumGoroutine() <= n {
			return 0
		}
		<-tick.C
	}
	return runtime.NumGoroutine() - n
}
