package middleware_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tidewire/ws"
)

// BenchmarkUpgrade and BenchmarkMessage measure a server over TCP, with its client, without middleware and behind all of it.
// The bounds are ratios: 1.15 for an upgrade, 1.02 for a message.
func BenchmarkUpgrade(b *testing.B) {
	behind(b, func(b *testing.B, url string) {
		for b.Loop() {
			c, _, err := ws.Dial(b.Context(), url, nil)
			if err != nil {
				b.Fatal(err)
			}
			c.CloseNow()
		}
	})
}

func BenchmarkMessage(b *testing.B) {
	behind(b, func(b *testing.B, url string) {
		c, _, err := ws.Dial(b.Context(), url, nil)
		if err != nil {
			b.Fatal(err)
		}
		defer c.CloseNow()
		p, buf := make([]byte, 32), make([]byte, 0, 64)
		for b.Loop() {
			if err := c.Write(b.Context(), ws.Binary, p); err != nil {
				b.Fatal(err)
			}
			if _, _, err := c.AppendRead(b.Context(), buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}

type echoes struct{}

func (echoes) Message(ctx context.Context, c *ws.Conn, m ws.Message) error {
	return c.WriteMessage(ctx, m)
}

func behind(b *testing.B, f func(b *testing.B, url string)) {
	m := all(slog.New(slog.DiscardHandler))
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"none": func(h http.Handler) http.Handler { return h },
		"all":  m,
	} {
		b.Run(name, func(b *testing.B) {
			srv := httptest.NewServer(wrap(&ws.Handler{Events: echoes{}}))
			defer srv.Close()
			b.ReportAllocs()
			f(b, srv.URL)
		})
	}
}

// BenchmarkChain is what all of it costs alone: an upgrade takes about 100 us of a server's time.
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
