// Package micro has benchmarks of this library alone, without the kernel: a connection reads frames from memory and writes
// into nothing, so what is left is the library's own time and its allocations. README.md of the bench says how to compare two
// versions.
package micro
