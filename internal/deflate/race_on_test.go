//go:build race

package deflate_test

const raceEnabled = true // sync.Pool drops what it holds at random
