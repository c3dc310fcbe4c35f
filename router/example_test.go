package router_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http/httptest"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/router"
)

type Sum struct {
	Numbers []int `json:"numbers"`
}

func (s Sum) Validate() error {
	if len(s.Numbers) == 0 {
		return router.Field("numbers", "is empty")
	}
	return nil
}

func Example() {
	r := router.New()
	router.Handle(r, "sum", func(_ context.Context, in Sum) (total int, err error) {
		for _, n := range in.Numbers {
			total += n
		}
		return total, nil
	})
	router.Stream(r, "countdown", func(_ context.Context, from int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for n := from; n > 0 && yield(n, nil); n-- {
			}
		}
	})
	srv := httptest.NewServer(&ws.Handler{Events: r})
	defer srv.Close()

	ctx := context.Background()
	c, _, err := ws.Dial(ctx, srv.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()
	go router.New().Serve(ctx, c) // reads the replies

	total, err := router.Call[int](ctx, c, "sum", Sum{[]int{1, 2, 3}})
	fmt.Println(total, err)
	_, err = router.Call[int](ctx, c, "sum", Sum{})
	fmt.Println(err, errors.Is(err, &router.Error{Code: router.Invalid}))
	for n, err := range router.Items[int](ctx, c, "countdown", 3) {
		fmt.Println(n, err)
	}
	// Output:
	// 6 <nil>
	// router: invalid: numbers: is empty true
	// 3 <nil>
	// 2 <nil>
	// 1 <nil>
}

// A type of the program's own for what a connection knows.
func ExampleLocal() {
	type cart struct{ items []string }
	r := router.New()
	router.Handle(r, "add", func(ctx context.Context, item string) (int, error) {
		c := router.Local[cart](ctx) // one at a time: no lock is needed
		c.items = append(c.items, item)
		return len(c.items), nil
	})
}
