package middleware

import (
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/tidewire/ws/internal/upgrade"
)

// Recover answers an upgrade with 500 if a handler further in panics, and logs
// the panic with its stack; nil is slog.Default(). Once there is a connection
// there is nobody left to answer, and it only logs: ws.Handler deals with the
// panics of its own functions by closing with 1011.
//
// http.ErrAbortHandler goes on to net/http, which it is meant for.
func Recover(logger *slog.Logger) func(http.Handler) http.Handler {
	return upgrades(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		answered := false
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler {
				panic(v)
			}
			loggerOr(logger).ErrorContext(r.Context(), "ws: upgrade panicked", "panic", v, "stack", string(debug.Stack()))
			if !answered {
				upgrade.Refuse(w, r, upgrade.Refusal{By: "panic", Status: http.StatusInternalServerError,
					Text: http.StatusText(http.StatusInternalServerError)})
			}
		}()
		upgrade.Serve(next, w, r, upgrade.Hooks{
			Opened: func(upgrade.Opening) { answered = true },
			Done: func(e upgrade.End) {
				if !e.Upgraded && e.Refused != nil { // of a connection it comes later, and from elsewhere
					answered = true
				}
			},
		})
	})
}
