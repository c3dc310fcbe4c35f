package router_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/router"
	"github.com/tidewire/ws/wstest"
)

// pair returns the two ends of a connection, the server's first.
func pair(t testing.TB, cd codec.Codec) (srv, cli *ws.Conn) {
	a, b := wstest.Pipe()
	srv = conn.New(conn.NetTransport(a), conn.Config{Codec: cd})
	cli = conn.New(conn.NetTransport(b), conn.Config{Codec: cd, Client: true})
	t.Cleanup(func() { _ = srv.CloseNow(); _ = cli.CloseNow() })
	return srv, cli
}

// serve has r serve the server's end and returns the client's, raw.
func serve(t testing.TB, r *router.Router, cd codec.Codec) *peer {
	srv, cli := pair(t, cd)
	p := &peer{t: t, Conn: cli, srv: srv, served: make(chan error, 1)}
	go func() { p.served <- r.Serve(srv.Context(), srv) }()
	t.Cleanup(func() {
		_ = cli.CloseNow()
		p.wait()
	})
	return p
}

// peer is a client by hand.
type peer struct {
	t testing.TB
	*ws.Conn
	srv    *ws.Conn
	served chan error
	once   sync.Once
	err    error
}

// wait waits for Serve.
func (p *peer) wait() error {
	p.once.Do(func() { p.err = <-p.served })
	return p.err
}

func (p *peer) send(text string) {
	p.t.Helper()
	if err := p.Write(p.Context(), ws.Text, []byte(text)); err != nil {
		p.t.Error(err)
	}
}

func (p *peer) want(text string) {
	p.t.Helper()
	_, b, err := p.Read(p.Context())
	if err != nil {
		p.t.Errorf("%v instead of %s", err, text)
	} else if string(b) != text {
		p.t.Errorf("got  %s\nwant %s", b, text)
	}
}

// quiet is for routers whose functions fail on purpose.
func quiet() router.Options {
	return router.Options{Logger: slog.New(slog.DiscardHandler)}
}

type post struct {
	Text string `json:"text"`
}

type receipt struct {
	N int `json:"n"`
}

func TestRequestsEventsStreams(t *testing.T) {
	r := router.New()
	var heard []string
	router.On(r, "typing", func(_ context.Context, in string) error {
		heard = append(heard, in)
		return nil
	})
	router.Handle(r, "post", func(_ context.Context, in post) (receipt, error) { return receipt{len(in.Text)}, nil })
	router.Stream(r, "count", func(_ context.Context, n int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
		}
	})
	p := serve(t, r, nil)
	p.send(`{"type":"typing","data":"ada"}`)
	p.send(`{"id":1,"type":"post","data":{"text":"hello"}}`)
	p.want(`{"id":1,"data":{"n":5}}`)
	p.send(`{"id":2,"type":"typing","data":"bob"}`)
	p.want(`{"id":2}`)
	p.send(`{"id":3,"type":"count","data":2}`)
	p.want(`{"id":3,"more":true,"data":0}`)
	p.want(`{"id":3,"more":true,"data":1}`)
	p.want(`{"id":3}`)
	p.send(`{"id":4,"type":"post"}`)
	p.want(`{"id":4,"data":{"n":0}}`)
	p.send(`{"type":"post","data":{"text":"nobody wants to know"}}`)
	p.send(`{"type":"count","data":3}`)
	p.send(`{"id":5,"type":"post"}`)
	p.want(`{"id":5,"data":{"n":0}}`)
	if got := fmt.Sprint(heard); got != "[ada bob]" {
		t.Error(got)
	}
	if err := p.Close(p.Context(), ws.StatusNormal, ""); err != nil {
		t.Error(err)
	}
	if err := p.wait(); err != nil {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	var log bytes.Buffer
	r := router.New(router.Options{
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
		MapError: func(err error) *router.Error {
			if errors.Is(err, io.EOF) {
				return &router.Error{Code: "eof"}
			}
			return nil
		},
	})
	fail := func(typ string, f func() error) {
		router.Handle(r, typ, func(context.Context, post) (receipt, error) { return receipt{}, f() })
	}
	fail("own", func() error {
		return fmt.Errorf("wrapped: %w", &router.Error{Code: router.RateLimited, Message: "slow down", Details: 1, RetryAfter: 1500 * time.Microsecond})
	})
	fail("mapped", func() error { return io.EOF })
	fail("deadline", func() error { return fmt.Errorf("db: %w", context.DeadlineExceeded) })
	fail("internal", func() error { return errors.New("password is hunter2") })
	fail("panics", func() error { panic("hunter3") })
	router.Handle(r, "unencodable", func(context.Context, post) (any, error) { return make(chan int), nil })
	router.On(r, "event", func(context.Context, string) error { return errors.New("hunter4") })
	p := serve(t, r, nil)
	for _, test := range []struct{ in, want string }{
		{`{"id":1,"type":"own"}`, `{"id":1,"error":{"code":"rate_limited","message":"slow down","details":1,"retry_ms":2}}`},
		{`{"id":2,"type":"mapped"}`, `{"id":2,"error":{"code":"eof"}}`},
		{`{"id":3,"type":"deadline"}`, `{"id":3,"error":{"code":"timeout"}}`},
		{`{"id":4,"type":"internal"}`, `{"id":4,"error":{"code":"internal","message":"internal error"}}`},
		{`{"id":5,"type":"panics"}`, `{"id":5,"error":{"code":"internal","message":"internal error"}}`},
		{`{"id":6,"type":"unencodable"}`, `{"id":6,"error":{"code":"internal","message":"internal error"}}`},
		{`{"id":7,"type":"event"}`, `{"id":7,"error":{"code":"internal","message":"internal error"}}`},
		{`{"id":8,"type":"own","data":{"text":7}}`, `{"id":8,"error":{"code":"bad_payload","message":"data does not fit: unexpected number","details":[{"field":"text","message":"unexpected number"}]}}`},
		{`{"id":9,"type":"own","data":[]}`, `{"id":9,"error":{"code":"bad_payload","message":"data does not fit: unexpected array"}}`},
		{`{"id":10,"type":"nope"}`, `{"id":10,"error":{"code":"unknown_type","message":"unknown type nope"}}`},
		{`{"id":11,"type":"$nope"}`, `{"id":11,"error":{"code":"unknown_type","message":"unknown type $nope"}}`},
		{`{"id":11,"type":"` + strings.Repeat("é", 60) + `"}`, `{"id":11,"error":{"code":"unknown_type","message":"unknown type ` + strings.Repeat("é", 50) + `..."}}`},
		{`{"id":12,"type":7}`, `{"id":12,"error":{"code":"bad_envelope","message":"type is not a string, or empty"}}`},
		{`nonsense`, `{"error":{"code":"bad_envelope","message":"message is not a JSON object"}}`},
		{`{}`, `{"error":{"code":"bad_envelope","message":"neither type nor id"}}`},
	} {
		p.send(test.in)
		p.want(test.want)
	}
	// None of these is answered: unknown events, replies to nothing, and complaints.
	for _, in := range []string{`{"type":"nope"}`, `{"id":1,"data":1}`, `{"error":{"code":"bad_envelope"}}`, `{"type":"$cancel","id":99}`, `{"type":"event"}`} {
		p.send(in)
	}
	p.send(`{"id":13,"type":"mapped"}`)
	p.want(`{"id":13,"error":{"code":"eof"}}`)
	if err := p.Write(p.Context(), ws.Binary, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	p.want(`{"error":{"code":"bad_envelope","message":"the connection's codec has no binary messages"}}`)
	_ = p.CloseNow()
	_ = p.wait()
	for _, text := range []string{"hunter2", "hunter3", "hunter4", "router_test.go", "chan int"} {
		if !strings.Contains(log.String(), text) {
			t.Errorf("the log does not say %q: %s", text, log.String())
		}
	}
}

func TestStrict(t *testing.T) {
	o := quiet()
	o.Strict = true
	p := serve(t, router.New(o), nil)
	p.send("nonsense")
	if _, _, err := p.Read(p.Context()); ws.CloseStatus(err) != conn.StatusInvalidData {
		t.Error(err)
	}
	if err := p.wait(); !errors.Is(err, &router.Error{Code: router.BadEnvelope}) {
		t.Error(err)
	}
}

func TestAbort(t *testing.T) {
	r := router.New(quiet())
	router.On(r, "abort", func(context.Context, struct{}) error { panic(http.ErrAbortHandler) })
	p := serve(t, r, nil)
	p.send(`{"type":"abort"}`)
	if _, _, err := p.Read(p.Context()); ws.CloseStatus(err) != ws.StatusAbnormal {
		t.Error(err)
	}
}

// Requests start in order and one at a time; while one is slow the next wait.
func TestOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := router.New()
		var order []int
		busy := false
		router.Handle(r, "wait", func(_ context.Context, in int) (int, error) {
			if busy {
				t.Error("two at a time")
			}
			busy = true
			order = append(order, in)
			time.Sleep(time.Duration(in%3) * 20 * time.Millisecond)
			busy = false
			return in, nil
		})
		p := serve(t, r, nil)
		const n = 50
		go func() {
			for i := range n {
				p.send(fmt.Sprintf(`{"id":%d,"type":"wait","data":%d}`, i, i))
			}
		}()
		for i := range n {
			p.want(fmt.Sprintf(`{"id":%d,"data":%d}`, i, i))
		}
		for i, v := range order {
			if i != v {
				t.Fatal(order)
			}
		}
	})
}

func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := router.New(router.Options{Concurrency: 3})
		var mu sync.Mutex
		now, most := 0, 0
		count := func(_ context.Context, d time.Duration) (int, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(d)
			mu.Lock()
			defer mu.Unlock()
			now--
			return most, nil
		}
		router.Handle(r, "common", count)
		router.Handle(r, "beside", count).Concurrency(2)
		p := serve(t, r, nil)
		for i := range 10 {
			p.send(fmt.Sprintf(`{"id":%d,"type":"common","data":1000000000}`, i))
			p.send(fmt.Sprintf(`{"id":%d,"type":"beside","data":1000000000}`, 100+i))
		}
		start := time.Now()
		for range 20 {
			if _, _, err := p.Read(p.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(start); most != 5 || d != 5*time.Second {
			t.Errorf("%d at a time, %v", most, d)
		}
	})
}

// A peer that sends more than may wait is slowed down, not refused.
func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, concurrency := range []int{1, 2} {
			r := router.New(router.Options{Backlog: 4, Concurrency: concurrency})
			release := make(chan struct{})
			router.On(r, "event", func(context.Context, string) error {
				<-release
				return nil
			})
			p := serve(t, r, nil)
			sent := 0
			go func() {
				for range 100 {
					p.send(`{"type":"event","data":"` + strings.Repeat("x", 10_000) + `"}`)
					sent++
				}
			}()
			synctest.Wait()
			if sent > 30 { // 64 KiB in each of the pipe and the write queue, and some
				t.Errorf("concurrency %d: %d were taken", concurrency, sent)
			}
			close(release)
			synctest.Wait()
			if sent != 100 {
				t.Errorf("concurrency %d: %d were sent in the end", concurrency, sent)
			}
		}
	})
}

type interval struct{ Every time.Duration }

// Nothing is forgotten in a queue, whoever has to wait for whom.
func TestBacklogOfOne(t *testing.T) {
	for _, concurrency := range []int{1, 2, 3} {
		synctest.Test(t, func(t *testing.T) {
			r := router.New(router.Options{Backlog: 1, Concurrency: concurrency})
			wait := func(_ context.Context, ms int) (int, error) {
				time.Sleep(time.Duration(ms) * time.Millisecond)
				return ms, nil
			}
			router.Handle(r, "common", wait)
			router.Handle(r, "beside", wait).Concurrency(1)
			router.Handle(r, "also", wait).Concurrency(2)
			p := serve(t, r, nil)
			const n = 300
			go func() {
				for i := range n {
					typ := [3]string{"common", "beside", "also"}[i*i/7%3]
					p.send(fmt.Sprintf(`{"id":%d,"type":"%s","data":%d}`, i, typ, i*13%31))
				}
			}()
			for range n {
				if _, _, err := p.Read(p.Context()); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// waiter has a type "wait", whose function waits for its context's end.
func waiter(o router.Options) *router.Router {
	r := router.New(o)
	router.Handle(r, "wait", func(ctx context.Context, _ struct{}) (struct{}, error) {
		<-ctx.Done()
		return struct{}{}, ctx.Err()
	})
	router.Stream(r, "ticks", func(ctx context.Context, in interval) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := 0; ; i++ {
				select {
				case <-ctx.Done():
					return
				case <-time.After(in.Every):
				}
				if !yield(i, nil) {
					return
				}
			}
		}
	})
	return r
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, concurrency := range []int{1, 2} {
			p := serve(t, waiter(router.Options{Concurrency: concurrency}), nil)
			for id := 1; id <= 3; id++ { // with a concurrency of 1, 2 and 3 only wait for their turn
				p.send(fmt.Sprintf(`{"id":%d,"type":"wait"}`, id))
			}
			time.Sleep(5 * time.Second)
			p.send(`{"type":"$cancel","id":3}`)
			p.send(`{"type":"$cancel","id":1}`)
			p.want(`{"id":1,"error":{"code":"canceled"}}`)
			next := []int{2, 3}
			if concurrency == 2 { // 3 gets 1's place
				next = []int{3, 2}
			}
			synctest.Wait()
			p.send(`{"type":"$cancel","id":2}`)
			for _, id := range next {
				p.want(fmt.Sprintf(`{"id":%d,"error":{"code":"canceled"}}`, id))
			}
			p.send(`{"id":4,"type":"ticks","data":{"Every":1000000000}}`)
			p.want(`{"id":4,"more":true,"data":0}`)
			p.send(`{"type":"$cancel","id":4}`)
			p.want(`{"id":4,"error":{"code":"canceled"}}`)
		}
	})
}

func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, waiter(router.Options{Timeout: 2 * time.Second}), nil)
		start := time.Now()
		for i, test := range []struct {
			timeoutMS int
			want      time.Duration
		}{{1000, time.Second}, {5000, 2 * time.Second}, {0, 2 * time.Second}, {1 << 50, 2 * time.Second}} {
			p.send(fmt.Sprintf(`{"id":%d,"type":"wait","timeout_ms":%d}`, i, test.timeoutMS))
			p.want(fmt.Sprintf(`{"id":%d,"error":{"code":"timeout"}}`, i))
			if d := time.Since(start); d != test.want {
				t.Errorf("timeout_ms %d: %v", test.timeoutMS, d)
			}
			start = time.Now()
		}
		p.send(`{"id":9,"type":"ticks","data":{"Every":1500000000},"timeout_ms":4000}`)
		p.want(`{"id":9,"more":true,"data":0}`)
		p.want(`{"id":9,"more":true,"data":1}`)
		p.want(`{"id":9,"error":{"code":"timeout"}}`)
	})
}

// The end of a connection ends its functions, and Serve waits for them.
func TestConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, concurrency := range []int{1, 2} {
			o := quiet()
			o.Concurrency = concurrency
			var closed []any
			o.Open = func(ctx context.Context, c *ws.Conn) (context.Context, error) {
				*router.Local[string](ctx) = "open"
				return context.WithValue(context.Background(), testKey{}, "value"), nil
			}
			o.Closed = func(ctx context.Context, c *ws.Conn, cause error) {
				closed = append(closed, *router.Local[string](ctx), router.Conn(ctx) == c, ws.CloseStatus(cause))
			}
			r := router.New(o)
			var ended atomic.Int32
			router.On(r, "wait", func(ctx context.Context, _ struct{}) error {
				if ctx.Value(testKey{}) != "value" || *router.Local[string](ctx) != "open" {
					t.Error("the function's context lacks something")
				}
				<-ctx.Done()
				time.Sleep(time.Second)
				ended.Add(1)
				return nil
			})
			p := serve(t, r, nil)
			for range concurrency {
				p.send(`{"type":"wait"}`)
			}
			time.Sleep(5 * time.Second)
			if err := p.Close(context.Background(), ws.StatusGoingAway, ""); err != nil {
				t.Error(err)
			}
			if err := p.wait(); err != nil || int(ended.Load()) != concurrency || fmt.Sprint(closed) != "[open true 1001 (going away)]" {
				t.Errorf("concurrency %d: %v, %d ended, %v", concurrency, err, ended.Load(), closed)
			}
		}
	})
}

func TestFunctionContextEnds(t *testing.T) {
	r := router.New()
	var asked, unasked context.Context
	router.On(r, "asked", func(ctx context.Context, _ struct{}) error {
		asked = context.WithValue(ctx, testKey{}, "value")
		_ = asked.Done()
		return nil
	})
	router.On(r, "unasked", func(ctx context.Context, _ struct{}) error {
		unasked = ctx
		return nil
	})
	p := serve(t, r, nil)
	p.send(`{"id":1,"type":"asked"}`)
	p.want(`{"id":1}`)
	p.send(`{"id":2,"type":"unasked"}`)
	p.want(`{"id":2}`)
	p.send(`{"id":3,"type":"unasked"}`)
	p.want(`{"id":3}`)
	for _, ctx := range []context.Context{asked, unasked} {
		<-ctx.Done()
		if ctx.Err() != context.Canceled {
			t.Error(ctx.Err())
		}
	}
}

func TestStreamsAreFinite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, waiter(router.Options{Streams: 2}), nil)
		for id := 1; id <= 3; id++ {
			p.send(fmt.Sprintf(`{"id":%d,"type":"ticks","data":{"Every":1000000000}}`, id))
		}
		p.want(`{"id":3,"error":{"code":"unavailable","message":"too many streams are open"}}`)
		p.send(`{"type":"$cancel","id":1}`)
		p.want(`{"id":1,"error":{"code":"canceled"}}`)
		p.send(`{"id":4,"type":"ticks","data":{"Every":1000000}}`)
		p.want(`{"id":4,"more":true,"data":0}`)
	})
}

// testKey is a key of contexts.
type testKey struct{}
