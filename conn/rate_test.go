package conn_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/wstest"
)

// consumer reads a connection's messages and says of each when it came, and at last how it ended.
type consumer struct {
	start time.Time
	came  chan string
	ended chan error
}

func (r *consumer) Message(m conn.Message) error {
	r.came <- fmt.Sprintf("%.3s at %v", m.Data, time.Since(r.start))
	return nil
}

func (r *consumer) Ended(err error) { r.ended <- err }

// consumers are the ways to read: by a loop and by an engine.
var consumers = map[string]func(c *conn.Conn, r *consumer){
	"messages": func(c *conn.Conn, r *consumer) {
		go func() {
			for m, err := range c.Messages(context.Background()) {
				if err != nil {
					r.Ended(err)
					return
				}
				_ = r.Message(m)
			}
			r.Ended(nil)
		}()
	},
	"reads": func(c *conn.Conn, r *consumer) {
		go func() {
			for {
				t, p, err := c.Read(context.Background())
				if err != nil {
					r.Ended(err)
					return
				}
				_ = r.Message(conn.Message{Type: t, Data: p})
			}
		}()
	},
	"engine": func(c *conn.Conn, r *consumer) { new(conn.Engine).Run(c, r) },
}

// runRated runs f for all consumers in bubbles, with a connection and its peer.
func runRated(t *testing.T, cfg conn.Config, f func(t *testing.T, c *conn.Conn, r *consumer, peer *rawPeer)) {
	for name, consume := range consumers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := wstest.Pipe()
				c := conn.New(conn.NetTransport(a), cfg)
				defer c.CloseNow()
				r := &consumer{start: time.Now(), came: make(chan string, 100), ended: make(chan error, 1)}
				consume(c, r)
				f(t, c, r, newRawPeer(t, b, true))
			})
		})
	}
}

func (r *consumer) expect(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := <-r.came; got != w {
			t.Errorf("got %q, want %q", got, w)
		}
	}
}

func TestRateSlowMessages(t *testing.T) {
	cfg := conn.Config{Rate: conn.Rate{Messages: 2, Burst: 1500 * time.Millisecond}}
	runRated(t, cfg, func(t *testing.T, c *conn.Conn, r *consumer, peer *rawPeer) {
		for i := range 5 {
			peer.send(fin|text, fmt.Sprint(i))
		}
		peer.send(fin|closes, closing(conn.StatusNormal, ""))
		r.expect(t, "0 at 0s", "1 at 0s", "2 at 0s", "3 at 500ms", "4 at 1s")
		<-r.ended
		if since := time.Since(r.start); since != 1500*time.Millisecond {
			t.Errorf("the close frame was read after %v", since)
		}
	})
}

func TestRateSlowBytes(t *testing.T) {
	cfg := conn.Config{Rate: conn.Rate{Bytes: 1000}, PingInterval: -1}
	runRated(t, cfg, func(t *testing.T, c *conn.Conn, r *consumer, peer *rawPeer) {
		var all []byte
		for i := range 5 {
			all = append(all, peer.frame(fin|text, fmt.Sprintf("%0500d", i))...)
		}
		peer.write(all)
		r.expect(t, "000 at 0s", "000 at 0s", "000 at 0s", "000 at 500ms", "000 at 1s")
		time.Sleep(time.Minute)
		peer.send(fin|text, "end")
		r.expect(t, "end at 1m1s")
	})
}

// TestRateSlowKeepsConnection holds a peer up for far longer than keepalive's patience.
func TestRateSlowKeepsConnection(t *testing.T) {
	cfg := conn.Config{Rate: conn.Rate{Bytes: 10}, PingInterval: time.Second, PongTimeout: time.Second, IdleTimeout: 5 * time.Second}
	runRated(t, cfg, func(t *testing.T, c *conn.Conn, r *consumer, peer *rawPeer) {
		peer.send(fin|text, strings.Repeat("x", 1010))
		peer.send(fin|text, "y")
		r.expect(t, "xxx at 0s", "y at 1m40s")
	})
}

// TestRateSlowEnds ends a connection that is held up.
func TestRateSlowEnds(t *testing.T) {
	cfg := conn.Config{Rate: conn.Rate{Messages: 0.001}}
	runRated(t, cfg, func(t *testing.T, c *conn.Conn, r *consumer, peer *rawPeer) {
		peer.send(fin|text, "0")
		peer.send(fin|text, "1")
		r.expect(t, "0 at 0s")
		synctest.Wait()
		c.CloseCause(conn.StatusGoingAway, "", conn.ErrShutdown)
		peer.want(fin|closes, closing(conn.StatusGoingAway, ""))
		<-r.ended
		if since := time.Since(r.start); since > time.Second {
			t.Errorf("ended after %v", since)
		}
	})
}

// TestRateLiftedByClose closes a connection that nobody reads and that has a lot of messages to drop.
func TestRateLiftedByClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := wstest.Pipe()
		c := conn.New(conn.NetTransport(a), conn.Config{Rate: conn.Rate{Messages: 1}})
		peer := newRawPeer(t, b, true)
		for range 100 {
			peer.send(fin|text, "x")
		}
		peer.send(fin|closes, closing(conn.StatusNormal, ""))
		start := time.Now()
		if err := c.Close(t.Context(), conn.StatusNormal, ""); err != nil || time.Since(start) > time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		peer.nc.Close()
	})
}

func TestRateClose(t *testing.T) {
	cfg := conn.Config{Rate: conn.Rate{Messages: 2, Policy: conn.RateClose}}
	runRated(t, cfg, func(t *testing.T, c *conn.Conn, r *consumer, peer *rawPeer) {
		for i := range 3 {
			peer.send(fin|text, fmt.Sprint(i))
		}
		r.expect(t, "0 at 0s", "1 at 0s")
		if err := <-r.ended; !errors.Is(err, conn.ErrRateLimit) {
			t.Errorf("ended with %v", err)
		}
		peer.want(fin|closes, closing(conn.StatusPolicyViolation, ""))
	})
}

// TestRateDrop sends too much, in fragments with a ping between.
func TestRateDrop(t *testing.T) {
	cfg := conn.Config{Rate: conn.Rate{Messages: 2, Policy: conn.RateDrop}}
	runRated(t, cfg, func(t *testing.T, c *conn.Conn, r *consumer, peer *rawPeer) {
		for i := range 4 {
			peer.send(text, fmt.Sprint(i))
			peer.send(fin|ping, "p")
			peer.send(fin|cont, strings.Repeat("x", 20_000))
			peer.want(fin|pong, "p")
		}
		r.expect(t, "0xx at 0s", "1xx at 0s")
		time.Sleep(500 * time.Millisecond)
		peer.send(fin|text, "4")
		peer.send(fin|text, "5")
		peer.send(fin|closes, "")
		r.expect(t, "4 at 500ms")
		<-r.ended
		if len(r.came) > 0 {
			t.Errorf("and %q", <-r.came)
		}
		if s := c.Stats(); s.In.Messages != 3 {
			t.Errorf("counted %d", s.In.Messages)
		}
	})
}

// TestRateDropCompressed drops messages to which later ones refer.
func TestRateDropCompressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := wstest.Pipe()
		agreed := conn.Compression{ServerMaxWindowBits: 15, ClientMaxWindowBits: 15}
		c := conn.New(conn.NetTransport(a), conn.Config{Compression: agreed, Rate: conn.Rate{Messages: 1, Policy: conn.RateDrop}})
		peer := conn.New(conn.NetTransport(b), conn.Config{Client: true, Compression: agreed})
		defer c.CloseNow()
		defer peer.CloseNow()
		long := func(i int) string { return strings.Repeat(fmt.Sprintf("the same text again, nearly: %d. ", i), 1000) }
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			for i := range 10 {
				if err := peer.Write(t.Context(), conn.Text, []byte(long(i))); err != nil {
					t.Error(err)
				}
				time.Sleep(400 * time.Millisecond)
			}
		})
		for i := 0; i < 10; i += 3 {
			if _, p, err := c.Read(t.Context()); err != nil || string(p) != long(i) {
				t.Fatalf("message %d: %.40q, %v", i, p, err)
			}
		}
	})
}

// TestRateOverSockets checks an engine that polls. Time is real here, so only the order and the least time are known.
func TestRateOverSockets(t *testing.T) {
	runOver(t, overTCP, func(t *testing.T, m mode) {
		c, peer := m.raw(t, conn.Config{Rate: conn.Rate{Messages: 1000, Burst: time.Nanosecond}})
		r := &consumer{start: time.Now(), came: make(chan string, 100), ended: make(chan error, 1)}
		consumers["engine"](c, r)
		var all []byte
		for i := range 50 {
			all = append(all, peer.frame(fin|text, fmt.Sprintf("%03d", i))...)
		}
		peer.write(append(all, peer.frame(fin|closes, "")...))
		if err := result(t, r.ended); err != nil {
			t.Errorf("ended with %v", err)
		}
		if since := time.Since(r.start); since < 49*time.Millisecond {
			t.Errorf("it took %v", since)
		}
		close(r.came)
		var got []string
		for line := range r.came {
			got = append(got, line[:3])
		}
		if len(got) != 50 || !slices.IsSorted(got) {
			t.Errorf("got %q", got)
		}
	})
}
