package handshake

import (
	"fmt"
	"net/http"
)

// Bounds on what one handshake may list: far above any real one, and low enough that going through a list for each of
// its elements costs nothing to speak of.
const (
	maxProtocols  = 64
	maxExtensions = 32
	maxParams     = 32
)

// Extension is an element of Sec-WebSocket-Extensions (RFC 6455 9.1): an offer in a request, an agreement in a response.
type Extension struct {
	Name   string
	Params []Param
}

// Param is a parameter of an extension. Quoted values come unquoted. A parameter that stands alone has Valued false.
type Param struct {
	Name, Value string
	Valued      bool
}

// Extensions returns the elements of the header's Sec-WebSocket-Extensions in order, nil without any. Names are compared
// as they are (RFC 6455 registers them in lower case), repeated ones are the caller's business: a client may offer the
// same extension several times with different parameters.
func Extensions(h http.Header) ([]Extension, error) {
	var list []Extension
	for elem := range elements(h[hdrExtensions]) {
		if len(list) == maxExtensions {
			return nil, refuse(http.StatusBadRequest, fmt.Sprintf("Sec-WebSocket-Extensions lists more than %d extensions", maxExtensions))
		}
		e, ok := parseExtension(elem)
		if !ok {
			return nil, refuse(http.StatusBadRequest, "Sec-WebSocket-Extensions has a malformed element "+quote(elem)+" (RFC 6455 9.1)")
		}
		list = append(list, e)
	}
	return list, nil
}

func parseExtension(s string) (Extension, bool) {
	name, rest, more := cutUnquoted(s, ';')
	e := Extension{Name: trim(name)}
	if !isToken(e.Name) {
		return e, false
	}
	for more {
		if len(e.Params) == maxParams {
			return e, false
		}
		var param string
		param, rest, more = cutUnquoted(rest, ';')
		p, ok := parseParam(param)
		if !ok {
			return e, false
		}
		e.Params = append(e.Params, p)
	}
	return e, true
}

// parseParam reads name, name=token or name="token": what is quoted must be a token too (RFC 6455 9.1).
func parseParam(s string) (Param, bool) {
	name, value, valued := cutUnquoted(s, '=')
	p := Param{Name: trim(name), Value: trim(value), Valued: valued}
	if !valued {
		return p, isToken(p.Name)
	}
	if v, ok := unquote(p.Value); ok {
		p.Value = v
	}
	return p, isToken(p.Name) && isToken(p.Value)
}
