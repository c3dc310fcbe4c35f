//go:build linux && race

package peer

const raceEnabled = true
