// Package attack besieges a server, and watches what that costs it and its other
// clients. The server, the attackers, and the clients that mean well are processes
// of their own; the server's memory and CPU time are read from outside.
//
//	go test ./internal/attack -count=1 -v -attack 3s -rounds 3     prints the table of SECURITY.md
//
// On a machine that does other things, too, latencies are the scheduler's rather
// than the server's.
//
// Without flags it is a smoke run of a few seconds, in which speed proves nothing,
// but each attack has to end as it should.
package attack
