package middleware

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tidewire/ws/internal/handshake"
	"github.com/tidewire/ws/internal/upgrade"
)

// OriginOptions say which pages may connect.
type OriginOptions struct {
	// Allow lists origins beside the server's own: "https://app.example.com",
	// "http://localhost:5173", or with a star for exactly one label
	// "https://*.example.com".
	Allow []string

	// AllowFunc, if not nil, is asked about an origin that nothing else allows.
	// The origin is a single, well-formed one.
	AllowFunc func(r *http.Request, origin string) bool

	// Hosts, if not empty, are the names that the server answers to, with the
	// port if the clients' URLs have one: "example.com", "*.example.com",
	// "localhost:8080". Any other Host is refused with 421, whether or not there
	// is an Origin. This stops DNS rebinding, in which a page of a hostile
	// domain has that domain's name point to this server, so that Origin and Host are equal.
	Hosts []string
}

// Origin decides which web pages may connect with their visitors' cookies
// (cross-site websocket hijacking), in place of the check that ws.Accept makes
// by itself. It panics if a pattern can't be one.
//
// A request without an Origin comes from no browser and passes. "null", several
// and malformed Origins never do. A Sec-Fetch-Site, which browsers send by
// themselves and pages can't forge, says whether page and server are the same
// origin, whatever a proxy has made of Host; without it Origin's host and port
// have to be Host's.
func Origin(o OriginOptions) func(http.Handler) http.Handler {
	o.Allow, o.Hosts = slices.Clone(o.Allow), slices.Clone(o.Hosts)
	if err := handshake.ValidateOrigins(o.Allow); err != nil {
		panic("middleware: Origin: Allow: " + err.Error())
	}
	for i, h := range o.Hosts {
		o.Hosts[i] = hostScheme + h
		if handshake.ValidateOrigins(o.Hosts[i:i+1]) != nil {
			panic(fmt.Sprintf("middleware: Origin: Hosts: %q is no host or host:port", h))
		}
	}
	return upgrades(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		if ref := o.check(r); ref != nil {
			ref.By = "origin"
			upgrade.Refuse(w, r, *ref)
			return
		}
		rec, r := upgrade.Install(r)
		rec.AllowOrigin()
		next.ServeHTTP(w, r)
	})
}

func (o *OriginOptions) check(r *http.Request) *upgrade.Refusal {
	if !o.answersTo(r) {
		return &upgrade.Refusal{Status: http.StatusMisdirectedRequest,
			Text: fmt.Sprintf("this server does not answer to the host %.100q", r.Host)}
	}
	lines := r.Header["Origin"]
	if len(lines) == 0 {
		return nil
	}
	// An origin that is one, and the only one, is allowed by a list of itself.
	if handshake.CheckOrigin(r, lines) != nil {
		return forbidden(fmt.Sprintf("the origin %.100q is none", strings.Join(lines, ", ")))
	}
	if o.allows(r) {
		return nil
	}
	return forbidden(fmt.Sprintf("the origin %.100q may not connect to the host %.100q", lines[0], r.Host))
}

func forbidden(text string) *upgrade.Refusal {
	return &upgrade.Refusal{Status: http.StatusForbidden, Text: text}
}

// allows judges a request with one well-formed origin.
func (o *OriginOptions) allows(r *http.Request) bool {
	switch site := r.Header["Sec-Fetch-Site"]; {
	case len(site) == 1 && site[0] == "same-origin":
		return true
	case len(site) == 0:
		if handshake.CheckOrigin(r, o.Allow) == nil {
			return true
		}
	default: // the lists alone: a request without a host is nobody's own
		if handshake.CheckOrigin(&http.Request{Header: r.Header}, o.Allow) == nil {
			return true
		}
	}
	return o.AllowFunc != nil && o.AllowFunc(r, r.Header.Get("Origin"))
}

// hostScheme makes an origin of a host: hosts are compared as origins are, all with the same scheme.
const hostScheme = "http://"

func (o *OriginOptions) answersTo(r *http.Request) bool {
	if len(o.Hosts) == 0 {
		return true
	}
	return handshake.CheckOrigin(&http.Request{Header: http.Header{"Origin": {hostScheme + r.Host}}}, o.Hosts) == nil
}
