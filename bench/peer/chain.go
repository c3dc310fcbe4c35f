//go:build linux

package peer

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/tidewire/ws/middleware"
)

// The same as own, to be compared with that.
var (
	ownChain = Server{
		Name:  "ws-chain",
		Role:  Ours,
		About: "this library, Handler.Serve behind all of its middleware, the access log off",
		Modes: map[Mode]Maker{Echo: onHTTP(wsChain(slog.DiscardHandler))},
	}
	ownLogged = Server{
		Name:  "ws-chain-log",
		Role:  Ours,
		About: "the same, the access log formatted and written to nowhere",
		Modes: map[Mode]Maker{Echo: onHTTP(wsChain(slog.NewTextHandler(nowhere{}, nil)))},
	}
)

func wsChain(log slog.Handler) func(Config) http.HandlerFunc {
	logger := slog.New(log)
	guard := middleware.Chain(
		middleware.RequestID(),
		middleware.AccessLog(logger),
		middleware.Recover(logger),
		middleware.RateLimit(middleware.RateLimitOptions{Rate: 1e9, Burst: 1 << 30}),
		middleware.Limit(middleware.LimitOptions{Total: 1e6, PerKey: 1e6, Pending: 1e6}),
		middleware.Origin(middleware.OriginOptions{Allow: []string{"https://*.example.com"}}),
		middleware.Authenticate(func(*http.Request) (any, time.Time, error) { return "somebody", time.Now().Add(time.Hour), nil }),
	)
	return func(cfg Config) http.HandlerFunc { return guard(wsEcho(cfg)).ServeHTTP }
}

// nowhere is not io.Discard, for which slog formats nothing.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
