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

// Interval returns where the true median of the ratios lies with 95 % confidence: between the k-th smallest and the k-th largest
// of them, whatever their distribution, as long as rounds are independent. With less than six rounds nothing can be said, and
// both ends are NaN.
func Interval(a, b []float64) (low, high float64) {
	q := slices.DeleteFunc(quotients(a, b), math.IsNaN)
	k := rank(len(q))
	if k == 0 {
		return math.NaN(), math.NaN()
	}
	slices.Sort(q)
	return q[k-1], q[len(q)-k]
}

// rank returns the largest k for which less than k of n samples lie below the median in at most 2.5 % of all cases, as less
// than k of n coins show heads; as many cases have less than k above it.
func rank(n int) int {
	total := 0.0
	for k := range n {
		if total += chance(k, n); total > 0.025 {
			return k
		}
	}
	return 0
}

// chance is how probable it is that k of n coins show heads.
func chance(k, n int) float64 {
	return math.Exp(logFactorial(n) - logFactorial(k) - logFactorial(n-k) - float64(n)*math.Ln2)
}

func logFactorial(n int) float64 {
	l, _ := math.Lgamma(float64(n) + 1)
	return l
}

func quotients(a, b []float64) []float64 {
	var q []float64
	for i := range min(len(a), len(b)) {
		q = append(q, a[i]/b[i])
	}
	return q
}
