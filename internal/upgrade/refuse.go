package upgrade

import (
	"maps"
	"net/http"
	"strconv"
	"time"
)

// Refusal is an upgrade that was refused, and the response that said so.
type Refusal struct {
	By         string        // which check refused: "origin", "rate limit", ...; few different ones, fit for a metric's label
	Status     int           // of the response
	Header     http.Header   // further fields of the response
	RetryAfter time.Duration // when to try again, rounded up to seconds; 0 says nothing
	Text       string        // one line for the client: what is wrong and what to change
}

// Refuse answers a request that is not to become a websocket, and keeps the refusal for End.Refused; the first one counts.
func Refuse(w http.ResponseWriter, r *http.Request, ref Refusal) {
	if rec := From(r.Context()); rec != nil {
		rec.mu.Lock()
		if rec.refused == nil {
			rec.refused = &ref
		}
		rec.mu.Unlock()
	}
	maps.Copy(w.Header(), ref.Header)
	if ref.RetryAfter > 0 {
		seconds := (ref.RetryAfter + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	http.Error(w, ref.Text, ref.Status)
}
