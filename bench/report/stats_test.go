package report_test

import (
	"math"
	"math/rand/v2"
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

// The ranks are those of tables of the sign test: rounds 1 to n, in any order, show which were taken.
func TestInterval(t *testing.T) {
	for _, c := range []struct {
		rounds    int
		low, high float64
	}{
		{0, nan, nan}, {5, nan, nan}, {6, 1, 6}, {8, 1, 8}, {9, 2, 8}, {20, 6, 15}, {40, 14, 27}, {100, 40, 61}, {2000, 956, 1045},
	} {
		var a, b []float64
		for _, i := range rand.Perm(c.rounds) {
			a, b = append(a, 2*float64(i+1), nan), append(b, 2, 1)
		}
		if low, high := report.Interval(a, b); !same(low, c.low) || !same(high, c.high) {
			t.Errorf("%d rounds: %v to %v, want %v to %v", c.rounds, low, high, c.low, c.high)
		}
	}
}

// Of many intervals of ratios whose median is 1, 95 % must contain that, however skewed they are.
func TestIntervalIsHonest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const trials = 2000
	hits := 0
	for range trials {
		a, b := make([]float64, 40), make([]float64, 40)
		for i := range a {
			a[i], b[i] = math.Exp(math.Abs(r.NormFloat64())), math.Exp(math.Abs(r.NormFloat64()))
		}
		if low, high := report.Interval(a, b); low <= 1 && 1 <= high {
			hits++
		}
	}
	if share := float64(hits) / trials; share < 0.94 || share > 0.98 {
		t.Errorf("%.3f of the intervals contain the median", share)
	}
}

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
