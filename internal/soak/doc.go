// Package soak holds connections against each other for as long as one likes:
// random sizes, cancelled calls, pings and closes on both ends, over TCP, TLS and
// faulty streams, and checks that no message is lost, torn, doubled or reordered.
//
//	go test ./internal/soak -soak 10m -conns 2000 -timeout 20m
package soak
