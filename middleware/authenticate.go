package middleware

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tidewire/ws/internal/upgrade"
)

// bearerProtocol is what a subprotocol that is a token begins with: the one
// field of the handshake that a page can fill in.
const bearerProtocol = "bearer."

const headerProtocol = "Sec-Websocket-Protocol"

// Authenticate asks verify who is behind an upgrade, and until when that is
// certain; the zero time is for ever. verify looks at whatever proves it: a header
// or a subprotocol (BearerToken), a cookie, a ticket (Tickets.Verify). A cookie
// proves nothing about the page that has the browser send it: see Origin.
//
// The principal is what ws.Principal returns for the connection's contexts. At the
// expiry the connection ends with close code 3000 and the cause conn.ErrExpired,
// unless ws.Renew has moved it: a handler calls that when the client has sent a
// fresh credential over the connection.
//
// An error refuses the upgrade: one from ws.Refuse with its status and text, any
// other, and an expiry that is past, with 401. A subprotocol "bearer.<token>" is
// taken out of the request, so that the real ones beside it are negotiated and
// nothing further in logs the token.
func Authenticate(verify func(r *http.Request) (principal any, expiry time.Time, err error)) func(http.Handler) http.Handler {
	return upgrades(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		principal, expiry, err := verify(r)
		switch {
		case err != nil:
			upgrade.Refuse(w, r, unauthenticated(err))
			return
		case !expiry.IsZero() && !expiry.After(time.Now()):
			upgrade.Refuse(w, r, unauthorized("the credential has expired"))
			return
		}
		rec, r := upgrade.Install(withoutBearer(r))
		rec.SetPrincipal(principal, expiry)
		next.ServeHTTP(w, r)
	})
}

func unauthenticated(err error) upgrade.Refusal {
	var chosen interface {
		error
		Refusal() (status int, text string)
	}
	if !errors.As(err, &chosen) {
		return unauthorized("no valid credential")
	}
	status, text := chosen.Refusal()
	ref := unauthorized(text)
	if ref.Status = status; status != http.StatusUnauthorized {
		ref.Header = nil
	}
	return ref
}

// unauthorized is a 401, which has to name a scheme (RFC 9110 15.5.2).
func unauthorized(text string) upgrade.Refusal {
	return upgrade.Refusal{By: "authentication", Status: http.StatusUnauthorized, Text: text,
		Header: http.Header{"Www-Authenticate": {"Bearer"}}}
}

// BearerToken returns the token in a request's Authorization header (RFC 6750
// 2.1), or else in a subprotocol "bearer.<token>", which is how pages can send
// one: new WebSocket(url, ["chat", "bearer." + token]). It is "" if there is none.
func BearerToken(r *http.Request) string {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	for _, line := range r.Header[headerProtocol] {
		for name := range strings.SplitSeq(line, ",") {
			if token, ok := strings.CutPrefix(strings.TrimSpace(name), bearerProtocol); ok {
				return token
			}
		}
	}
	return ""
}

// withoutBearer is r without tokens among its subprotocols.
func withoutBearer(r *http.Request) *http.Request {
	var others []string
	found := false
	for _, line := range r.Header[headerProtocol] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); strings.HasPrefix(name, bearerProtocol) {
				found = true
			} else if name != "" {
				others = append(others, name)
			}
		}
	}
	if !found {
		return r
	}
	r = r.WithContext(r.Context()) // a copy
	r.Header = r.Header.Clone()
	r.Header.Del(headerProtocol)
	if len(others) > 0 {
		r.Header.Set(headerProtocol, strings.Join(others, ", "))
	}
	return r
}
