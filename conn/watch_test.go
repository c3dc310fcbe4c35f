package conn_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/conn"
)

// Timeouts are noticed up to half of the shortest one late. The shortest default is the 10 s for a pong.
const late = 5 * time.Second

// in checks that d is what it should be, or as late as that may come.
func in(t *testing.T, what string, d, want, late time.Duration) {
	t.Helper()
	if d < want || d > want+late {
		t.Errorf("%s after %v, want %v and at most %v more", what, d, want, late)
	}
}

// both runs f in a bubble, over memory, for both roles.
func both(t *testing.T, f func(t *testing.T, m mode)) {
	for _, client := range []bool{false, true} {
		m := mode{client: client, stream: overMemory}
		t.Run(m.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, m) })
		})
	}
}

// A silent peer is pinged, and lives on as long as it answers: most of a day, here.
func TestKeepalive(t *testing.T) {
	both(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{})
		read := start(func() error { _, _, err := c.Read(context.Background()); return err })
		for range 24 * 60 {
			began := time.Now()
			if b0, data, err := p.nextWithin(time.Hour); b0 != fin|ping || data != "" || err != nil {
				t.Fatalf("%#x %q %v", b0, data, err)
			}
			in(t, "ping", time.Since(began), 30*time.Second, late)
			time.Sleep(9 * time.Second) // in time
			p.send(fin|pong, "")
		}
		c.CloseNow()
		<-read
	})
}

// nextWithin is next with another patience.
func (p *rawPeer) nextWithin(d time.Duration) (b0 byte, payload string, err error) {
	p.t.Helper()
	p.patience = d
	defer func() { p.patience = patience }()
	return p.next()
}

// A peer that doesn't answer a ping is gone. It is told, in case it is not.
func TestPongTimeout(t *testing.T) {
	both(t, func(t *testing.T, m mode) {
		for _, c := range []struct{ ping, pong, wantPing, wantEnd, late time.Duration }{
			{0, 0, 30 * time.Second, 10 * time.Second, late},
			{time.Minute, 2 * time.Second, time.Minute, 2 * time.Second, time.Second},
			{time.Second, time.Minute, time.Second, time.Minute, time.Second / 2},
		} {
			cn, p := m.raw(t, conn.Config{PingInterval: c.ping, PongTimeout: c.pong})
			began := time.Now()
			read := start(func() error { _, _, err := cn.Read(context.Background()); return err })
			if b0, _, err := p.nextWithin(time.Hour); b0 != fin|ping || err != nil {
				t.Fatal(b0, err)
			}
			in(t, "ping", time.Since(began), c.wantPing, c.late)
			began = time.Now()
			if err := <-read; err != conn.ErrPongTimeout {
				t.Error(err)
			}
			in(t, "end", time.Since(began), c.wantEnd, c.late)
			p.wantClosed(conn.StatusInternalError)
			checkOver(t, cn, conn.ErrPongTimeout)
		}
	})
}

// Any byte is life: part of a header, of a payload, of a pong that nobody asked for. Sending isn't.
func TestAnyByteIsLife(t *testing.T) {
	both(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{MessageTimeout: -1, IdleTimeout: 15 * time.Second})
		go io.Copy(io.Discard, p.nc)
		read := start(func() error { _, _, err := c.Read(context.Background()); return err })
		for _, b := range append(p.frame(text, "slowly"), p.frame(fin|pong, "unasked")...) {
			p.write([]byte{b})
			time.Sleep(10 * time.Second)
		}
		if err := context.Cause(c.Context()); err != nil {
			t.Fatal(err)
		}
		go func() {
			for c.Write(context.Background(), conn.Text, []byte("sending")) == nil {
				time.Sleep(time.Second)
			}
		}()
		began := time.Now().Add(-10 * time.Second)
		if err := <-read; err != conn.ErrIdle {
			t.Error(err)
		}
		in(t, "end", time.Since(began), 15*time.Second, late)
		time.Sleep(5 * time.Second)
	})
}

func TestIdleTimeout(t *testing.T) {
	both(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{PingInterval: -1})
		began := time.Now()
		if _, _, err := c.Read(context.Background()); err != conn.ErrIdle {
			t.Error(err)
		}
		in(t, "end", time.Since(began), 5*time.Minute, late)
		p.wantClosed(conn.StatusGoingAway)
		checkOver(t, c, conn.ErrIdle)
	})
}

// A handler that is busy for longer than every deadline keeps its healthy connection, with bytes waiting or without, and
// the deadlines begin anew when it reads again.
func TestBusyHandler(t *testing.T) {
	both(t, func(t *testing.T, m mode) {
		for _, waiting := range []bool{true, false} {
			c, p := m.raw(t, conn.Config{})
			if waiting {
				p.send(fin|text, "waiting")
				p.send(fin|ping, "still there?")
				p.send(text, "begun")
			}
			time.Sleep(time.Hour)
			if err := context.Cause(c.Context()); err != nil {
				t.Fatal(err)
			}
			if waiting {
				if _, b, err := c.Read(t.Context()); string(b) != "waiting" || err != nil {
					t.Errorf("%q, %v", b, err)
				}
			}
			time.Sleep(time.Hour)
			began := time.Now()
			_, _, err := c.Read(context.Background())
			want := conn.ErrPongTimeout
			if errors.Is(err, conn.ErrMessageTimeout) {
				want = conn.ErrMessageTimeout
			}
			if err != want {
				t.Error(err)
			}
			in(t, "end", time.Since(began), 40*time.Second, 2*late)
			p.nc.Close()
		}
	})
}

// A handler that reads now and then, giving up in between, hears of a peer that speaks now and then.
func TestPollingHandler(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, _, err := c.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		before := c.Heard()
		p.send(fin|text, "while nobody waits")
		if _, _, err := c.Read(soon(t)); err != nil {
			t.Fatal(err)
		}
		if c.Heard() == before {
			t.Error("what was read without waiting doesn't count as life")
		}
	})
}

// A message must be complete in time, while somebody waits for it.
func TestMessageTimeout(t *testing.T) {
	both(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{})
		go func() {
			time.Sleep(500 * time.Microsecond) // never at the time of a check
			for _, err := p.nc.Write(p.frame(text, "slow")); err == nil; _, err = p.nc.Write(p.frame(cont, "ly")) {
				time.Sleep(1001 * time.Millisecond)
			}
		}()
		began := time.Now()
		if _, _, err := c.Read(context.Background()); err != conn.ErrMessageTimeout {
			t.Error(err)
		}
		in(t, "end", time.Since(began), time.Minute, late)
		p.wantClosed(conn.StatusPolicyViolation)
		checkOver(t, c, conn.ErrMessageTimeout)
		time.Sleep(5 * time.Second)
	})
}

// Many messages one after the other, each in time, are no slow message; nor is one whose reader takes its time.
func TestNoMessageTimeout(t *testing.T) {
	both(t, func(t *testing.T, m mode) {
		c, p := m.raw(t, conn.Config{PingInterval: -1})
		sent := start(func() bool {
			for range 10 {
				p.send(text, "be")
				time.Sleep(50 * time.Second)
				p.send(fin|cont, "gun")
			}
			return true
		})
		for range 10 {
			if _, _, err := c.Read(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		<-sent
		p.send(fin|text, string(payload(10_000)))
		_, r, err := c.Reader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
	})
}

// A peer that takes nothing is ended, whoever writes: a Write, a flusher, or pongs to a peer that pings but never reads.
func TestWriteTimeout(t *testing.T) {
	stuck := map[string]func(c *conn.Conn, p *rawPeer) error{
		"Write": func(c *conn.Conn, p *rawPeer) error {
			return c.Write(context.Background(), conn.Text, payload(10_000))
		},
		"Write, long": func(c *conn.Conn, p *rawPeer) error {
			return c.Write(context.Background(), conn.Text, payload(500_000))
		},
		"Write, given up": func(c *conn.Conn, p *rawPeer) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
			defer cancel()
			if err := c.Write(ctx, conn.Text, payload(10_000)); !errors.Is(err, context.DeadlineExceeded) {
				return err
			}
			return c.Flush(context.Background())
		},
		"TryWrite": func(c *conn.Conn, p *rawPeer) error {
			m, _ := conn.NewPrepared(conn.Message{Type: conn.Text, Data: payload(10_000)})
			if n, err := c.TryWrite(m); n != 1 || err != nil {
				return err
			}
			return c.Flush(context.Background())
		},
		"Writer": func(c *conn.Conn, p *rawPeer) error {
			w, err := c.Writer(context.Background(), conn.Text)
			if err == nil {
				_, err = w.Write(payload(500_000))
			}
			return err
		},
		"pings": func(c *conn.Conn, p *rawPeer) error {
			go func() {
				for _, err := p.nc.Write(p.frame(fin|ping, "x")); err == nil; _, err = p.nc.Write(p.frame(fin|ping, "x")) {
					time.Sleep(20 * time.Millisecond)
				}
			}()
			_, _, err := c.Read(context.Background())
			return err
		},
	}
	for name, f := range stuck {
		both(t, func(t *testing.T, m mode) {
			m.stream = small(30)
			c, p := m.raw(t, conn.Config{})
			time.Sleep(time.Second) // in the middle between two checks
			began := time.Now()
			if err := f(c, p); err != conn.ErrWriteStalled {
				t.Errorf("%s: %v", name, err)
			}
			in(t, name, time.Since(began), 30*time.Second, late)
			checkOver(t, c, conn.ErrWriteStalled)
			time.Sleep(time.Second)
		})
	}
}

// A peer that is slow, but takes something now and then, is not ended.
func TestSlowPeer(t *testing.T) {
	both(t, func(t *testing.T, m mode) {
		m.stream = small(1000)
		c, p := m.raw(t, conn.Config{})
		written := start(func() error { return c.Write(context.Background(), conn.Text, payload(100_000)) })
		for range 100 {
			time.Sleep(time.Second)
			if _, err := io.ReadFull(p.br, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		go io.Copy(io.Discard, p.br)
		if err := <-written; err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		if err := context.Cause(c.Context()); err != nil {
			t.Error(err)
		}
	})
}

// With every limit off nothing ends a connection, and nobody watches it.
func TestNoTimeouts(t *testing.T) {
	both(t, func(t *testing.T, m mode) {
		var k conn.Keeper
		c, p := m.raw(t, conn.Config{PingInterval: -1, PongTimeout: -1, IdleTimeout: -1, MessageTimeout: -1, WriteTimeout: -1, Keeper: &k})
		if !k.Idle() {
			t.Error("the keeper has something to do")
		}
		read := start(func() error { _, _, err := c.Read(context.Background()); return err })
		p.send(text, "begun")
		time.Sleep(1000 * time.Hour)
		p.send(fin|cont, "and done")
		if err := <-read; err != nil {
			t.Error(err)
		}
	})
}

// A keeper serves many connections, whatever their timeouts, and stops with the last.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k conn.Keeper
		for round := range 2 {
			var conns []*conn.Conn
			for i := range 200 {
				idle := time.Duration(1+i%5) * time.Minute
				c, p := mode{stream: overMemory, client: i%2 == 0}.raw(t, conn.Config{IdleTimeout: idle, PingInterval: -1, Keeper: &k})
				go io.Copy(io.Discard, p.nc)
				c.CloseRead(t.Context())
				conns = append(conns, c)
			}
			for i := range 200 {
				if i%3 == 0 {
					conns[i].CloseNow()
				}
			}
			began := time.Now()
			for minute := range 5 {
				for i, c := range conns {
					if i%3 != 0 && i%5 == minute {
						<-c.Context().Done()
						if err := context.Cause(c.Context()); err != conn.ErrIdle {
							t.Errorf("round %d, %d: %v", round, i, err)
						}
						in(t, "end", time.Since(began), time.Duration(minute+1)*time.Minute, late)
					}
				}
			}
			time.Sleep(2 * time.Second) // linger
			if !k.Idle() {
				t.Error("the keeper goes on without connections")
			}
		}
	})
}

// A connection that has been quiet forgets what it would compress with, and its messages are none the worse.
func TestQuietCompression(t *testing.T) {
	both(t, func(t *testing.T, m mode) {
		m.deflate = true
		c, peer := m.pair(t, conn.Config{PingInterval: -1, IdleTimeout: -1}, conn.Config{PingInterval: -1, IdleTimeout: -1})
		for range 3 {
			for range 2 {
				if err := c.Write(t.Context(), conn.Text, payload(5000)); err != nil {
					t.Fatal(err)
				}
				if _, b, err := peer.Read(t.Context()); string(b) != string(payload(5000)) || err != nil {
					t.Fatal(len(b), err)
				}
			}
			time.Sleep(time.Minute)
		}
	})
}
