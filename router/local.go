package router

import (
	"context"
	"reflect"
)

// Local returns the T of the connection that ctx belongs to: a value of any type
// of the program's own, which is the zero value when it is first asked for and
// lives as long as the connection. Functions that run at the same time share it.
//
// It panics if ctx belongs to no routed connection.
func Local[T any](ctx context.Context) *T {
	s := sessionFrom(ctx)
	if s == nil {
		panic("router: Local with a context that belongs to no connection")
	}
	key := reflect.TypeFor[T]()
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.locals[key]; ok {
		return v.(*T)
	}
	if s.locals == nil {
		s.locals = make(map[reflect.Type]any)
	}
	v := new(T)
	s.locals[key] = v
	return v
}
