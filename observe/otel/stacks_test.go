package otel_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/felixge/httpsnoop"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/middleware"
)

// TestStacks puts middleware that measures requests around connections, which must open and live all the same.
// (Package middleware has the same for the stacks that need no more modules.)
func TestStacks(t *testing.T) {
	l := newLab(t)
	stacks := map[string]func(http.Handler) http.Handler{
		"otelhttp": otelhttp.NewMiddleware("server", otelhttp.WithTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(l.spans)))),
		"httpsnoop": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { httpsnoop.CaptureMetrics(h, w, r) })
		},
		"httpsnoop's wrapper": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(httpsnoop.Wrap(w, httpsnoop.Hooks{
					WriteHeader: func(next httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc { return next },
				}), r)
			})
		},
	}
	observed := ws.Options{Observer: l.Observer()}
	handlers := map[string]*ws.Handler{
		"serve":  {Serve: serveEcho, Options: observed},
		"events": {Events: l.ended, Options: observed},
	}
	ours := middleware.Chain(
		middleware.AccessLog(slog.New(slog.DiscardHandler)),
		middleware.Recover(nil),
		middleware.Limit(middleware.LimitOptions{Total: 10}),
		middleware.Authenticate(func(*http.Request) (any, time.Time, error) { return "somebody", time.Time{}, nil }))
	for name, stack := range stacks {
		for form, h := range handlers {
			t.Run(name+"-"+form, func(t *testing.T) {
				srv := httptest.NewServer(stack(ours(h)))
				defer srv.Close()
				l := &lab{t: t, url: srv.URL}
				if err := l.dial("hello", "and more").Close(t.Context(), ws.StatusNormal, ""); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestWithinRequestSpan checks that a connection's span belongs to that of its upgrade, if there is one.
func TestWithinRequestSpan(t *testing.T) {
	l := newLab(t)
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(l.spans))
	srv := httptest.NewServer(otelhttp.NewHandler(
		&ws.Handler{Events: l.ended, Options: ws.Options{Observer: l.Observer()}}, "upgrade", otelhttp.WithTracerProvider(provider)))
	defer srv.Close()
	l.url = srv.URL
	if err := l.dial("hello").Close(t.Context(), ws.StatusNormal, ""); err != nil {
		t.Fatal(err)
	}
	<-l.ended
	srv.Close() // and the request's span has ended, too
	spans := make(map[string]trace.ReadOnlySpan)
	for _, s := range l.spans.Ended() {
		spans[s.Name()] = s
	}
	connection, request := spans["websocket"], spans["GET"]
	if connection == nil || request == nil || connection.Parent().SpanID() != request.SpanContext().SpanID() {
		t.Errorf("got %v", spans)
	}
}
