package conn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/wstest"
)

// conversation is bytes that a peer may send, with something of everything, and the messages in it. Its last frame is long enough
// to be read straight to where it is wanted.
func conversation(p *rawPeer) (bytes []byte, messages []string) {
	long := string(payload(20_000))
	for _, f := range []struct {
		b0   byte
		data string
	}{
		{fin | text, "héllo"}, {text, "fr"}, {fin | ping, "1"}, {cont, ""}, {cont, "ag\xc3"}, {fin | pong, ""}, {fin | cont, "\xa9s"},
		{fin | binry, ""}, {fin | binry, string(payload(300))}, {fin | ping, "2"}, {binry, "lo"}, {fin | cont, long},
	} {
		bytes = append(bytes, p.frame(f.b0, f.data)...)
	}
	return bytes, []string{"héllo", "fragés", "", string(payload(300)), "lo" + long}
}

// A Read may be given up behind any byte, and nothing is lost.
func TestReadGivenUpAnywhere(t *testing.T) {
	overTLSInMemory := stream{name: "tls-memory", ends: func(t testing.TB) (net.Conn, net.Conn) { return secured(t, overMemory) }}
	for _, s := range []stream{overMemory, overTLSInMemory} {
		runOver(t, s, func(t *testing.T, m mode) {
			bytes, want := conversation(newRawPeer(t, nil, !m.client))
			step := 1
			if s.name != "memory" || race {
				step = 7
			}
			for at := 0; at < len(bytes) && at < 500; at += step {
				synctest.Test(t, func(t *testing.T) {
					c, p := m.raw(t, conn.Config{})
					go io.Copy(io.Discard, p.nc)
					got := start(func() bool { giveUpAndReadAll(t, c, want); return true })
					p.write(bytes[:at])
					time.Sleep(time.Second)
					synctest.Wait()
					p.write(bytes[at:])
					result(t, got)
					c.CloseNow()
				})
			}
		})
	}
}

// giveUpAndReadAll uses only ways to read that don't hold on to a message.
func giveUpAndReadAll(t *testing.T, c *conn.Conn, want []string) {
	for i := 0; len(want) > 0; i++ {
		name := []string{"Read", "Messages", "AppendRead"}[i%3]
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, got, err := readers[name](ctx, c)
		cancel()
		if err == nil && string(got) == want[0] {
			want = want[1:]
		} else if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: got %d bytes %.50q, %v; want %d %.50q", name, len(got), got, err, len(want[0]), want[0])
			return
		}
	}
}

// The same over real sockets, dribbling: reads end while bytes are on their way.
func TestReadGivenUpDribbling(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{})
		go io.Copy(io.Discard, p.nc)
		b, want := conversation(p)
		sent := start(func() error {
			for n := 1; len(b) > 0; n = n*3%97 + 1 {
				k := min(n*len(b)/2000+1, len(b))
				if _, err := p.nc.Write(b[:k]); err != nil {
					return err
				}
				b = b[k:]
			}
			return nil
		})
		for i := 0; len(want) > 0; i++ {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%5)*20*time.Microsecond)
			_, got, err := readers[[]string{"Read", "Messages", "AppendRead"}[i%3]](ctx, c)
			cancel()
			if err == nil && string(got) == want[0] {
				want = want[1:]
			} else if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
				t.Fatalf("got %d bytes %.50q, %v; want %d %.50q", len(got), got, err, len(want[0]), want[0])
			}
		}
		if err := result(t, sent); err != nil {
			t.Error(err)
		}
	})
}

// What one context's end left unread the next ones get, with and without compression.
func TestReadGivenUpDeflate(t *testing.T) {
	for _, client := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a, b := overMemory.ends(t)
			agreed := conn.Compression{ServerMaxWindowBits: 15, ClientMaxWindowBits: 9, ClientNoContextTakeover: true}
			c := conn.New(conn.NetTransport(a), conn.Config{Client: client, Compression: agreed})
			peer := conn.New(conn.NetTransport(wstest.Faulty(b, wstest.Faults{Seed: 1, WriteMax: 3000, WriteDelay: 60 * time.Millisecond})), conn.Config{Client: !client, Compression: agreed})
			defer c.CloseNow()
			defer peer.CloseNow()
			want := []string{string(payload(100)), string(payload(5000)), "short", string(payload(200_000))}
			sent := start(func() (err error) {
				for _, s := range want {
					err = errors.Join(err, peer.Write(t.Context(), conn.Text, []byte(s)))
				}
				return err
			})
			giveUpAndReadAll(t, c, want)
			if err := result(t, sent); err != nil {
				t.Error(err)
			}
		})
	}
}

// A context's end is noticed although the peer's flood lets no read wait.
func TestReadFlooded(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{})
		flooded := start(func() error {
			flood := bytes.Repeat(p.frame(fin|text, "again"), 1000)
			for {
				if _, err := p.nc.Write(flood); err != nil {
					return err
				}
			}
		})
		ctx, cancel := context.WithCancel(soon(t))
		defer cancel()
		behind := 0
		for _, err := range c.Messages(ctx) {
			if err != nil {
				if !errors.Is(err, context.Canceled) || errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				break
			}
			if cancel(); behind > 100_000 {
				t.Fatal("the context's end is not noticed")
			}
			behind++
		}
		if _, got, err := c.Read(soon(t)); string(got) != "again" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		c.CloseNow()
		if err := result(t, flooded); !isEnd(err) {
			t.Error(err)
		}
	})
}

// Several readers take turns: each message is read once, whole, by one of them; and the one who gives up waiting for its turn
// takes nothing with it.
func TestReadersTakeTurns(t *testing.T) {
	runAll(t, func(t *testing.T, m mode) {
		messages, each := scaled(400), 8
		c, peer := m.pair(t, conn.Config{}, conn.Config{})
		ctx, cancel := context.WithCancel(soon(t))
		defer cancel()
		var mu sync.Mutex
		seen := make(map[string]int)
		var wg sync.WaitGroup
		for i := range each {
			read := readers[[]string{"Read", "AppendRead", "Messages"}[i%3]]
			wg.Go(func() {
				for {
					short, cancel := context.WithTimeout(ctx, time.Duration(i+1)*50*time.Microsecond)
					_, got, err := read(short, c)
					cancel()
					if err == nil {
						mu.Lock()
						seen[string(got)]++
						mu.Unlock()
					} else if errors.Is(err, net.ErrClosed) || err == io.EOF {
						return
					} else if !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
						return
					}
				}
			})
		}
		for i := range messages {
			if err := peer.Write(ctx, conn.Text, fmt.Appendf(nil, "%d %s", i, payload(i*10))); err != nil {
				t.Fatal(err)
			}
		}
		if err := peer.Close(ctx, 1000, ""); err != nil {
			t.Error(err)
		}
		wg.Wait()
		for i := range messages {
			if n := seen[fmt.Sprintf("%d %s", i, payload(i*10))]; n != 1 {
				t.Fatalf("message %d was read %d times; %d different messages of %d", i, n, len(seen), messages)
			}
		}
	})
}

// Who waits for another one's read waits with its own context.
func TestReadWaitsForTurn(t *testing.T) {
	for name, read := range readers {
		synctest.Test(t, func(t *testing.T) {
			c, p := mode{stream: overMemory}.raw(t, conn.Config{})
			first := start(func() string { _, got, _ := c.Read(context.Background()); return string(got) })
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if took := elapsed(func() {
				if _, _, err := read(ctx, c); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
					t.Errorf("%s: %v", name, err)
				}
			}); took != time.Second {
				t.Errorf("%s gave up after %v", name, took)
			}
			second := start(func() error { _, _, err := read(context.Background(), c); return err })
			synctest.Wait()
			p.send(fin|text, "for the first")
			if got := result(t, first); got != "for the first" {
				t.Errorf("%s: the first got %q", name, got)
			}
			synctest.Wait()
			c.CloseNow()
			if err := result(t, second); !errors.Is(err, net.ErrClosed) && err != io.EOF {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// A context that outlives many connections isn't held by those that have ended.
func TestReadLeavesNoWatch(t *testing.T) {
	for _, s := range []stream{overMemory, overTCP, overOwn} {
		ctx := &countingContext{Context: t.Context(), done: make(chan struct{})}
		for range 50 {
			c, p := mode{stream: s}.raw(t, conn.Config{})
			p.send(fin|text, "x")
			waits := start(func() (err error) {
				for err == nil {
					_, _, err = c.Read(ctx)
				}
				return err
			})
			if err := c.Write(ctx, conn.Text, payload(100)); err != nil {
				t.Error(err)
			}
			p.send(fin|text, "x")
			c.CloseNow()
			if err := result(t, waits); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}
		if n := ctx.watched.Load(); n != 0 {
			t.Errorf("%s: %d watches left on the context", s.name, n)
		}
	}
}

// countingContext knows how many wait for its end.
type countingContext struct {
	context.Context
	done    chan struct{}
	watched atomic.Int64
}

func (c *countingContext) Done() <-chan struct{} { return c.done }

// AfterFunc is what context.AfterFunc calls.
func (c *countingContext) AfterFunc(func()) (stop func() bool) {
	c.watched.Add(1)
	var stopped atomic.Bool
	return func() bool {
		first := stopped.CompareAndSwap(false, true)
		if first {
			c.watched.Add(-1)
		}
		return first
	}
}

// Bytes that came with the handshake are read first, and needn't be whole.
func TestEarlyBytes(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		b, want := conversation(newRawPeer(t, nil, !m.client))
		for _, at := range []int{0, 1, 3, 20, len(b)} {
			early := bytes.Clone(b[:at])
			c, p := m.raw(t, conn.Config{Early: early})
			clear(early) // it is copied
			go io.Copy(io.Discard, p.nc)
			sent := start(func() error { _, err := p.nc.Write(b[at:]); return err })
			for _, s := range want {
				if _, got, err := c.Read(soon(t)); string(got) != s || err != nil {
					t.Fatalf("%d early: %.50q, %v", at, got, err)
				}
			}
			if err := result(t, sent); err != nil {
				t.Error(err)
			}
			c.CloseNow()
		}
	})
}
