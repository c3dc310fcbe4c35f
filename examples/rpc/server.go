package main

import (
	"context"
	_ "embed"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/tidewire/ws"
	wsmiddleware "github.com/tidewire/ws/middleware"
	"github.com/tidewire/ws/router"
)

//go:embed page.html
var page []byte

// newServer puts the chat behind chi, as one does with any handler. Mount takes
// every method: over HTTP/2 a websocket is a CONNECT, not a GET. The group has all
// connections, for its Shutdown.
func newServer(r *router.Router, group *ws.Group) http.Handler {
	mux := chi.NewRouter()
	mux.Use(middleware.Recoverer)
	mux.Post("/sign-in", signIn)
	mux.With(wsmiddleware.Authenticate(signedIn)).Mount("/ws", &ws.Handler{Events: r, Options: ws.Options{Group: group}})
	mux.Mount("/api", http.StripPrefix("/api", r.API().Handler("/ws")))
	mux.Get("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	})
	return mux
}

const cookie = "name"

// signIn believes everybody; a program of yours would ask for a password.
func signIn(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("name")
	if name == "" || len(name) > 40 {
		http.Error(w, "a name has 1 to 40 bytes", http.StatusBadRequest)
		return
	}
	//nolint:gosec // not Secure: the example is served over plain HTTP on loopback
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: url.QueryEscape(name), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.WriteHeader(http.StatusNoContent)
}

// signedIn says who asks for a websocket; ws.Principal has it from then on.
func signedIn(r *http.Request) (principal any, expiry time.Time, err error) {
	c, err := r.Cookie(cookie)
	if err != nil {
		return nil, expiry, err
	}
	name, err := url.QueryUnescape(c.Value)
	return name, expiry, err
}

// user is the name of who is at the other end of a function's connection.
func user(ctx context.Context) string { return ws.Principal(ctx).(string) }
