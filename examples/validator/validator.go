// Package validator shows how a package that checks structs by their tags checks
// what a router has decoded.
package validator

import (
	"context"
	"errors"
	"reflect"
	"strings"

	"github.com/go-playground/validator/v10"
	"github.com/tidewire/ws/router"
)

// Validate returns a function for router.Options.Validate: the peer is told of
// each field, by the name that it has in JSON.
func Validate() func(ctx context.Context, v any) error {
	check := validator.New(validator.WithRequiredStructEnabled())
	check.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		return name
	})
	return func(ctx context.Context, v any) error {
		if !isStruct(v) {
			return nil
		}
		err := check.StructCtx(ctx, v)
		var wrong validator.ValidationErrors
		if !errors.As(err, &wrong) {
			return err
		}
		var fields []error
		for _, w := range wrong {
			_, path, _ := strings.Cut(w.Namespace(), ".") // without the Go type's name
			fields = append(fields, router.Field(path, "must be "+strings.TrimSpace(w.Tag()+" "+w.Param())))
		}
		return errors.Join(fields...)
	}
}

func isStruct(v any) bool {
	t := reflect.TypeOf(v)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct
}
