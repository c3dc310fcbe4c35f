package conn_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/conn"
)

// netPair is a connection of the mode and its peer, both as byte streams.
func (m mode) netPair(t testing.TB) (a, b net.Conn) {
	patient := conn.Config{PingInterval: -1, IdleTimeout: -1, WriteTimeout: -1}
	c, peer := m.pair(t, patient, patient)
	return c.NetConn(t.Context(), conn.Binary), peer.NetConn(t.Context(), conn.Binary)
}

// Bytes arrive as they were written, both ways at once, however they are cut; and the peer's Close is the end of the stream.
func TestNetConn(t *testing.T) {
	runAll(t, func(t *testing.T, m mode) {
		a, b := m.netPair(t)
		n := scaled(1 << 20)
		send := func(c net.Conn) func() error {
			return func() error {
				w := bufio.NewWriterSize(c, 10_000)
				for p := payload(n); len(p) > 0; {
					k := min(min(len(p), 1+len(p)/7), 500_000)
					if _, err := w.Write(p[:k]); err != nil {
						return err
					}
					p = p[k:]
				}
				_, err := c.Write(nil)
				return errors.Join(err, w.Flush())
			}
		}
		sent := []<-chan error{start(send(a)), start(send(b))}
		for _, c := range []net.Conn{a, b} {
			got := make([]byte, n)
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, payload(n)) {
				t.Fatalf("not what was sent, %v", err)
			}
		}
		for _, s := range sent {
			if err := result(t, s); err != nil {
				t.Error(err)
			}
		}
		closed := start(a.Close)
		if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%d, %v", n, err)
		}
		if err := result(t, closed); err != nil {
			t.Error(err)
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) || err == io.EOF {
			t.Errorf("after its own Close: %v", err)
		}
		if _, err := a.Write(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after its own Close: %v", err)
		}
	})
}

// How the peer's end looks.
func TestNetConnEnds(t *testing.T) {
	for code, want := range map[conn.StatusCode]error{1000: io.EOF, 1001: io.EOF, 1011: net.ErrClosed, 4000: net.ErrClosed} {
		c, p := mode{stream: overMemory}.raw(t, conn.Config{})
		n := c.NetConn(t.Context(), conn.Text)
		p.send(fin|text, "last")
		p.send(fin|closes, closing(code, ""))
		got, err := io.ReadAll(n)
		if want == io.EOF {
			want = nil // for ReadAll
		}
		if string(got) != "last" || !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%d: %q, %v", code, got, err)
		}
		if _, err := n.Write([]byte("late")); err == io.EOF || !errors.Is(err, net.ErrClosed) {
			t.Errorf("%d: Write: %v", code, err)
		}
	}
	c, p := mode{stream: overMemory}.raw(t, conn.Config{})
	p.nc.Close()
	if _, err := c.NetConn(t.Context(), conn.Text).Read(make([]byte, 1)); err == io.EOF || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("no close frame: %v", err)
	}
}

// A message of the other type doesn't belong here.
func TestNetConnWrongType(t *testing.T) {
	for _, typ := range []conn.MessageType{conn.Text, conn.Binary} {
		c, p := mode{stream: overMemory}.raw(t, conn.Config{})
		n := c.NetConn(t.Context(), typ)
		p.send(fin|text, "1")
		p.send(fin|binry, "2")
		var pe *conn.ProtocolError
		got, err := io.ReadAll(n)
		if !errors.As(err, &pe) || pe.Code != conn.StatusUnsupportedData {
			t.Errorf("%v: %q, %v", typ, got, err)
		}
		p.wantClosed(conn.StatusUnsupportedData)
	}
}

// The end of its context is the end of the connection, and no timeout that one could wait out.
func TestNetConnContext(t *testing.T) {
	for _, end := range []context.CancelCauseFunc{nil, func(error) {}} {
		c, _ := mode{stream: overMemory}.raw(t, conn.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		n := c.NetConn(ctx, conn.Text)
		read := start(func() error { _, err := n.Read(make([]byte, 1)); return err })
		if end == nil {
			cancel()
		} else { // Close lets go of the context
			c.CloseNow()
			n.Close()
			cancel()
		}
		for _, err := range []error{result(t, read), closedWrite(n)} {
			if !errors.Is(err, net.ErrClosed) || isTimeout(err) {
				t.Error(err)
			}
		}
	}
}

func closedWrite(n net.Conn) error {
	_, err := n.Write([]byte("x"))
	return err
}

func TestNetConnAddr(t *testing.T) {
	c, _ := mode{stream: overMemory}.raw(t, conn.Config{LocalAddr: &net.TCPAddr{Port: 80}})
	n := c.NetConn(t.Context(), conn.Text)
	if a, b := n.LocalAddr(), n.RemoteAddr(); a.String() != ":80" || b == nil || b.String() != "websocket" || b.Network() != "websocket" {
		t.Errorf("%v, %v", a, b)
	}
}

// Deadlines end calls under way, those to come, and none after they are moved.
func TestNetConnDeadlines(t *testing.T) {
	both(t, func(t *testing.T, m mode) {
		m.stream = small(1000)
		a, b := m.netPair(t)
		read := func() error { _, err := a.Read(make([]byte, 1)); return err }
		write := func() error { n, err := a.Write(payload(1000)); return blame(n, err) }
		for name, c := range map[string]struct {
			call func() error
			set  func(time.Time) error
		}{"Read": {read, a.SetReadDeadline}, "Read, both": {read, a.SetDeadline}, "Write": {write, a.SetWriteDeadline}} {
			if name == "Write" {
				for a.SetWriteDeadline(time.Now()); blame(a.Write(payload(100))) == nil; {
				}
				a.SetWriteDeadline(time.Time{})
				for range 700 { // fills the pipe, and the queue
					a.SetWriteDeadline(time.Now().Add(time.Millisecond))
					a.Write(payload(100))
				}
			}
			wantTimeout := func(what string, err error) {
				t.Helper()
				if !errors.Is(err, os.ErrDeadlineExceeded) || !isTimeout(err) || errors.Is(err, net.ErrClosed) {
					t.Errorf("%s %s: %v", name, what, err)
				}
			}
			c.set(time.Now().Add(-time.Second))
			wantTimeout("after it has passed", c.call())
			wantTimeout("again", c.call())
			c.set(time.Now().Add(time.Second))
			if took := elapsed(func() { wantTimeout("in a second", c.call()) }); took != time.Second {
				t.Errorf("%s ended after %v", name, took)
			}
			c.set(time.Time{})
			waiting := start(c.call)
			synctest.Wait()
			c.set(time.Now().Add(time.Hour))
			synctest.Wait()
			if took := elapsed(func() { c.set(time.Now().Add(time.Minute)); wantTimeout("moved", <-waiting) }); took != time.Minute {
				t.Errorf("%s ended after %v", name, took)
			}
			c.set(time.Now().Add(time.Second))
			waiting = start(c.call)
			synctest.Wait()
			c.set(time.Time{})
			time.Sleep(time.Second * 5)
			select {
			case err := <-waiting:
				t.Errorf("%s ended although its deadline was taken back: %v", name, err)
			default:
				c.set(time.Now())
				wantTimeout("at once", <-waiting)
			}
		}
		a.SetDeadline(time.Time{})
		got := start(func() error { _, err := io.Copy(io.Discard, b); return err })
		if err := errors.Join(a.Close(), <-got); err != nil {
			t.Error(err)
		}
	})
}

func blame(n int, err error) error {
	if err == nil && n == 0 {
		return errors.New("nothing written")
	}
	return err
}

// With its deadline past, Read times out although there is something to read; a later Read gets it.
func TestNetConnPastDeadline(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		a, b := m.netPair(t)
		if _, err := b.Write([]byte("something")); err != nil {
			t.Fatal(err)
		}
		one := make([]byte, 1)
		if _, err := io.ReadFull(a, one); err != nil {
			t.Fatal(err)
		}
		a.SetReadDeadline(time.Now().Add(-time.Second))
		if n, err := a.Read(one); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d, %v", n, err)
		}
		a.SetReadDeadline(time.Time{})
		rest := make([]byte, 8)
		if _, err := io.ReadFull(a, rest); string(one)+string(rest) != "something" || err != nil {
			t.Errorf("%q %q, %v", one, rest, err)
		}
	})
}

// A Write that its deadline ends reports as written what will arrive, so that nothing is sent twice: whoever goes on with what is
// left sends each byte once.
func TestNetConnWriteGoesOn(t *testing.T) {
	both(t, func(t *testing.T, m mode) {
		m.stream = small(1000)
		a, b := m.netPair(t)
		sent := start(func() error {
			p := payload(300_000)
			for i := 0; len(p) > 0; i++ {
				a.SetWriteDeadline(time.Now().Add(time.Duration(i%7) * 100 * time.Millisecond))
				n, err := a.Write(p[:min(len(p), 20_000)])
				if p = p[n:]; err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					return err
				}
				if err != nil && n == 0 {
					time.Sleep(50 * time.Millisecond)
				}
			}
			return a.Close()
		})
		var got []byte
		for buf := make([]byte, 1500); ; time.Sleep(10 * time.Millisecond) {
			n, err := b.Read(buf)
			if got = append(got, buf[:n]...); err != nil {
				if err != io.EOF {
					t.Error(err)
				}
				break
			}
		}
		if err := <-sent; err != nil || !bytes.Equal(got, payload(300_000)) {
			t.Errorf("%d bytes, or not the same; %v", len(got), err)
		}
	})
}

// Concurrent use of all methods is safe.
func TestNetConnAtOnce(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		a, b := m.netPair(t)
		done := make(chan error, 6)
		for range 2 {
			go func() {
				for i := range 200 {
					if _, err := fmt.Fprintln(a, i); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
						done <- err
						return
					}
				}
				done <- nil
			}()
			go func() {
				for range 200 {
					a.SetDeadline(time.Now().Add(time.Hour))
				}
				done <- nil
			}()
			go func() {
				_, err := io.Copy(io.Discard, b)
				done <- err
			}()
		}
		for range 4 {
			if err := result(t, done); err != nil {
				t.Error(err)
			}
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := result(t, done); err != nil {
				t.Error(err)
			}
		}
	})
}
