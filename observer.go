package ws

import (
	"context"
	"net/http"

	"github.com/tidewire/ws/internal/upgrade"
)

type observedKey struct{}

// String names the key in a printed context.
func (observedKey) String() string { return "ws observer" }

// ObserveRefusals is a middleware that tells o.Refused of upgrades that were
// refused further in, by other middleware or by a handler. A handler with the
// same Observer leaves its own to it, so that each is told once.
func ObserveRefusals(o *Observer) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if o == nil || o.Refused == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !IsUpgrade(r) {
				next.ServeHTTP(w, r)
				return
			}
			r = r.WithContext(context.WithValue(r.Context(), observedKey{}, o))
			var refused *upgrade.Refusal // only ever set by Serve: the hook must not keep r
			upgrade.Serve(next, w, r, upgrade.Hooks{Done: func(e upgrade.End) {
				if !e.Upgraded {
					refused = e.Refused
				}
			}})
			if refused != nil {
				o.Refused(requestContext{r}, refused.By, refused.Status)
			}
		})
	}
}

// refuse answers a request that is not to become a connection.
func (a *acceptance) refuse(w http.ResponseWriter, r *http.Request, ref upgrade.Refusal) {
	upgrade.Refuse(w, r, ref)
	a.group().refused()
	a.opts.Group.refused()
	o := a.opts.Observer
	if o != nil && o.Refused != nil && r.Context().Value(observedKey{}) != o {
		o.Refused(requestContext{r}, ref.By, ref.Status)
	}
}

// observeOpened tells the observer of a connection. Its context has the request,
// which that of an EventHandler's connection hasn't.
func (a *acceptance) observeOpened(c *Conn, r *http.Request) {
	if o := a.opts.Observer; o != nil && o.Opened != nil {
		o.Opened(eventContext{c.Context(), requestContext{r}}, c)
	}
}
