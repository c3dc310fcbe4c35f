package wstest_test

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/wstest"
)

// inMemory runs test over each pair that can live in a bubble.
func inMemory(t *testing.T, test func(t *testing.T, a, b net.Conn)) {
	for _, p := range pairs {
		if p.name == "tcp" {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := p.make(t)
				defer a.Close()
				defer b.Close()
				test(t, a, b)
			})
		})
	}
}

// blockedCalls are one that waits for the peer to write, and one that waits for it to read.
var blockedCalls = []struct {
	name string
	call func(c net.Conn) error
	set  func(c net.Conn, t time.Time) error
}{
	{"Read", readErr, net.Conn.SetReadDeadline},
	{"Write", func(c net.Conn) error { _, err := c.Write(endless); return err }, net.Conn.SetWriteDeadline},
}

func TestDeadlines(t *testing.T) {
	for _, c := range []struct {
		name  string
		first time.Duration // set before the call; 0: none
		then  time.Duration // set a second later, from then
		wait  time.Duration // when the call ends, from its start
	}{
		{"kept", time.Minute, 0, time.Minute},
		{"set while waiting", 0, time.Minute, time.Minute + time.Second},
		{"earlier", time.Hour, time.Minute, time.Minute + time.Second},
		{"later", time.Minute, time.Hour, time.Hour + time.Second},
		{"to the past", time.Minute, -time.Minute, time.Second},
	} {
		for _, blocked := range blockedCalls {
			t.Run(blocked.name+" "+c.name, func(t *testing.T) {
				inMemory(t, func(t *testing.T, a, b net.Conn) {
					begin := time.Now()
					if c.first != 0 {
						blocked.set(a, begin.Add(c.first))
					}
					time.AfterFunc(time.Second, func() {
						if c.then != 0 {
							blocked.set(a, time.Now().Add(c.then))
						}
					})
					wantTimeout(t, blocked.name, blocked.call(a))
					if waited := time.Since(begin); waited != c.wait {
						t.Errorf("waited %v, want %v", waited, c.wait)
					}
				})
			})
		}
	}
}

// All calls that wait in the same direction end at the deadline, also those that wait for their turn.
func TestDeadlineEndsAllCalls(t *testing.T) {
	inMemory(t, func(t *testing.T, a, b net.Conn) {
		a.SetDeadline(time.Now().Add(time.Minute))
		for _, blocked := range blockedCalls {
			one, two := start(func() error { return blocked.call(a) }), start(func() error { return blocked.call(a) })
			wantTimeout(t, blocked.name, <-one)
			wantTimeout(t, blocked.name, <-two)
		}
	})
}

// A deadline that is taken back before it passes never was, one that has passed can be moved, and a Close forgets it.
func TestDeadlineTakenBack(t *testing.T) {
	inMemory(t, func(t *testing.T, a, b net.Conn) {
		a.SetDeadline(time.Now().Add(time.Minute))
		read := start(func() error { return readErr(a) })
		synctest.Wait()
		a.SetDeadline(time.Time{})
		time.Sleep(time.Hour)
		b.Write([]byte("x"))
		if err := <-read; err != nil {
			t.Errorf("Read: %v", err)
		}
		a.SetDeadline(time.Now().Add(time.Minute))
		time.Sleep(time.Hour)
		wantTimeout(t, "Read", readErr(a))
		a.SetDeadline(time.Now().Add(time.Minute))
		b.Write([]byte("y"))
		wantRead(t, a, "y")
		a.Close()
		wantErr(t, "Read after Close", readErr(a), net.ErrClosed)
	})
}

// A writer feels back pressure when the buffer is full, and goes on as the reader makes room.
func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := wstest.PipeSize(10)
		a.SetWriteDeadline(time.Now().Add(time.Minute))
		n, err := a.Write(make([]byte, 25))
		if n != 10 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v into a buffer of 10", n, err)
		}
		a.SetWriteDeadline(time.Time{})
		write := start(func() int { n, _ := a.Write(make([]byte, 15)); return n })
		for read := 0; read < 25; {
			synctest.Wait()
			select {
			case <-write:
				if read < 15 {
					t.Fatalf("Write returned when %d of 25 bytes were read", read)
				}
				write = nil
			default:
			}
			n, _ := b.Read(make([]byte, 4))
			read += n
		}
		synctest.Wait()
		if write != nil {
			t.Error("Write has not returned though all was read")
		}
	})
}

func TestDefaultBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialled, _ := listenerPair(t)
		piped, _ := wstest.Pipe()
		for _, c := range []net.Conn{dialled, piped} {
			c.SetDeadline(time.Now().Add(time.Second))
			if n, _ := c.Write(endless); n != 64<<10 {
				t.Errorf("%d bytes fit in", n)
			}
		}
	})
}

func TestCloseWriteEndsBlockedWrite(t *testing.T) {
	inMemory(t, func(t *testing.T, a, b net.Conn) {
		write := start(func() error { _, err := a.Write(endless); return err })
		synctest.Wait()
		a.(closeWriter).CloseWrite()
		wantErr(t, "Write", <-write, syscall.EPIPE)
	})
}

// What net.Pipe can't do in a bubble: a second writer must not keep time from passing.
func TestTimePassesWithTwoWriters(t *testing.T) {
	inMemory(t, func(t *testing.T, a, b net.Conn) {
		one, two := start(func() error { return blockedCalls[1].call(a) }), start(func() error { return blockedCalls[1].call(a) })
		time.Sleep(time.Hour)
		b.Close()
		if <-one == nil || <-two == nil {
			t.Error("Write to a closed peer succeeded")
		}
	})
}

func TestPipeWithoutRoomPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	wstest.PipeSize(0)
}

// A pipe must not disturb tests that count allocations.
func TestPipeDoesNotAllocate(t *testing.T) {
	a, b := wstest.Pipe()
	go io.Copy(b, b)
	buf := make([]byte, 1000)
	roundTrip := func() {
		a.Write(buf)
		if _, err := io.ReadFull(a, buf); err != nil {
			t.Error(err)
		}
	}
	roundTrip()
	if n := testing.AllocsPerRun(1000, roundTrip); n != 0 {
		t.Errorf("%v allocations a round trip", n)
	}
	a.Close()
}
