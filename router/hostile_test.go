package router_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/router"
	"github.com/tidewire/ws/wstest"
)

// bomb panics when it is encoded, as methods on nil pointers do.
type bomb struct{}

func (bomb) MarshalJSON() ([]byte, error) { panic("bomb") }

// Nothing that a program's own code does while a message is dealt with ends the
// process, or the connection.
func TestPanicsAnywhere(t *testing.T) {
	for _, concurrency := range []int{1, 2} {
		o := quiet()
		o.Concurrency = concurrency
		o.MapError = func(error) *router.Error { panic("MapError") }
		o.Validate = func(_ context.Context, v any) error {
			if s, ok := v.(*string); ok && *s == "validate" {
				panic("Validate")
			}
			return nil
		}
		r := router.New(o)
		router.Handle(r, "reply", func(context.Context, string) (bomb, error) { return bomb{}, nil })
		router.Handle(r, "details", func(context.Context, string) (int, error) {
			return 0, &router.Error{Code: router.Conflict, Details: bomb{}}
		})
		router.Handle(r, "mapped", func(context.Context, string) (int, error) { return 0, errors.New("what is this?") })
		router.Stream(r, "item", func(context.Context, string) iter.Seq2[bomb, error] {
			return func(yield func(bomb, error) bool) { yield(bomb{}, nil) }
		})
		router.Handle(r, "echo", func(_ context.Context, s string) (string, error) { return s, nil })
		p := serve(t, r, nil)
		for _, typ := range []string{"reply", "details", "mapped", "item", "echo"} {
			p.send(`{"id":1,"type":"` + typ + `","data":"validate"}`)
			p.want(`{"id":1,"error":{"code":"internal","message":"internal error"}}`)
			p.send(`{"id":2,"type":"` + typ + `","data":"x"}`)
			if typ != "echo" {
				p.want(`{"id":2,"error":{"code":"internal","message":"internal error"}}`)
			} else {
				p.want(`{"id":2,"data":"x"}`)
			}
		}
	}
}

// A function asks the peer, whose reply comes behind more requests than may wait.
func TestCallBehindRequests(t *testing.T) {
	for _, concurrency := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			r := router.New(router.Options{Backlog: 4, Concurrency: concurrency})
			router.Handle(r, "ask", func(ctx context.Context, _ int) (int, error) {
				return router.Call[int](ctx, router.Conn(ctx), "answer", nil)
			})
			router.Handle(r, "echo", func(_ context.Context, n int) (int, error) { return n, nil })
			p := serve(t, r, nil)
			for range concurrency {
				p.send(`{"id":0,"type":"ask"}`)
			}
			for range concurrency { // in any order
				if _, b, err := p.Read(t.Context()); err != nil || !strings.HasSuffix(string(b), `"type":"answer"}`) {
					t.Fatalf("%s, %v", b, err)
				}
			}
			const n = 50
			for i := range n {
				p.send(fmt.Sprintf(`{"id":%d,"type":"echo","data":%d}`, 100+i, i))
			}
			for id := 1; id <= concurrency; id++ {
				p.send(fmt.Sprintf(`{"id":%d,"data":36}`, id))
			}
			asked := 0
			for range n + concurrency {
				_, b, err := p.Read(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if string(b) == `{"id":0,"data":36}` {
					asked++
				}
			}
			if asked != concurrency {
				t.Errorf("%d replies to ask", asked)
			}
		})
	}
}

// With a peer that sends requests without end instead of the reply, the function's
// call fails: neither does it wait for ever, nor is everything kept.
func TestCallBehindFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := router.New(router.Options{Backlog: 4})
		asked := make(chan error, 1)
		router.On(r, "ask", func(ctx context.Context, _ string) error {
			_, err := router.Call[int](ctx, router.Conn(ctx), "answer", nil)
			asked <- err
			<-ctx.Done()
			return nil
		})
		router.On(r, "noise", nothing[string])
		p := serve(t, r, nil)
		p.send(`{"type":"ask"}`)
		p.want(`{"id":1,"type":"answer"}`)
		sent := 0
		go func() {
			noise := []byte(`{"type":"noise","data":"` + strings.Repeat("x", 1000) + `"}`)
			for sent < 10_000 && p.Write(p.Context(), ws.Text, noise) == nil {
				sent++
			}
		}()
		synctest.Wait()
		if err := <-asked; !errors.Is(err, &router.Error{Code: router.Unavailable}) {
			t.Error(err)
		}
		if sent > 300 { // 64 waiting ones, and what the pipe and the write queue hold
			t.Errorf("%d were taken", sent)
		}
	})
}

// The end of a peer that has sent more than may wait is noticed, though nothing is
// read.
func TestGoneBehindFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, concurrency := range []int{1, 2} {
			r := router.New(router.Options{Backlog: 2, Concurrency: concurrency})
			router.On(r, "wait", func(ctx context.Context, _ int) error {
				<-ctx.Done()
				return ctx.Err()
			})
			p := serve(t, r, nil)
			for range 10 {
				p.send(`{"type":"wait"}`)
			}
			time.Sleep(time.Second)
			_ = p.CloseNow()
			start := time.Now()
			if err := p.wait(); err == nil || time.Since(start) > time.Minute {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		}
	})
}

// A function that ignores its context can't hold up a shutdown beyond its end.
func TestShutdownWithStuckFunction(t *testing.T) {
	for _, mode := range []string{"events", "serve"} {
		for _, concurrency := range []int{1, 2} {
			t.Run(fmt.Sprint(mode, concurrency), func(t *testing.T) {
				release, stuck := make(chan struct{}), make(chan struct{}, 1)
				r := router.New(router.Options{Concurrency: concurrency})
				router.On(r, "stick", func(context.Context, int) error {
					stuck <- struct{}{}
					<-release
					return nil
				})
				h := &ws.Handler{Events: r}
				if mode == "serve" {
					h = &ws.Handler{Serve: r.Serve}
				}
				srv := httptest.NewServer(h)
				defer srv.Close()
				defer close(release)
				c, _, err := ws.Dial(t.Context(), srv.URL, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseNow()
				if err := c.Write(t.Context(), ws.Text, []byte(`{"type":"stick"}`)); err != nil {
					t.Fatal(err)
				}
				<-stuck
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				if err := h.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				if _, _, err := c.Read(t.Context()); !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			})
		}
	}
}

// counted is a transport that counts its writes.
type counted struct {
	conn.Transport
	writes *atomic.Int32
}

func (c counted) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Transport.Write(p)
}

// Requests that arrive together are answered together.
func TestRepliesGoOutTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := wstest.Pipe()
		var writes atomic.Int32
		srv := conn.New(counted{conn.NetTransport(a), &writes}, conn.Config{})
		cli := conn.New(conn.NetTransport(b), conn.Config{Client: true})
		r := router.New()
		router.Handle(r, "echo", func(_ context.Context, n int) (int, error) { return n, nil })
		served := make(chan error)
		var requests []*ws.Prepared
		const n = 64
		for i := range n {
			q, err := ws.NewPrepared(ws.Message{Type: ws.Text, Data: fmt.Appendf(nil, `{"id":%d,"type":"echo","data":%d}`, i, i)})
			if err != nil {
				t.Fatal(err)
			}
			requests = append(requests, q)
		}
		if err := cli.WritePrepared(t.Context(), requests...); err != nil {
			t.Fatal(err)
		}
		go func() { served <- r.Serve(srv.Context(), srv) }()
		p := &peer{t: t, Conn: cli}
		for i := range n {
			p.want(fmt.Sprintf(`{"id":%d,"data":%d}`, i, i))
		}
		if got := writes.Load(); got != 1 {
			t.Errorf("%d writes", got)
		}
		_ = cli.CloseNow()
		<-served
	})
}

// Messages about requests that there are not cost nothing and change nothing.
func TestFloods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, waiter(quiet()), nil)
		p.send(`{"id":1,"type":"wait"}`)
		for i := range 1000 {
			p.send(fmt.Sprintf(`{"type":"$cancel","id":%d}`, 2+i))
			p.send(fmt.Sprintf(`{"id":%d,"more":true,"data":[]}`, i))
			p.send(fmt.Sprintf(`{"id":%d,"error":{"code":"x"}}`, i))
		}
		p.send(`{"type":"$cancel","id":1}`)
		p.want(`{"id":1,"error":{"code":"canceled"}}`)
	})
}

// A stream that is given up while a long item is being sent ends; the connection
// does not.
func TestCancelLongItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := router.New(quiet())
		item := strings.Repeat("x", 800_000)
		router.Stream(r, "long", func(context.Context, int) iter.Seq2[string, error] {
			return func(yield func(string, error) bool) {
				for yield(item, nil) {
				}
			}
		})
		p := serve(t, r, nil)
		p.send(`{"id":1,"type":"long"}`)
		synctest.Wait()
		p.send(`{"type":"$cancel","id":1}`)
		synctest.Wait()
		p.want(`{"id":1,"more":true,"data":"` + item + `"}`)
		p.want(`{"id":1,"error":{"code":"canceled"}}`)
		p.send(`{"id":2,"type":"nope"}`)
		p.want(`{"id":2,"error":{"code":"unknown_type","message":"unknown type nope"}}`)
	})
}

// Whoever sends long items faster than they are used does not fill the memory.
func TestItemsBehindInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := router.New(quiet())
		var sent atomic.Int32
		router.Stream(server, "long", func(_ context.Context, size int) iter.Seq2[string, error] {
			item := strings.Repeat("x", size)
			return func(yield func(string, error) bool) {
				for range 80 {
					sent.Add(1)
					if !yield(item, nil) {
						return
					}
				}
			}
		})
		_, c := connect(t, nil, server, router.New())
		var last error
		for _, err := range router.Items[string](t.Context(), c, "long", 500_000) {
			synctest.Wait()
			last = err
		}
		if !errors.Is(last, &router.Error{Code: router.Unavailable}) || sent.Load() > 50 {
			t.Error(last, sent.Load())
		}
		for _, err := range router.Items[string](t.Context(), c, "long", 50_000) {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Events go out whole, whoever sends them at the same time.
func TestEmitsConcurrently(t *testing.T) {
	server, client := router.New(), router.New()
	emitted := router.Emits[string](server, "emitted")
	const senders, each = 8, 100
	got := make(chan string, senders*each)
	router.On(client, "emitted", func(_ context.Context, text string) error {
		got <- text
		return nil
	})
	srv, _ := connect(t, nil, server, client)
	for i := range senders {
		go func() {
			for n := range each {
				if err := emitted.Send(t.Context(), srv, strings.Repeat(fmt.Sprint(i), n)); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	next := make(map[byte]int)
	for range senders * each {
		text := <-got
		if text == "" {
			continue
		}
		next[text[0]]++
		if text != strings.Repeat(text[:1], next[text[0]]) {
			t.Fatalf("%q is out of order", text)
		}
	}
}
