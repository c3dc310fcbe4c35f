package validator_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/examples/validator"
	"github.com/tidewire/ws/router"
)

type signUp struct {
	Email string `json:"email" validate:"required,email"`
	Age   int    `json:"age" validate:"gte=18"`
	Pets  []pet  `json:"pets" validate:"max=2,dive"`
}

type pet struct {
	Name string `json:"name" validate:"required"`
}

func TestValidate(t *testing.T) {
	r := router.New(router.Options{Validate: validator.Validate()})
	router.On(r, "sign-up", func(context.Context, signUp) error { return nil })
	router.On(r, "name", func(context.Context, string) error { return nil })
	srv := httptest.NewServer(&ws.Handler{Events: r})
	defer srv.Close()
	c, _, err := ws.Dial(t.Context(), srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	go router.New().Serve(t.Context(), c)

	_, err = router.Call[any](t.Context(), c, "sign-up", signUp{Email: "nobody", Age: 17, Pets: []pet{{"rex"}, {}}})
	var e *router.Error
	if !errors.As(err, &e) || e.Code != router.Invalid {
		t.Fatal(err)
	}
	want := "[map[field:email message:must be email] map[field:age message:must be gte 18] map[field:pets[1].name message:must be required]]"
	if got := fmt.Sprint(e.Details); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := router.Call[any](t.Context(), c, "sign-up", signUp{Email: "ada@example.com", Age: 36}); err != nil {
		t.Error(err)
	}
	if _, err := router.Call[any](t.Context(), c, "name", "ada"); err != nil {
		t.Error(err)
	}
}
