package wstest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/wstest"
)

func TestListenerServesHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(wstest.Listener)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Minute)
			io.WriteString(w, r.RemoteAddr)
		})}
		served := start(func() error { return srv.Serve(l) })
		transport := &http.Transport{DialContext: l.DialContext}
		begin := time.Now()
		res, err := (&http.Client{Transport: transport}).Get("http://any.example/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if string(body) != "192.0.2.2:1" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("a handler that sleeps for a minute took %v", took)
		}
		transport.CloseIdleConnections()
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != http.ErrServerClosed {
			t.Errorf("Serve returned %v", err)
		}
	})
}

// A hijacked connection is a pipe's end, with its half-close.
func TestListenerHijack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(wstest.Listener)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			io.WriteString(c, "hijacked")
			c.(closeWriter).CloseWrite()
			io.Copy(io.Discard, c)
		})}
		go srv.Serve(l)
		defer srv.Close()
		c := must(l.Dial(t.Context()))
		defer c.Close()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if got, err := io.ReadAll(c); string(got) != "hijacked" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

func TestDialBeforeAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(wstest.Listener)
		a := must(l.Dial(t.Context()))
		a.Write([]byte("early"))
		b := must(l.Accept())
		wantRead(t, b, "early")
		other := must(l.Dial(t.Context()))
		if a.LocalAddr() == other.LocalAddr() {
			t.Errorf("two clients at %v", a.LocalAddr())
		}
		if b.LocalAddr() != l.Addr() {
			t.Errorf("accepted at %v, listening at %v", b.LocalAddr(), l.Addr())
		}
	})
}

func TestDialEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(wstest.Listener)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := l.Dial(ended)
		wantErr(t, "Dial with an ended context", err, context.Canceled)

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		n := 0
		for ; err == nil || n == 0; n++ { // until nobody accepts and the queue is full
			_, err = l.Dial(ctx)
		}
		wantErr(t, "Dial with a full queue", err, context.DeadlineExceeded)
		if n != 129 {
			t.Errorf("Dial %d had to wait, want 129", n)
		}
	})
}

func TestListenerClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(wstest.Listener)
		accept := start(func() error { _, err := l.Accept(); return err })
		synctest.Wait()
		l.Close()
		wantErr(t, "blocked Accept", <-accept, net.ErrClosed)
		_, err := l.Accept()
		wantErr(t, "Accept", err, net.ErrClosed)
		_, err = l.Dial(t.Context())
		wantErr(t, "Dial", err, syscall.ECONNREFUSED)
		if err := l.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

func TestListenerCloseEndsWaitingConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(wstest.Listener)
		c := must(l.Dial(t.Context()))
		l.Close()
		if err := readErr(c); err != io.EOF {
			t.Errorf("read error %v, want io.EOF", err)
		}
	})
}

// However Close, Dial and Accept meet, no end is left waiting for another that nobody has.
func TestListenerCloseDuringDials(t *testing.T) {
	for range 200 {
		l := new(wstest.Listener)
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.(closeWriter).CloseWrite()
				wg.Go(func() { io.Copy(io.Discard, c) })
			}
		})
		for range 4 {
			wg.Go(func() {
				for {
					c, err := l.Dial(t.Context())
					if err != nil {
						if !errors.Is(err, syscall.ECONNREFUSED) {
							t.Error(err)
						}
						return
					}
					if err := readErr(c); err != io.EOF {
						t.Errorf("read error %v", err)
					}
					c.Close()
				}
			})
		}
		l.Close()
		wg.Wait()
	}
}

func TestListenerBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &wstest.Listener{Buffer: 10}
		c := must(l.Dial(t.Context()))
		c.SetDeadline(time.Now().Add(time.Second))
		if n, err := c.Write(endless); n != 10 {
			t.Errorf("%d bytes fit in: %v", n, err)
		}
	})
}
