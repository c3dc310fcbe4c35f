package middleware

import (
	"context"
	"crypto/rand"
	"net/http"
)

const (
	headerRequestID = "X-Request-Id"
	maxRequestID    = 128
)

type requestIDKey struct{}

// String names the key in a printed context.
func (requestIDKey) String() string { return "ws request id" }

// RequestID gives each upgrade an identifier: the one in its X-Request-Id header
// if that is up to 128 letters, digits and any of "-_.:/+=", else a random one.
// AccessLog logs it, and a refusal has it in its header.
//
// Anybody can send such a header. In front of the public an own proxy has to set
// it, or the identifiers in the log are the visitors' choice.
func RequestID() func(http.Handler) http.Handler {
	return upgrades(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(headerRequestID)
		if !isRequestID(id) {
			id = rand.Text()
		}
		w.Header().Set(headerRequestID, id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

// RequestIDOf returns what RequestID has given to the upgrade; "" without it. It
// is for the contexts of the request, of ws.Handler's Serve, and of an
// EventHandler's Open, which can pass it on to that of the messages.
func RequestIDOf(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

func isRequestID(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '/', c == '+', c == '=':
		default:
			return false
		}
	}
	return s != "" && len(s) <= maxRequestID
}
