package bounded_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
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

func TestReadResponse(t *testing.T) {
	const max = 1000
	const interim = "HTTP/1.1 100 Continue\r\n\r\n"
	tests := []struct {
		name, raw string
		status    int
		buffered  string
		err       string
	}{
		{"final", "HTTP/1.1 204 No Content\r\n\r\nxyz", 204, "xyz", ""},
		{"switching", "HTTP/1.1 101 Switching Protocols\r\n\r\nxyz", 101, "xyz", ""},
		{"interim", strings.Repeat(interim, 5) + "HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, "", ""},
		{"interim for ever", strings.Repeat(interim, 6), 0, "", "too many interim"},
		{"limit", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", max-len("HTTP/1.1 200 OK\r\nX: \r\n\r\n")) + "\r\n\r\n", 200, "", ""},
		{"over the limit", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", max) + "\r\n\r\n", 0, "", "more than 1000 bytes"},
		{"nothing", "", 0, "", "connection closed instead of a response"},
		{"cut", "HTTP/1.1 200 OK\r\nX:", 0, "", "connection closed instead of a response"},
		{"no HTTP", "220 smtp.example ESMTP\r\n", 0, "", "malformed HTTP"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, br, err := bounded.ReadResponse(strings.NewReader(tt.raw), nil, max)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || resp.StatusCode != tt.status || string(bounded.Buffered(br)) != tt.buffered {
				t.Errorf("got %v, %v; want %d and %q", resp, err, tt.status, tt.buffered)
			}
		})
	}
}
