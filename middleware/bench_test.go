package middleware_test

import (
	"log/slog"
	"net/http"
	"testing"
)

// BenchmarkChain is what all of it costs alone. Module bench has servers with and without it side by side.
func BenchmarkChain(b *testing.B) {
	h := all(slog.New(slog.DiscardHandler))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := from("127.0.0.1:1234", "Origin", "https://page.example")
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(headers{}, r)
	}
}

// headers is a ResponseWriter that is only asked for its header.
type headers http.Header

func (h headers) Header() http.Header       { return http.Header(h) }
func (headers) Write(p []byte) (int, error) { return len(p), nil }
func (headers) WriteHeader(int)             {}
