// Package leaktest fails a package's tests if they leave goroutines behind.
package leaktest

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// Main runs the tests and exits. While fuzzing it checks nothing: the fuzzer has
// goroutines of its own.
func Main(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	if left := Left(before); left > 0 && code == 0 && !fuzzing() {
		fmt.Fprintf(os.Stderr, "%d goroutines left behind:\n", left)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		code = 1
	}
	os.Exit(code)
}

func fuzzing() bool {
	f := flag.Lookup("test.fuzz")
	return f != nil && f.Value.String() != ""
}

// Left returns how many goroutines there are beyond n, once those that are
// about to end had time to.
func Left(n int) int {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 250 {
		if runtime.NumGoroutine() <= n || fuzzing() {
			return 0
		}
		<-tick.C
	}
	return runtime.NumGoroutine() - n
}
