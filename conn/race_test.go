//go:build race

package conn_test

const race = true
