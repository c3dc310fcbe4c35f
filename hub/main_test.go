package hub_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// TestMain fails if goroutines are left when all connections have been closed.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	if left := leaked(before); left > 0 && code == 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines left behind:\n", left)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		code = 1
	}
	os.Exit(code)
}

// leaked returns how many goroutines there are beyond n, once those that are about to end had time to.
func leaked(n int) int {
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
