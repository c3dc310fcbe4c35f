package bounded_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/tidewire/ws/internal/bounded"
)

func TestEndOfContextCutsARead(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	ctx, cancel := context.WithCancel(t.Context())
	err := bounded.Do(ctx, near, func() error {
		cancel()
		_, err := near.Read(make([]byte, 1)) // nobody writes
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestNothingAfterwards(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	ctx, cancel := context.WithCancel(t.Context())
	if err := bounded.Do(ctx, near, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	cancel()
	go io.WriteString(far, "x")
	if _, err := near.Read(make([]byte, 1)); err != nil {
		t.Errorf("the context still has hold of the connection: %v", err)
	}
}

func TestErrorOfTheFunction(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	defer near.Close()
	if err := bounded.Do(t.Context(), near, func() error { return io.ErrNoProgress }); err != io.ErrNoProgress {
		t.Errorf("got %v", err)
	}
}

func TestContextOverAlready(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bounded.Do(ctx, near, func() error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
