//go:build !race

package conn_test

const race = false

func scaled(n int) int { return n }
