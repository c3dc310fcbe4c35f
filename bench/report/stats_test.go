package report_test

import (
	"math"
	"testing"

	"github.com/tidewire/ws/bench/report"
)

var nan = math.NaN()

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		x    []float64
		want float64
	}{
		{nil, nan},
		{[]float64{nan, nan}, nan},
		{[]float64{4}, 4},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
		{[]float64{nan, 7, nan, 3, 5}, 5},
	} {
		if got := report.Median(c.x); !same(got, c.want) {
			t.Errorf("Median(%v) = %v, want %v", c.x, got, c.want)
		}
	}
}

func TestMedianKeepsOrder(t *testing.T) {
	x := []float64{3, 1, 2}
	report.Median(x)
	if x[0] != 3 || x[1] != 1 || x[2] != 2 {
		t.Errorf("Median changed its argument to %v", x)
	}
}

func TestRatio(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b []float64
		want float64
	}{
		{"by rounds, not by medians", []float64{1, 20, 300}, []float64{2, 10, 600}, 0.5},
		{"a round missed by one", []float64{1, nan, 6}, []float64{2, 1, 2}, 1.75},
		{"a round missed by the other", []float64{1, 5, 6}, []float64{2, nan, 2}, 1.75},
		{"unequal lengths", []float64{3, 9}, []float64{1}, 3},
		{"nothing to compare with", []float64{3}, nil, nan},
	} {
		if got := report.Ratio(c.a, c.b); !same(got, c.want) {
			t.Errorf("%s: Ratio(%v, %v) = %v, want %v", c.name, c.a, c.b, got, c.want)
		}
	}
}

func TestSpread(t *testing.T) {
	if got := report.Spread([]float64{9, 10, 13}, []float64{1, 1, 1}); !same(got, 0.2) {
		t.Errorf("Spread = %v, want (13-9)/2/10", got)
	}
	if got := report.Spread(nil, nil); !math.IsNaN(got) {
		t.Errorf("Spread of nothing = %v, want NaN", got)
	}
}

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
