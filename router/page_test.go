package router_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/router"
)

// TestEnvelopePage holds docs/envelope.md and the router together: the exchanges
// of the page take place, and nothing else is sent.
func TestEnvelopePage(t *testing.T) {
	page, err := os.ReadFile("../docs/envelope.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i, block := range strings.Split(string(page), "\n```") {
		mode, lines, _ := strings.Cut(block, "\n")
		kind, mode, _ := strings.Cut(mode, " ")
		if kind != "exchange" {
			continue
		}
		n++
		t.Run(strconv.Itoa(i/2), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { exchange(t, mode, strings.Split(lines, "\n")) })
		})
	}
	if n < 10 {
		t.Errorf("the page has %d exchanges", n)
	}
}

// exchange plays the client of one block.
func exchange(t *testing.T, mode string, lines []string) {
	o := quiet()
	o.Strict = mode == "strict"
	cd, last, answer := codec.JSON, `{"id":999,"type":"sum"}`, `{"id":999,"data":0}`
	if mode == "jsonrpc" {
		cd, last, answer = codec.JSONRPC, `{"jsonrpc":"2.0","id":999,"method":"sum"}`, `{"jsonrpc":"2.0","id":999,"result":0}`
	}
	p := serve(t, pageRoutes(o), cd)
	for _, line := range lines {
		who, text, _ := strings.Cut(line, ": ")
		switch {
		case who == "C (binary)":
			if err := p.Write(t.Context(), ws.Binary, []byte(text)); err != nil {
				t.Error(line, err)
			}
		case who == "C":
			p.send(text)
		case who == "S" && strings.HasPrefix(text, "close "):
			wantClose(t, p, text)
			return
		case who == "S":
			wantJSON(t, p, text)
		default:
			t.Fatalf("line %q", line)
		}
	}
	synctest.Wait() // what the functions still have to say comes first
	p.send(last)
	wantJSON(t, p, answer)
}

func wantJSON(t *testing.T, p *peer, text string) {
	t.Helper()
	_, b, err := p.Read(t.Context())
	if err != nil {
		t.Fatalf("%v instead of %s", err, text)
	}
	var got, want any
	if err := errors.Join(json.Unmarshal(b, &got), json.Unmarshal([]byte(text), &want)); err != nil {
		t.Fatalf("%v: %s, %s", err, b, text)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %s\npage %s", b, text)
	}
}

func wantClose(t *testing.T, p *peer, text string) {
	t.Helper()
	_, b, err := p.Read(t.Context())
	var closed *ws.CloseError
	if !errors.As(err, &closed) {
		t.Fatalf("%s, %v instead of %s", b, err, text)
	}
	if got := "close " + strconv.Itoa(int(closed.Code)) + " " + closed.Reason; got != text {
		t.Errorf("got  %s\npage %s", got, text)
	}
}

// pageRoutes are the types that the page names.
func pageRoutes(o router.Options) *router.Router {
	r := router.New(o)
	router.Handle(r, "sum", func(_ context.Context, in []int) (sum int, _ error) {
		for _, n := range in {
			sum += n
		}
		return sum, nil
	})
	router.Handle(r, "wait", func(ctx context.Context, _ struct{}) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	router.Handle(r, "fail", func(_ context.Context, code errorCode) (any, error) {
		switch code {
		case router.RateLimited:
			return nil, &router.Error{Code: router.RateLimited, Message: "slowly", RetryAfter: 1500 * time.Millisecond}
		case router.Conflict:
			return nil, &router.Error{Code: router.Conflict}
		}
		return nil, errors.New(string(code))
	})
	router.Handle(r, "greet", func(ctx context.Context, _ struct{}) (string, error) {
		name, err := router.Call[string](ctx, router.Conn(ctx), "name", nil)
		return "hello " + name, err
	})
	router.Stream(r, "count", func(_ context.Context, n int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := 1; i <= n && yield(i, nil); i++ {
			}
		}
	})
	router.Stream(r, "tick", func(ctx context.Context, _ struct{}) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			if yield(1, nil) {
				<-ctx.Done()
			}
		}
	})
	typed := router.Emits[string](r, "typed")
	router.On(r, "typing", func(ctx context.Context, in string) error { return typed.Send(ctx, router.Conn(ctx), in) })
	return r
}

type errorCode string

func (c errorCode) Validate() error {
	if c == router.Invalid {
		return router.Field("code", "is a joke")
	}
	return nil
}
