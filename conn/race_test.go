//go:build race

package conn_test

const race = true

// scaled is n, or less of it where everything is slow.
func scaled(n int) int { return max(n/6, 1) }
