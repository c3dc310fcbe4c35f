package wstest_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/wstest"
)

// inBubble runs test with one end of a pipe that has faults, and the other that has none.
func inBubble(t *testing.T, f wstest.Faults, test func(t *testing.T, faulty, peer net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b := wstest.Pipe()
		c := wstest.Faulty(a, f)
		defer c.Close()
		defer b.Close()
		test(t, c, b)
	})
}

// arrivals reads until c ends, and returns the size of each piece that was there at a time, and when the pieces came.
func arrivals(c net.Conn) (sizes []int, times []time.Duration) {
	begin, buf := time.Now(), make([]byte, 1000)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return sizes, times
		}
		sizes, times = append(sizes, n), append(times, time.Since(begin))
	}
}

func TestShortReads(t *testing.T) {
	inBubble(t, wstest.Faults{ReadMax: 3, ReadDelay: time.Second}, func(t *testing.T, c, peer net.Conn) {
		peer.Write([]byte("12345678"))
		peer.Close()
		sizes, times := arrivals(c)
		if !slices.Equal(sizes, []int{3, 3, 2}) || !slices.Equal(times, []time.Duration{1e9, 2e9, 3e9}) {
			t.Errorf("read %v at %v", sizes, times)
		}
	})
}

func TestShortWrites(t *testing.T) {
	inBubble(t, wstest.Faults{WriteMax: 3, WriteDelay: time.Second}, func(t *testing.T, c, peer net.Conn) {
		go func() {
			c.Write([]byte("12345678"))
			c.(closeWriter).CloseWrite()
		}()
		sizes, times := arrivals(peer)
		if !slices.Equal(sizes, []int{3, 3, 2}) || !slices.Equal(times, []time.Duration{1e9, 2e9, 3e9}) {
			t.Errorf("%v arrived at %v", sizes, times)
		}
	})
}

// The same seed gives the same sizes and pauses, another one others, and all stay within their limits.
func TestSeed(t *testing.T) {
	observe := func(seed uint64) (sizes []int, times []time.Duration) {
		f := wstest.Faults{Seed: seed, WriteMax: 10, WriteDelay: time.Second}
		inBubble(t, f, func(t *testing.T, c, peer net.Conn) {
			go func() {
				c.Write(make([]byte, 500))
				c.(closeWriter).CloseWrite()
			}()
			sizes, times = arrivals(peer)
		})
		return sizes, times
	}
	sizes, times := observe(7)
	if s, d := observe(7); !slices.Equal(s, sizes) || !slices.Equal(d, times) {
		t.Error("the same seed twice made a difference")
	}
	if s, d := observe(8); slices.Equal(s, sizes) || slices.Equal(d, times) {
		t.Error("another seed made no difference")
	}
	if slices.Min(sizes) == slices.Max(sizes) || slices.Max(sizes) > 10 {
		t.Errorf("sizes %v", sizes)
	}
	for i := 1; i < len(times); i++ {
		if pause := times[i] - times[i-1]; pause < 0 || pause > time.Second {
			t.Errorf("a pause of %v", pause)
		}
	}
}

// eachPosition tests a cut or a stall after each number of bytes.
func eachPosition(t *testing.T, test func(t *testing.T, at int)) {
	for at := range 6 {
		test(t, at)
	}
}

func TestWriteCut(t *testing.T) {
	eachPosition(t, func(t *testing.T, at int) {
		inBubble(t, wstest.Faults{WriteMax: 2, WriteCut: new(at)}, func(t *testing.T, c, peer net.Conn) {
			n, err := c.Write([]byte("12345678"))
			if n != at {
				t.Errorf("%d bytes written, want %d", n, at)
			}
			wantErr(t, "Write", err, syscall.ECONNRESET)
			wantRead(t, peer, "12345678"[:at])
			if err := readErr(peer); err != io.EOF {
				t.Errorf("the peer read %v behind the cut", err)
			}
			wantCut(t, c)
		})
	})
}

func TestReadCut(t *testing.T) {
	eachPosition(t, func(t *testing.T, at int) {
		inBubble(t, wstest.Faults{ReadCut: new(at)}, func(t *testing.T, c, peer net.Conn) {
			peer.Write([]byte("12345678"))
			got, err := io.ReadAll(c)
			if string(got) != "12345678"[:at] {
				t.Errorf("read %q, want %d bytes", got, at)
			}
			wantErr(t, "Read", err, syscall.ECONNRESET)
			wantBrokenWrite(t, peer)
			wantCut(t, c)
		})
	})
}

// wantCut expects that nothing works any more, except what the user of a broken socket can do too.
func wantCut(t *testing.T, c net.Conn) {
	t.Helper()
	wantErr(t, "Read after the cut", readErr(c), syscall.ECONNRESET)
	wantErr(t, "Write after the cut", writeErr(c), syscall.ECONNRESET)
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		t.Errorf("SetDeadline after the cut: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close after the cut: %v", err)
	}
	wantErr(t, "Read after Close", readErr(c), net.ErrClosed)
	wantErr(t, "second Close", c.Close(), net.ErrClosed)
}

// A cut in one direction ends what waits in the other.
func TestCutEndsBlockedCalls(t *testing.T) {
	for name, f := range map[string]wstest.Faults{
		"waiting underneath": {WriteCut: new(1)},
		"stalled":            {WriteCut: new(1), ReadStall: new(0)},
		"pausing":            {WriteCut: new(1), ReadDelay: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, f, func(t *testing.T, c, peer net.Conn) {
				read := start(func() error { return readErr(c) })
				time.Sleep(time.Second)
				if err := writeErr(c); err != nil {
					t.Errorf("Write of the last byte before the cut: %v", err)
				}
				wantErr(t, "Read", <-read, syscall.ECONNRESET)
			})
		})
	}
}

// stalls are a Read and a Write of eight bytes, each through a stall; both return how many came through.
var stalls = []struct {
	name   string
	faults func(at int) wstest.Faults
	call   func(c net.Conn) (int, error)
	set    func(c net.Conn, t time.Time) error
}{
	{"Read", func(at int) wstest.Faults { return wstest.Faults{ReadStall: new(at)} },
		func(c net.Conn) (int, error) { return io.ReadFull(c, make([]byte, 8)) }, net.Conn.SetReadDeadline},
	{"Write", func(at int) wstest.Faults { return wstest.Faults{WriteStall: new(at)} },
		func(c net.Conn) (int, error) { return c.Write(make([]byte, 8)) }, net.Conn.SetWriteDeadline},
}

func TestStallUntilDeadline(t *testing.T) {
	for _, s := range stalls {
		eachPosition(t, func(t *testing.T, at int) {
			inBubble(t, s.faults(at), func(t *testing.T, c, peer net.Conn) {
				peer.Write([]byte("12345678"))
				for i := range 2 { // the stall stays
					begin := time.Now()
					s.set(c, begin.Add(time.Minute))
					n, err := s.call(c)
					if want := at * (1 - i); n != want || time.Since(begin) != time.Minute {
						t.Errorf("%s: %d bytes came through in %v, want %d", s.name, n, time.Since(begin), want)
					}
					wantTimeout(t, s.name, err)
				}
			})
		})
	}
}

func TestStallUntilRelease(t *testing.T) {
	for _, s := range stalls {
		eachPosition(t, func(t *testing.T, at int) {
			synctest.Test(t, func(t *testing.T) {
				a, peer := wstest.Pipe()
				release := make(chan struct{})
				f := s.faults(at)
				f.Release = release
				c := wstest.Faulty(a, f)
				peer.Write([]byte("1234567812345678"))
				begin := time.Now()
				time.AfterFunc(time.Minute, func() { close(release) })
				for range 2 { // the second one doesn't stall
					if n, err := s.call(c); n != 8 || err != nil || time.Since(begin) != time.Minute {
						t.Errorf("%s: %d bytes came through in %v: %v", s.name, n, time.Since(begin), err)
					}
				}
			})
		})
	}
}

func TestCloseEndsStall(t *testing.T) {
	for _, s := range stalls {
		inBubble(t, s.faults(0), func(t *testing.T, c, peer net.Conn) {
			call := start(func() error { _, err := s.call(c); return err })
			time.Sleep(time.Minute)
			c.Close()
			wantErr(t, s.name, <-call, net.ErrClosed)
		})
	}
}

// A pause ends at the deadline, and takes no bytes with it.
func TestDeadlineEndsPause(t *testing.T) {
	inBubble(t, wstest.Faults{ReadDelay: time.Hour}, func(t *testing.T, c, peer net.Conn) {
		peer.Write([]byte("kept"))
		c.SetReadDeadline(time.Now().Add(time.Minute))
		wantTimeout(t, "Read", readErr(c))
		c.SetReadDeadline(time.Time{})
		wantRead(t, c, "kept")
	})
}

// What comes through does so in order and unharmed, however badly.
func TestFaultyKeepsBytes(t *testing.T) {
	f := wstest.Faults{Seed: 3, ReadMax: 50, WriteMax: 50, ReadDelay: time.Second, WriteDelay: time.Second}
	inBubble(t, f, func(t *testing.T, c, peer net.Conn) {
		go func() {
			io.Copy(peer, peer)
			peer.Close()
		}()
		sent := bytes.Repeat([]byte("0123456789abcdef"), 1000)
		go func() {
			c.Write(sent)
			c.(closeWriter).CloseWrite()
		}()
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes came back, or the wrong ones: %v", len(got), err)
		}
	})
}

func TestCloseWriteUnsupported(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	c := wstest.Faulty(a, wstest.Faults{})
	defer c.Close()
	if err := c.(closeWriter).CloseWrite(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("error %v", err)
	}
}

// Errors of the connection underneath are passed on as they are.
func TestFaultyPassesErrors(t *testing.T) {
	inBubble(t, wstest.Faults{}, func(t *testing.T, c, peer net.Conn) {
		peer.Close()
		wantErr(t, "Write", writeErr(c), syscall.EPIPE)
		if err := readErr(c); err != io.EOF {
			t.Errorf("Read: %v", err)
		}
		if errors.Is(readErr(c), os.ErrDeadlineExceeded) {
			t.Error("a deadline out of nowhere")
		}
	})
}

func TestNegativeFaultsPanic(t *testing.T) {
	for _, f := range []wstest.Faults{{ReadMax: -1}, {WriteCut: new(-1)}, {ReadStall: new(-1)}, {WriteDelay: -1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v: no panic", f)
				}
			}()
			wstest.Faulty(nil, f)
		}()
	}
}
