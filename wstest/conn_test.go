package wstest_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidewire/ws/wstest"
)

type closeWriter interface{ CloseWrite() error }

// pairs are all the ways to be connected that have to behave the same. TCP is here to show that the others are like it.
var pairs = []struct {
	name string
	make func(t *testing.T) (a, b net.Conn)
}{
	{"tcp", tcpPair},
	{"pipe", func(*testing.T) (net.Conn, net.Conn) { return wstest.Pipe() }},
	{"smallPipe", func(*testing.T) (net.Conn, net.Conn) { return wstest.PipeSize(100) }},
	{"listener", listenerPair},
	{"faultless", func(*testing.T) (net.Conn, net.Conn) {
		a, b := wstest.Pipe()
		return wstest.Faulty(a, wstest.Faults{}), wstest.Faulty(b, wstest.Faults{})
	}},
	{"dribbling", func(*testing.T) (net.Conn, net.Conn) {
		a, b := wstest.Pipe()
		f := wstest.Faults{Seed: 1, ReadMax: 7, WriteMax: 5}
		return wstest.Faulty(a, f), wstest.Faulty(b, f)
	}},
}

func tcpPair(t *testing.T) (a, b net.Conn) {
	if runtime.GOOS != "linux" {
		t.Skip("systems differ in what a reset leaves to read, and in their error codes; the model is Linux")
	}
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	defer l.Close()
	a = must(net.Dial("tcp", l.Addr().String()))
	return a, must(l.Accept())
}

func listenerPair(t *testing.T) (a, b net.Conn) {
	l := new(wstest.Listener)
	defer l.Close()
	a = must(l.Dial(t.Context()))
	return a, must(l.Accept())
}

// must is for what can't go wrong unless the machine is broken.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// run runs test once over each pair.
func run(t *testing.T, test func(t *testing.T, a, b net.Conn)) {
	for _, p := range pairs {
		t.Run(p.name, func(t *testing.T) {
			a, b := p.make(t)
			defer a.Close()
			defer b.Close()
			test(t, a, b)
		})
	}
}

// wantErr checks that err is want, inside of a *net.OpError.
func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	var op *net.OpError
	if !errors.Is(err, want) || !errors.As(err, &op) {
		t.Errorf("%s: error %v (%T), want %v", what, err, err, want)
	}
}

func wantRead(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Errorf("read %q, %v; want %q", got[:n], err, want)
	}
}

// start runs f in a goroutine and returns its result to come.
func start[T any](f func() T) <-chan T {
	c := make(chan T, 1)
	go func() { c <- f() }()
	return c
}

// endless is more than any connection buffers.
var endless = make([]byte, 16<<20)

func readErr(c net.Conn) error  { _, err := c.Read(make([]byte, 1)); return err }
func writeErr(c net.Conn) error { _, err := c.Write([]byte("x")); return err }

func TestBothWaysAtOnce(t *testing.T) {
	run(t, func(t *testing.T, a, b net.Conn) {
		sent := bytes.Repeat([]byte("0123456789"), 30_000)
		var wg sync.WaitGroup
		for _, c := range []net.Conn{a, b} {
			wg.Go(func() {
				if n, err := c.Write(sent); n != len(sent) || err != nil {
					t.Errorf("wrote %d: %v", n, err)
				}
			})
			wg.Go(func() {
				got := make([]byte, len(sent))
				if n, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
					t.Errorf("read %d, %v, or the wrong bytes", n, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestConcurrentWritesStayWhole(t *testing.T) {
	const writers, size = 4, 150_000
	run(t, func(t *testing.T, a, b net.Conn) {
		for i := range writers {
			go a.Write(bytes.Repeat([]byte{byte(i)}, size))
		}
		block := make([]byte, size)
		for range writers {
			if _, err := io.ReadFull(b, block); err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(block, block[:1]); n != size {
				t.Fatalf("only %d of %d bytes are of the same writer", n, size)
			}
		}
	})
}

func TestCloseWrite(t *testing.T) {
	run(t, func(t *testing.T, a, b net.Conn) {
		a.Write([]byte("last words"))
		if err := a.(closeWriter).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		wantErr(t, "Write after CloseWrite", writeErr(a), syscall.EPIPE)
		wantRead(t, b, "last words")
		for range 2 {
			if err := readErr(b); err != io.EOF {
				t.Errorf("read error %v behind the last byte, want io.EOF", err)
			}
		}
		b.Write([]byte("go on"))
		wantRead(t, a, "go on")
	})
}

func TestClose(t *testing.T) {
	run(t, func(t *testing.T, a, b net.Conn) {
		a.Write([]byte("last words"))
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		wantRead(t, b, "last words")
		if err := readErr(b); err != io.EOF {
			t.Errorf("read error %v behind the last byte, want io.EOF", err)
		}
		wantBrokenWrite(t, b)
		for _, c := range []struct {
			what string
			err  error
		}{
			{"Read", readErr(a)},
			{"Write", writeErr(a)},
			{"Close", a.Close()},
			{"CloseWrite", a.(closeWriter).CloseWrite()},
			{"SetDeadline", a.SetDeadline(time.Time{})},
			{"SetReadDeadline", a.SetReadDeadline(time.Time{})},
			{"SetWriteDeadline", a.SetWriteDeadline(time.Time{})},
		} {
			wantErr(t, c.what+" after Close", c.err, net.ErrClosed)
		}
	})
}

// wantBrokenWrite expects that c's writes fail, because the peer has closed. Over TCP the first few may not know it yet.
func wantBrokenWrite(t *testing.T, c net.Conn) {
	t.Helper()
	for range 1_000_000 {
		if err := writeErr(c); err != nil {
			if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("write error %v, want a broken pipe", err)
			}
			return
		}
	}
	t.Error("all writes to a closed peer succeeded")
}

// A connection that is closed with something unread is reset: the peer gets what was on its way, then ECONNRESET.
func TestCloseWithUnreadBytes(t *testing.T) {
	run(t, func(t *testing.T, a, b net.Conn) {
		b.Write([]byte("never read, but it has arrived"))
		wantRead(t, a, "n")
		a.Write([]byte("last words"))
		a.Close()
		wantRead(t, b, "last words")
		wantErr(t, "Read", readErr(b), syscall.ECONNRESET)
		wantBrokenWrite(t, b)
	})
}

func TestCloseEndsBlockedCalls(t *testing.T) {
	run(t, func(t *testing.T, a, b net.Conn) {
		reads := []<-chan error{start(func() error { return readErr(a) }), start(func() error { return readErr(a) })}
		fill := func() error { _, err := a.Write(endless); return err }
		writes := []<-chan error{start(fill), start(fill)}
		wantRead(t, b, "\x00") // a Write is under way
		a.Close()
		for _, c := range append(reads, writes...) {
			wantErr(t, "blocked call", <-c, net.ErrClosed)
		}
	})
}

func TestPeersCloseEndsBlockedCalls(t *testing.T) {
	run(t, func(t *testing.T, a, b net.Conn) {
		read := start(func() error { return readErr(a) })
		write := start(func() error { _, err := a.Write(endless); return err })
		wantRead(t, b, "\x00")
		b.Close()
		if err := <-write; !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Write: %v, want a broken pipe", err)
		}
		if err := <-read; err == nil || errors.Is(err, net.ErrClosed) { // io.EOF or a reset: b may have had bytes unread
			t.Errorf("Read: %v", err)
		}
	})
}

func TestPastDeadline(t *testing.T) {
	run(t, func(t *testing.T, a, b net.Conn) {
		b.Write([]byte("here"))
		a.SetReadDeadline(time.Now().Add(-time.Second))
		for range 2 {
			wantTimeout(t, "Read of what is there", readErr(a))
		}
		if err := writeErr(a); err != nil {
			t.Errorf("the deadline for reads ended a Write: %v", err)
		}
		a.SetWriteDeadline(time.Unix(1, 0))
		wantTimeout(t, "Write", writeErr(a))
		a.SetReadDeadline(time.Time{})
		wantRead(t, a, "here")
		wantTimeout(t, "Write", writeErr(a))
		a.SetDeadline(time.Now().Add(time.Hour))
		if err := writeErr(a); err != nil {
			t.Errorf("Write before its deadline: %v", err)
		}
		wantRead(t, b, "xx")
	})
}

func wantTimeout(t *testing.T, what string, err error) {
	t.Helper()
	wantErr(t, what, err, os.ErrDeadlineExceeded)
	if ne, ok := err.(net.Error); !ok || !ne.Timeout() {
		t.Errorf("%s: %v is no timeout", what, err)
	}
}

// A deadline in the past ends calls that wait already, and the next deadline makes the connection usable again.
func TestPastDeadlineWakes(t *testing.T) {
	run(t, func(t *testing.T, a, b net.Conn) {
		read := start(func() error { return readErr(a) })
		write := start(func() error { _, err := a.Write(endless); return err })
		wantRead(t, b, "\x00")
		a.SetDeadline(time.Unix(1, 0))
		wantTimeout(t, "Read", <-read)
		wantTimeout(t, "Write", <-write)
		a.SetDeadline(time.Time{})
		b.Write([]byte("again"))
		wantRead(t, a, "again")
	})
}

func TestNothing(t *testing.T) {
	run(t, func(t *testing.T, a, b net.Conn) {
		if n, err := a.Read(nil); n != 0 || err != nil {
			t.Errorf("Read of nothing: %d, %v", n, err)
		}
		if n, err := a.Write(nil); n != 0 || err != nil {
			t.Errorf("Write of nothing: %d, %v", n, err)
		}
		a.Write([]byte("x"))
		wantRead(t, b, "x")
	})
}

func TestAddresses(t *testing.T) {
	run(t, func(t *testing.T, a, b net.Conn) {
		if a.LocalAddr().String() != b.RemoteAddr().String() || b.LocalAddr().String() != a.RemoteAddr().String() {
			t.Errorf("%v-%v and %v-%v don't match", a.LocalAddr(), a.RemoteAddr(), b.LocalAddr(), b.RemoteAddr())
		}
		if a.LocalAddr().String() == b.LocalAddr().String() {
			t.Errorf("both are %v", a.LocalAddr())
		}
		if n := a.LocalAddr().Network(); n != "memory" && n != "tcp" {
			t.Errorf("network %q", n)
		}
		if _, err := net.ResolveTCPAddr("tcp", a.RemoteAddr().String()); err != nil {
			t.Error(err)
		}
	})
}
