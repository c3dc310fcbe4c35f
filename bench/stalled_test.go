//go:build linux

package main

import (
	"fmt"
	"strings"
	"testing"
)

// Those who read nothing have to lose messages, or it isn't measured what they cost.
func TestStalled(t *testing.T) {
	var b strings.Builder
	if err := stalledMain([]string{"-members", "20", "-rounds", "1", "-time", "30ms"}, &b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 7 {
		t.Fatal(b.String())
	}
	for i, want := range []int{0, 1, 2} {
		var stalled, dropped int
		cells := strings.Split(lines[4+i], "|")
		fmt.Sscan(cells[1], &stalled)
		fmt.Sscan(cells[6], &dropped)
		if stalled != want || (dropped > 0) != (want > 0) {
			t.Errorf("%d stalled, %d dropped: %s", stalled, dropped, lines[4+i])
		}
	}
}
