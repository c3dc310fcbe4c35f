package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/middleware"
	"github.com/tidewire/ws/router"
)

// byToken knows one token, which is good for a minute.
func byToken(r *http.Request) (any, time.Time, error) {
	switch middleware.BearerToken(r) {
	case "good":
		return "alice", time.Now().Add(time.Minute), nil
	case "old":
		return "alice", time.Now().Add(-time.Second), nil
	case "banned":
		return nil, time.Time{}, ws.Refuse(http.StatusForbidden, "banned")
	}
	return nil, time.Time{}, errors.New("a secret reason")
}

func TestAuthenticate(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		s.start(middleware.Authenticate(byToken))
		_, ctx := s.opens("Authorization", "Bearer good")
		if p := ws.Principal(ctx); p != "alice" {
			t.Errorf("principal %v", p)
		}
		for _, fields := range [][]string{nil, {"Authorization", "Bearer bad"}, {"Authorization", "Bearer old"}, {"Authorization", "Basic good"}} {
			if got := s.refuses(http.StatusUnauthorized, fields...).Header.Get("WWW-Authenticate"); got != "Bearer" {
				t.Errorf("%v: WWW-Authenticate %q", fields, got)
			}
		}
		resp := s.refuses(http.StatusForbidden, "Authorization", "Bearer banned")
		if got := resp.Header.Get("WWW-Authenticate"); got != "" {
			t.Errorf("WWW-Authenticate %q", got)
		}
	})
}

// TestAuthenticateSubprotocol offers the token beside a real subprotocol, which is the one that is answered.
func TestAuthenticateSubprotocol(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		s.handler.Options.Subprotocols = []string{"chat"}
		s.start(middleware.Authenticate(byToken))
		c, ctx := s.opens("Sec-WebSocket-Protocol", "bearer.good, chat")
		if c.Subprotocol() != "chat" || ws.Principal(ctx) != "alice" {
			t.Errorf("subprotocol %q, principal %v", c.Subprotocol(), ws.Principal(ctx))
		}
		s.refuses(http.StatusUnauthorized, "Sec-WebSocket-Protocol", "chat, bearer.bad")
	})
}

func TestAuthenticateHidesToken(t *testing.T) {
	for _, tt := range []struct{ offered, want []string }{
		{[]string{"chat, bearer.good", "v2"}, []string{"chat, v2"}},
		{[]string{"bearer.good"}, nil},
		{[]string{" bearer.good,chat"}, []string{"chat"}},
	} {
		r := upgradeRequest()
		r.Header["Sec-Websocket-Protocol"] = tt.offered
		var got []string
		h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header["Sec-Websocket-Protocol"] })
		before := slices.Clone(tt.offered)
		middleware.Authenticate(byToken)(h).ServeHTTP(httptest.NewRecorder(), r)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q became %q", tt.offered, got)
		}
		if !slices.Equal(r.Header["Sec-Websocket-Protocol"], before) {
			t.Errorf("the caller's request became %q", r.Header)
		}
	}
}

// TestAuthenticateExpiry lets a credential expire under a live connection.
func TestAuthenticateExpiry(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		s.start(middleware.Authenticate(byToken))
		c, ctx := s.opens("Authorization", "Bearer good")
		start := time.Now()
		_, _, err := c.Read(t.Context())
		if got := ws.CloseStatus(err); got != 3000 || time.Since(start) != time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, conn.ErrExpired) {
			t.Errorf("cause %v", cause)
		}
	})
}

// TestAuthenticateRenew renews a credential over the connection, as a router's handler would: with the message's context.
func TestAuthenticateRenew(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		s.start(middleware.Authenticate(byToken))
		c, ctx := s.opens("Authorization", "Bearer good")
		start := time.Now()
		ended := make(chan error)
		go func() {
			_, _, err := c.Read(t.Context())
			ended <- err
		}()
		time.Sleep(50 * time.Second)
		if err := ws.Renew(ctx, start.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; ws.CloseStatus(err) != 3000 || time.Since(start) != time.Hour {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		synctest.Wait()
		if err := ws.Renew(ctx, start.Add(2*time.Hour)); !errors.Is(err, conn.ErrExpired) {
			t.Errorf("renewing when it is too late: %v", err)
		}
	})
}

// TestRenewFromRouter has the client send a fresh credential as a typed request.
func TestRenewFromRouter(t *testing.T) {
	rt := router.New()
	router.Handle(rt, "renew", func(ctx context.Context, token string) (time.Time, error) {
		if token != "good" {
			return time.Time{}, &router.Error{Code: router.Unauthorized}
		}
		expiry := time.Now().Add(time.Minute)
		return expiry, ws.Renew(ctx, expiry)
	})
	for name, h := range map[string]*ws.Handler{"serve": {Serve: rt.Serve}, "events": {Events: rt}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, mounts[0], false)
				s.handler = h
				s.start(middleware.Authenticate(byToken))
				c, _ := s.dial("Authorization", "Bearer good")
				go router.New().Serve(t.Context(), c) // reads the replies
				start := time.Now()
				for range 3 {
					time.Sleep(50 * time.Second)
					if _, err := router.Call[time.Time](t.Context(), c, "renew", "good"); err != nil {
						t.Fatalf("after %v: %v", time.Since(start), err)
					}
				}
				if _, err := router.Call[time.Time](t.Context(), c, "renew", "bad"); !errors.Is(err, &router.Error{Code: router.Unauthorized}) {
					t.Errorf("a bad credential: %v", err)
				}
				<-c.Context().Done()
				if got := ws.CloseStatus(context.Cause(c.Context())); got != 3000 || time.Since(start) != 150*time.Second+time.Minute {
					t.Errorf("after %v: %v", time.Since(start), context.Cause(c.Context()))
				}
			})
		})
	}
}

func TestBearerToken(t *testing.T) {
	for _, tt := range []struct {
		fields []string
		want   string
	}{
		{nil, ""},
		{[]string{"Authorization", "Bearer abc"}, "abc"},
		{[]string{"Authorization", "bearer  abc "}, "abc"},
		{[]string{"Authorization", "Basic abc"}, ""},
		{[]string{"Sec-Websocket-Protocol", "chat, bearer.abc.def"}, "abc.def"},
		{[]string{"Sec-Websocket-Protocol", "chat", "Sec-Websocket-Protocol", "bearer.abc"}, "abc"},
		{[]string{"Sec-Websocket-Protocol", "Bearer.abc"}, ""},
		{[]string{"Authorization", "Bearer abc", "Sec-Websocket-Protocol", "bearer.def"}, "abc"},
	} {
		if got := middleware.BearerToken(upgradeRequest(tt.fields...)); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.fields, got, tt.want)
		}
	}
}

func TestTickets(t *testing.T) {
	run(t, func(t *testing.T, s *site) {
		tickets := middleware.NewTickets(middleware.TicketOptions{Lifetime: 10 * time.Second})
		s.start(middleware.Authenticate(tickets.Verify))
		use := func(name string) int {
			_, resp := s.dialURL("ws://site.example/ws?ticket=" + name)
			return resp.StatusCode
		}
		issue := func(expiry time.Time) string {
			name, err := tickets.Issue("alice", expiry)
			if err != nil {
				t.Fatal(err)
			}
			return name
		}
		first, late := issue(time.Time{}), issue(time.Time{})
		if got := use(first); got != http.StatusSwitchingProtocols {
			t.Errorf("a ticket: got %d", got)
		}
		if got := use(first); got != http.StatusUnauthorized {
			t.Errorf("a used one: got %d", got)
		}
		if got := use(""); got != http.StatusUnauthorized {
			t.Errorf("none: got %d", got)
		}
		time.Sleep(10 * time.Second)
		if got := use(late); got != http.StatusUnauthorized {
			t.Errorf("an old one: got %d", got)
		}
		if got := use(issue(time.Now())); got != http.StatusUnauthorized {
			t.Errorf("one of an expired principal: got %d", got)
		}
	})
}

func TestTicketsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tickets := middleware.NewTickets(middleware.TicketOptions{Max: 2, Param: "t"})
		issue := func() (string, error) { return tickets.Issue(nil, time.Time{}) }
		first, _ := issue()
		issue()
		if _, err := issue(); !errors.Is(err, middleware.ErrTooManyTickets) {
			t.Errorf("a third: %v", err)
		}
		if _, _, err := tickets.Verify(httptest.NewRequest("GET", "/?t="+first, nil)); err != nil {
			t.Errorf("using the first: %v", err)
		}
		if _, err := issue(); err != nil {
			t.Errorf("one in its place: %v", err)
		}
		time.Sleep(30 * time.Second)
		for range 2 {
			if _, err := issue(); err != nil {
				t.Errorf("when all have expired: %v", err)
			}
		}
	})
}
