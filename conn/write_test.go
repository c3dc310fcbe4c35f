package conn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/wstest"
)

const mayArrive = " (the message was being sent and may still arrive)"

// small is a stream in memory that holds n bytes each way.
func small(n int) stream {
	return stream{name: fmt.Sprint("memory", n), ends: func(testing.TB) (a, b net.Conn) { return wstest.PipeSize(n) }}
}

// overTLSInMemory is for bubbles.
var overTLSInMemory = stream{name: "tls-memory", ends: func(t testing.TB) (net.Conn, net.Conn) { return secured(t, overMemory) }}

// A Write that waits for others, and is given up, has sent nothing and disturbs nobody.
func TestWriteGivenUpInTheQueue(t *testing.T) {
	for _, s := range []stream{overMemory, overTLSInMemory} {
		runOver(t, s, func(t *testing.T, m mode) {
			for name, write := range writers {
				synctest.Test(t, func(t *testing.T) {
					c, p := m.raw(t, conn.Config{WriteTimeout: -1})
					long := start(func() error { return c.Write(context.Background(), conn.Text, payload(250_000)) })
					synctest.Wait()
					for _, n := range []int{10, 60_000, 300_000} {
						ctx, cancel := context.WithTimeout(t.Context(), time.Second)
						took := elapsed(func() {
							err := write(ctx, c, conn.Message{Type: conn.Binary, Data: payload(n)})
							if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), mayArrive) {
								t.Errorf("%s of %d: %v", name, n, err)
							}
						})
						if cancel(); took != time.Second {
							t.Errorf("%s of %d was given up after %v", name, n, took)
						}
					}
					rest := start(func() error { return c.Write(t.Context(), conn.Text, []byte("and on")) })
					if op, got := p.message(); op != text || got != string(payload(250_000)) {
						t.Errorf("%s: %d bytes", name, len(got))
					}
					p.want(fin|text, "and on")
					if err := errors.Join(result(t, long), result(t, rest)); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				})
			}
		})
	}
}

// A Write whose first byte found no room, and that is given up, is taken back. TLS can't tell.
func TestWriteGivenUpAtItsFirstByte(t *testing.T) {
	for _, client := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, p := mode{client: client, stream: small(1008)}.raw(t, conn.Config{})
			filling := bytes.Repeat([]byte("x"), 1000)
			if client {
				filling = filling[4:] // for the mask key
			}
			filling = append(filling, "1234"...) // 1008 with its header
			if err := c.Write(t.Context(), conn.Text, filling); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			for _, n := range []int{10, 60_000, 300_000} {
				err := c.Write(ctx, conn.Binary, payload(n))
				if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), mayArrive) {
					t.Errorf("%d bytes: %v", n, err)
				}
			}
			rest := start(func() error { return c.Write(t.Context(), conn.Text, []byte("and on")) })
			p.want(fin|text, string(filling))
			p.want(fin|text, "and on")
			if err := result(t, rest); err != nil {
				t.Error(err)
			}
		})
	}
}

// A Write that is given up in the middle of a message: what is left of it goes out by itself, whole, in front of everything that
// comes later, if it isn't too much. The error says so, once.
func TestWriteGivenUpHalfWay(t *testing.T) {
	for _, deflate := range []bool{false, true} {
		for _, client := range []bool{false, true} {
			for name, write := range writers {
				if name == "TryWrite" || name == "Writer" {
					continue // these say something else
				}
				for _, n := range []int{4000, 60_000, 100_000, 200_000, 300_000} {
					synctest.Test(t, func(t *testing.T) {
						m := mode{client: client, stream: small(1000), deflate: deflate}
						c, peer := m.pair(t, conn.Config{}, conn.Config{})
						ctx, cancel := context.WithTimeout(t.Context(), time.Second)
						defer cancel()
						msg := conn.Message{Type: conn.Text, Data: payload(n)}
						if n > 256<<10 { // so that enough is on the wire
							go func() { peer.Read(ctx) }()
						}
						err := write(ctx, c, msg)
						if err == nil && n > 256<<10 {
							return // it was read in time
						}
						if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) || strings.Count(err.Error(), mayArrive) != 1 {
							t.Errorf("%v, deflate %v: %s of %d: %v", m, deflate, name, n, err)
							return
						}
						after := start(func() error { return c.Write(t.Context(), conn.Binary, []byte("after")) })
						if _, got, err := peer.Read(t.Context()); !bytes.Equal(got, msg.Data) || err != nil {
							t.Errorf("%v: %s of %d: %d bytes, %v", m, name, n, len(got), err)
						}
						if _, got, err := peer.Read(t.Context()); string(got) != "after" || err != nil {
							t.Errorf("%v: %s of %d, then %.100q, %v", m, name, n, got, err)
						}
						if err := result(t, after); err != nil {
							t.Error(err)
						}
					})
				}
			}
		}
	}
}

// Where the rest can't be kept, because it is too long or TLS doesn't allow it, the connection ends.
func TestWriteCut(t *testing.T) {
	for _, c := range []struct {
		s stream
		n int
	}{{small(1000), 500_000}, {small(1000), 1 << 20}, {overTLSInMemory, 300_000}, {overTLSInMemory, 1 << 20}} {
		runOver(t, c.s, func(t *testing.T, m mode) {
			synctest.Test(t, func(t *testing.T) {
				cn, p := m.raw(t, conn.Config{})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				var err error
				if took := elapsed(func() { err = cn.Write(ctx, conn.Text, payload(c.n)) }); took != time.Second {
					t.Errorf("took %v", took)
				}
				if err != conn.ErrWriteCut {
					t.Errorf("%d bytes: %v", c.n, err)
				}
				checkOver(t, cn, conn.ErrWriteCut)
				if _, _, err := p.next(); c.n > 300_000 && err == nil {
					t.Error("the peer got a frame of it")
				}
			})
		})
	}
}

// A stream whose context ends takes the connection with it; so does one whose Write is given up.
func TestWriterCut(t *testing.T) {
	for _, client := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			for _, n := range []int{0, 10, 100_000} {
				c, _ := mode{client: client, stream: small(1000)}.raw(t, conn.Config{})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				w, err := c.Writer(ctx, conn.Text)
				if err != nil {
					t.Fatal(err)
				}
				if _, err = w.Write(payload(n)); err != nil && err != conn.ErrWriteCut {
					t.Errorf("%d bytes: Write: %v", n, err)
				}
				<-c.Context().Done()
				if err := w.Close(); err != conn.ErrWriteCut {
					t.Errorf("%d bytes: Close: %v", n, err)
				}
				checkOver(t, c, conn.ErrWriteCut)
				if _, err := w.Write([]byte("x")); err == nil {
					t.Error("Write goes on behind Close")
				}
				if err := w.Close(); err == nil || errors.Is(err, net.ErrClosed) {
					t.Errorf("second Close: %v", err)
				}
			}
		})
	}
}

// A stream keeps other messages waiting, but not control frames, and its fragments are one message.
func TestWriter(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{})
		ctx := soon(t)
		go c.Read(ctx)
		w, err := c.Writer(ctx, conn.Text)
		if err != nil {
			t.Fatal(err)
		}
		other := start(func() error { return c.Write(ctx, conn.Binary, []byte("other")) })
		p.send(fin|ping, "1")
		p.want(fin|pong, "1")
		big := payload(60_000)
		if n, err := w.Write(big[:10]); n != 10 || err != nil {
			t.Error(n, err)
		}
		if n, err := w.Write(big[10:]); n != 59_990 || err != nil {
			t.Error(n, err)
		}
		b0, first, err := p.next()
		if b0 != text || len(first) == 0 || err != nil {
			t.Fatalf("frame %#x of %d bytes, %v", b0, len(first), err)
		}
		p.send(fin|ping, "2")
		ended := start(func() error { return w.Close() })
		got, ponged := first, false
		for b0 != fin|cont {
			var data string
			if b0, data, err = p.next(); err != nil {
				t.Fatal(err)
			}
			if ponged = ponged || b0 == fin|pong; b0&0xf == cont {
				got += data
			}
		}
		if got != string(big) {
			t.Errorf("%d bytes, or not the same", len(got))
		}
		if err := result(t, ended); err != nil {
			t.Error(err)
		}
		if op, got := p.message(); op != binry || got != "other" {
			t.Errorf("then %d %.100q", op, got)
		}
		if err := result(t, other); err != nil {
			t.Error(err)
		}
	})
}

// OnWritable calls when TryWrite accepts again what it has left: not sooner, which would be a loop, and not never.
func TestOnWritable(t *testing.T) {
	for _, queue := range []int{0, 1000, -1} {
		for _, client := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				c, p := mode{client: client, stream: small(1000)}.raw(t, conn.Config{WriteQueue: queue, WriteTimeout: -1})
				big, err := conn.NewPrepared(conn.Message{Type: conn.Text, Data: payload(900)})
				if err != nil {
					t.Fatal(err)
				}
				idle := make(chan bool)
				c.OnWritable(func() { close(idle) })
				<-idle
				sent := 0
				for n := 1; n == 1; sent += n {
					if n, err = c.TryWrite(big); err != nil || n > 1 {
						t.Fatal(n, err)
					}
					synctest.Wait()
				}
				if most := 2 + max(queue, 64<<10*(1-queue*queue), 900)/900; sent < 2 || sent > most {
					t.Errorf("queue %d: %d messages accepted, want at most %d", queue, sent, most)
				}
				calls, tries := 0, 0
				var f func()
				f = func() {
					calls++
					if n, err := c.TryWrite(big); n == 1 || err != nil {
						tries++
						return
					}
					c.OnWritable(f)
				}
				c.OnWritable(f)
				synctest.Wait()
				if calls != 0 {
					t.Errorf("queue %d: called %d times while there was no room", queue, calls)
				}
				for range sent {
					p.want(fin|text, string(payload(900)))
				}
				synctest.Wait()
				if calls != 1 || tries != 1 {
					t.Errorf("queue %d: called %d times, %d with success", queue, calls, tries)
				}
				p.want(fin|text, string(payload(900)))
			})
		}
	}
}

// OnWritable also calls when the connection ends; and no two calls are one.
func TestOnWritableAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := mode{stream: small(1000)}.raw(t, conn.Config{})
		busy := start(func() error { return c.Write(t.Context(), conn.Text, payload(100_000)) })
		synctest.Wait()
		called := make(chan error, 2)
		for range 2 {
			c.OnWritable(func() {
				_, err := c.TryWrite()
				called <- err
			})
		}
		synctest.Wait()
		c.CloseNow()
		c.OnWritable(func() { called <- c.Flush(t.Context()) })
		for range 3 {
			if err := <-called; !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}
		<-busy
	})
}

// Whenever a message is given up, the error is true: nil and "may still arrive" mean that it comes, whole and in order; any
// other error of its context that it doesn't. Nor is it in a window that the next messages refer to.
func TestWriteErrorsAreTrue(t *testing.T) {
	takeover := conn.Compression{ServerMaxWindowBits: 15, ClientMaxWindowBits: 9}
	alone := conn.Compression{ServerMaxWindowBits: 15, ClientMaxWindowBits: 15, ServerNoContextTakeover: true, ClientNoContextTakeover: true}
	for _, v := range []struct {
		mode
		agreed conn.Compression
	}{
		{mode{stream: small(500)}, conn.Compression{}},
		{mode{stream: small(500), client: true}, conn.Compression{}},
		{mode{stream: small(1000)}, takeover},
		{mode{stream: small(1000), client: true}, takeover},
		{mode{stream: small(1000)}, alone},
	} {
		for seed := range scaled(30) {
			synctest.Test(t, func(t *testing.T) {
				m, dribble := v.mode, wstest.Faults{Seed: uint64(seed) + 1, ReadMax: 3000, ReadDelay: time.Second / 10}
				a, b := m.stream.ends(t)
				m.stream.ends = func(testing.TB) (net.Conn, net.Conn) { return a, wstest.Faulty(b, dribble) }
				c, peer := m.pair(t, conn.Config{WriteTimeout: -1, CloseTimeout: -1, Compression: v.agreed},
					conn.Config{MessageTimeout: -1, Compression: v.agreed})
				by := []string{"Write", "WriteMessage", "WritePrepared", "Write"}
				var want []string
				sent := start(func() error {
					for i := range 40 {
						msg := fmt.Sprint(i, " ") + string(payload([]int{5, 300, 3000, 20_000, 140_000}[(i*7+seed)%5]))
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration((i*37+seed*11)%100)*time.Second/50)
						err := writers[by[(i*5+seed)%4]](ctx, c, conn.Message{Type: conn.Text, Data: []byte(msg)})
						cancel()
						switch {
						case err == nil, strings.HasSuffix(err.Error(), mayArrive):
							want = append(want, msg)
						case !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed):
							return err
						}
					}
					return c.Close(t.Context(), 1000, "")
				})
				var got []string
				for m, err := range peer.Messages(t.Context()) {
					if err != nil {
						t.Error(err)
					}
					got = append(got, string(m.Data))
				}
				if err := <-sent; err != nil {
					t.Error(m, seed, err)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%v, %+v, seed %d: %d messages, want %d; %s", m, v.agreed, seed, len(got), len(want), firstDifference(got, want))
				}
			})
			if t.Failed() {
				return
			}
		}
	}
}

// A Write that is given up just between two of its fragments says that the others may still arrive, and they do.
func TestWriteGivenUpBetweenFragments(t *testing.T) {
	const fragment, masked = 128<<10 + 10, 64<<10 - 14 + 8 // the longest frames, with their headers
	for _, m := range []mode{{stream: small(fragment)}, {stream: small(2 * fragment)},
		{stream: small(masked), client: true}, {stream: small(2 * masked), client: true}, {stream: small(3 * masked), client: true}} {
		synctest.Test(t, func(t *testing.T) {
			c, p := m.raw(t, conn.Config{})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			long := payload(300_000)
			err := c.Write(ctx, conn.Binary, long)
			if !errors.Is(err, context.DeadlineExceeded) || !strings.HasSuffix(err.Error(), mayArrive) {
				t.Errorf("%v: %v", m, err)
			}
			if op, got := p.message(); op != binry || got != string(long) {
				t.Errorf("%v: message %#x of %d bytes", m, op, len(got))
			}
		})
	}
}

func firstDifference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("number %d is %.20q of %d bytes, want %.20q of %d", i, got[i], len(got[i]), want[i], len(want[i]))
		}
	}
	return "the rest is missing"
}

// Many write at once: every message comes whole, and each writer's in its order.
func TestWritersAtOnce(t *testing.T) {
	runAll(t, func(t *testing.T, m mode) {
		each := scaled(60)
		c, peer := m.pair(t, conn.Config{}, conn.Config{})
		ctx := soon(t)
		var wg sync.WaitGroup
		for name, write := range writers {
			wg.Go(func() {
				for i := range each {
					data := fmt.Appendf(nil, "%s %d %s", name, i, payload((i%10)*(i%9)*1000))
					if err := write(ctx, c, conn.Message{Type: conn.Binary, Data: data}); err != nil {
						t.Errorf("%s %d: %v", name, i, err)
						return
					}
				}
			})
		}
		next := make(map[string]int)
		for range each * len(writers) {
			_, got, err := peer.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			name, rest, _ := strings.Cut(string(got), " ")
			i := next[name]
			if next[name]++; rest != fmt.Sprintf("%d %s", i, payload((i%10)*(i%9)*1000)) {
				t.Fatalf("%s: got %.20q (%d bytes) for number %d", name, rest, len(rest), i)
			}
		}
		wg.Wait()
	})
}

// Flush waits until the peer's kernel has taken everything, or its context ends, or the connection.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := mode{stream: overMemory}.raw(t, conn.Config{WriteTimeout: -1})
		if err := c.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		busy := start(func() error { return c.Write(context.Background(), conn.Text, payload(100_000)) })
		synctest.Wait()
		queued := start(func() error { return c.Write(context.Background(), conn.Text, payload(60_000)) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		flushed := start(func() error { return c.Flush(t.Context()) })
		synctest.Wait()
		select {
		case err := <-flushed:
			t.Fatal("flushed with nobody reading:", err)
		default:
		}
		p.message()
		p.message()
		if err := errors.Join(result(t, busy), result(t, queued), result(t, flushed)); err != nil {
			t.Error(err)
		}
		go c.Write(context.Background(), conn.Text, payload(100_000))
		synctest.Wait()
		failing := start(func() error { return c.Flush(t.Context()) })
		synctest.Wait()
		p.nc.Close()
		if err := result(t, failing); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

// Pongs that were dropped for newer ones don't keep Flush waiting.
func TestFlushForgetsDroppedPongs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := mode{stream: small(1000)}.raw(t, conn.Config{ControlRate: -1, WriteTimeout: -1})
		go c.Read(context.Background())
		busy := start(func() error { return c.Write(context.Background(), conn.Text, payload(10_000)) })
		synctest.Wait()
		var flushed []<-chan error
		for i := range 100 {
			p.send(fin|ping, strings.Repeat("p", 125))
			if i%10 == 0 {
				synctest.Wait()
				flushed = append(flushed, start(func() error { return c.Flush(t.Context()) }))
				synctest.Wait()
			}
		}
		if op, got := p.message(); op != text || len(got) != 10_000 {
			t.Errorf("%d bytes", len(got))
		}
		go io.Copy(io.Discard, p.br)
		for _, f := range append(flushed, busy) {
			if err := result(t, f); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait() // pongs to pings behind the last Flush
		if s := c.Stats(); s.Queued != 0 {
			t.Errorf("%d bytes queued with nothing to send", s.Queued)
		}
	})
}

// Writing to a peer that is gone ends the connection with what the system says.
func TestWriteToNobody(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{})
		p.nc.Close()
		var err error
		for ctx := soon(t); err == nil; {
			err = c.Write(ctx, conn.Text, payload(1000))
		}
		if ce := closeError(t, err); ce.Code != conn.StatusAbnormal || !isEnd(err) {
			t.Error(err)
		}
		checkOver(t, c, err)
	})
}
