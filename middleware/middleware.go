// Package middleware guards and watches websocket endpoints. Everything in it is
// a func(http.Handler) http.Handler, for chi's Use and With, for http.ServeMux,
// or for Chain, and passes on every request that is no upgrade to a websocket.
//
//	guard := middleware.Chain(
//		middleware.RequestID(),
//		middleware.AccessLog(nil),
//		middleware.Recover(nil),
//		middleware.RateLimit(middleware.RateLimitOptions{Rate: 1, Burst: 10}),
//		middleware.Limit(middleware.LimitOptions{Total: 10_000, PerKey: 20}),
//		middleware.Origin(middleware.OriginOptions{Allow: []string{"https://*.example.com"}}),
//		middleware.Authenticate(verify),
//	)
//	mux.Handle("/ws", guard(&ws.Handler{Serve: serve}))
//
// That order is a good one: what refuses stands inside of what counts and logs
// refusals, and what is cheap stands in front of what is not.
//
// Each refusal is an HTTP response with the status that fits, Retry-After where
// trying again makes sense, and one line of text. What wraps a connection's whole
// life (AccessLog, Limit, Authenticate's expiry) does so for ws.Handler's Events,
// too, where ServeHTTP returns long before the connection ends.
package middleware

import (
	"log/slog"
	"net/http"
	"slices"

	"github.com/tidewire/ws"
)

// Chain is the given middleware as one, the first being the outermost.
func Chain(middleware ...func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	chain := slices.Clone(middleware)
	return func(h http.Handler) http.Handler {
		for _, m := range slices.Backward(chain) {
			h = m(h)
		}
		return h
	}
}

// upgrades is the middleware that has f deal with upgrades.
func upgrades(f func(next http.Handler, w http.ResponseWriter, r *http.Request)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if ws.IsUpgrade(r) {
				f(next, w, r)
			} else {
				next.ServeHTTP(w, r)
			}
		})
	}
}

// loggerOr is l, or the default logger at the time of each call.
func loggerOr(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.Default()
	}
	return l
}
