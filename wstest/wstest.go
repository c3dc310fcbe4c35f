// Package wstest helps to test programs that talk over connections, without a network and without waiting.
//
// [Pipe] and [Listener] are TCP in memory: buffered, with half-close, deadlines and TCP's errors. They work inside the bubbles
// of testing/synctest, where time is fake and a test about a minute's silence takes a microsecond. Sockets don't, because
// nobody can tell that a goroutine waiting for one will not wake up by itself; and [net.Pipe] has no buffer, and hangs a bubble in
// which two goroutines write to it (https://go.dev/issue/77687).
//
// [Faulty] makes any connection misbehave in ways that networks do: bytes dribble in, stop, or end in the middle of a frame.
//
// In a bubble everything has to be made inside of it: pipes, listeners, and the channel of [Faults].
package wstest
