//go:build race

package conn_test

const raceEnabled = true // sync.Pool drops what it holds at random
