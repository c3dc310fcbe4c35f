// Package report turns the bench's samples into medians, ratios and Markdown tables.
package report

import (
	"math"
	"slices"
)

// Median returns the median of those x that are numbers, NaN if there is none.
func Median(x []float64) float64 {
	x = slices.DeleteFunc(slices.Clone(x), math.IsNaN)
	if len(x) == 0 {
		return math.NaN()
	}
	slices.Sort(x)
	half := len(x) / 2
	if len(x)%2 == 1 {
		return x[half]
	}
	return (x[half-1] + x[half]) / 2
}

// Ratio returns the median of a[i]/b[i] over the rounds i that both have. What a shared machine does to one round, it does to
// both halves of a ratio; a ratio of medians would lose that.
func Ratio(a, b []float64) float64 { return Median(quotients(a, b)) }

// Spread returns how far the rounds of Ratio lie apart: half the distance from the smallest to the largest, as a share of the
// median.
func Spread(a, b []float64) float64 {
	q := slices.DeleteFunc(quotients(a, b), math.IsNaN)
	if len(q) == 0 {
		return math.NaN()
	}
	return (slices.Max(q) - slices.Min(q)) / 2 / Median(q)
}

func quotients(a, b []float64) []float64 {
	var q []float64
	for i := range min(len(a), len(b)) {
		q = append(q, a[i]/b[i])
	}
	return q
}
