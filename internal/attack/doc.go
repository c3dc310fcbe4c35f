// Package attack besieges a server, and watches what that costs it and its other
// clients. The server, the attackers, and the clients that mean well are processes
// of their own; the server's memory and CPU time are read from outside.
//
//	go test ./internal/attack -count=1 -v -attack 3s -rounds 3     prints the table of SECURITY.md
//
// The attackers' own work takes the processors from the server and the other
// clients, if they share them: latencies are the scheduler's then. As root, these
// two keep out of its way, and starve whatever else runs on the machine:
//
//	go test -c -o attack.test ./internal/attack
//	chrt -f 1 ./attack.test -test.v -attack 3s -rounds 3
//
// Without flags it is a smoke run of a few seconds, in which speed proves nothing,
// but each attack has to end as it should.
package attack
