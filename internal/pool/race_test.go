//go:build race

package pool_test

const race = true
