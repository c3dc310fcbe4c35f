package conn_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/conn"
)

// Pings are answered with their payload by whatever way there is to read, also between the fragments of a message.
func TestPingsAreAnswered(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for name, read := range readers {
			c, p := m.raw(t, conn.Config{})
			got := start(func() string { _, b, _ := read(soon(t), c); return string(b) })
			for i, b0 := range []byte{text, cont, cont, fin | cont} {
				for _, n := range []int{0, 1, 125} {
					p.send(fin|ping, strings.Repeat("p", n))
					p.want(fin|pong, strings.Repeat("p", n))
				}
				p.send(b0, fmt.Sprint(i))
			}
			if s := result(t, got); s != "0123" {
				t.Errorf("%s: %q", name, s)
			}
		}
	})
}

// A pong doesn't wait for the end of a long message that is being written.
func TestPongBetweenFragments(t *testing.T) {
	const n = 2 << 20
	for _, s := range []stream{overMemory, overTLSInMemory} {
		runOver(t, s, func(t *testing.T, m mode) {
			synctest.Test(t, func(t *testing.T) {
				c, p := m.raw(t, conn.Config{})
				go c.Read(t.Context())
				sent := start(func() error { return c.Write(t.Context(), conn.Binary, payload(n)) })
				synctest.Wait()
				p.send(fin|ping, "!")
				synctest.Wait()
				got := 0
				for b0, data := byte(0), ""; b0 != fin|pong; got += len(data) {
					var err error
					if b0, data, err = p.next(); err != nil {
						t.Fatal(err)
					}
				}
				if got--; got > 256<<10 {
					t.Errorf("the pong came behind %d bytes", got)
				}
				for got < n {
					_, data, err := p.next()
					if err != nil {
						t.Fatal(err)
					}
					got += len(data)
				}
				if err := result(t, sent); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// More control frames a second than allowed end the connection; as many as allowed don't, for however long.
func TestControlFlood(t *testing.T) {
	for _, b0 := range []byte{fin | ping, fin | pong} {
		synctest.Test(t, func(t *testing.T) {
			for _, rate := range []int{0, 10, -1} {
				c, p := mode{stream: overMemory}.raw(t, conn.Config{ControlRate: rate})
				allowed := map[int]int{0: 100, 10: 10, -1: 5000}[rate]
				read := start(func() error { _, _, err := c.Read(t.Context()); return err })
				drained := start(func() (n int) {
					for {
						b0, data, err := p.next()
						if err != nil || b0 == fin|closes {
							if rate >= 0 && codeOf(data) != conn.StatusPolicyViolation {
								t.Errorf("rate %d: told %d, %v", rate, codeOf(data), err)
							}
							return n
						}
						n++
					}
				})
				for range 5 {
					for range allowed {
						p.send(b0, "x")
					}
					time.Sleep(time.Second)
				}
				if c.Context().Err() != nil {
					t.Errorf("rate %d: %v", rate, context.Cause(c.Context()))
				}
				for range 2 * allowed {
					_, _ = p.nc.Write(p.frame(b0, "x"))
				}
				synctest.Wait()
				if rate < 0 {
					c.CloseNow()
				} else if err := result(t, read); err != conn.ErrControlFlood {
					t.Errorf("rate %d: %v", rate, err)
				}
				if n := <-drained; b0 == fin|ping && n < 5*allowed && rate >= 0 {
					t.Errorf("rate %d: %d pongs", rate, n)
				}
			}
		})
	}
}

// Pongs to a peer that doesn't read don't pile up: it gets the latest, as RFC 6455 5.5.3 has it, and a ping of ours isn't lost
// among them.
func TestPongsToNobody(t *testing.T) {
	for _, client := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, p := mode{client: client, stream: small(100)}.raw(t, conn.Config{ControlRate: -1, WriteTimeout: -1})
			go c.Read(context.Background())
			pinged := start(func() error { return c.Ping(t.Context()) })
			synctest.Wait()
			for i := range 1000 {
				p.send(fin|ping, fmt.Sprintf("%100d", i))
				if i%50 == 0 {
					synctest.Wait()
				}
			}
			synctest.Wait()
			if s := c.Stats(); s.Queued > 3000 {
				t.Errorf("%d bytes wait for a peer that doesn't read", s.Queued)
			}
			again := start(func() error { return c.Ping(t.Context()) })
			synctest.Wait()
			for i := range 100 {
				p.send(fin|ping, fmt.Sprintf("%100d", i))
			}
			last := ""
			for last != fmt.Sprintf("%100d", 99) {
				b0, data, err := p.next()
				if err != nil {
					t.Fatal(err)
				}
				if b0 == fin|ping {
					p.send(fin|pong, data)
				} else {
					last = data
				}
			}
			for _, done := range []<-chan error{pinged, again} {
				if err := result(t, done); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// Ping is a round trip, and any number of them can be under way.
func TestPing(t *testing.T) {
	runAll(t, func(t *testing.T, m mode) {
		c, peer := m.pair(t, conn.Config{}, conn.Config{})
		c.CloseRead(t.Context())
		peer.CloseRead(t.Context())
		var wg sync.WaitGroup
		for _, end := range []*conn.Conn{c, peer} {
			for range 20 {
				wg.Go(func() {
					if err := end.Ping(soon(t)); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
	})
}

func TestPingUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := mode{stream: overMemory}.raw(t, conn.Config{PingInterval: -1})
		go c.Read(context.Background())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p.send(fin|pong, "unasked for")
		p.send(fin|pong, "8 bytes.")
		if took := elapsed(func() {
			if err := c.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}); took != time.Second {
			t.Errorf("took %v", took)
		}
		pinged := start(func() error { return c.Ping(t.Context()) })
		synctest.Wait()
		c.CloseNow()
		if err := result(t, pinged); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

// A peer may answer the latest ping alone, even if that is one that nobody waits for any more.
func TestPongAnswersEarlierPings(t *testing.T) {
	for _, answer := range []int{0, 1, 2} {
		synctest.Test(t, func(t *testing.T) {
			c, p := mode{stream: overMemory}.raw(t, conn.Config{})
			go c.Read(context.Background())
			var pings []string
			var done []<-chan error
			for i := range 3 {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done = append(done, start(func() error { return c.Ping(ctx) }))
				_, data, err := p.next()
				if err != nil {
					t.Fatal(err)
				}
				pings = append(pings, data)
				if i == 1 {
					cancel() // the second one is given up
					if err := result(t, done[1]); !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
				}
			}
			p.send(fin|pong, pings[answer])
			synctest.Wait()
			for i := range done {
				select {
				case err := <-done[i]:
					if i > answer || err != nil {
						t.Errorf("answering %d: ping %d returned %v", answer, i, err)
					}
				default:
					if i != 1 && i <= answer {
						t.Errorf("answering %d: ping %d still waits", answer, i)
					}
				}
			}
			c.CloseNow()
		})
	}
}
