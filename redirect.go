package ws

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

func isRedirect(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// redirect turns the dialing to where the response points, and takes the
// credentials from it if that is somebody else.
func (d *dialing) redirect(resp *http.Response) error {
	to, err := resp.Location()
	if err != nil {
		return fmt.Errorf("redirected with %q: %w", resp.Status, err)
	}
	from := d.url
	if err := d.setURL(to); err != nil {
		return fmt.Errorf("redirected with %q: %w", resp.Status, err)
	}
	if isSecure(from) && !isSecure(d.url) {
		return errors.New("redirected from TLS to plaintext, which is not followed")
	}
	if !sameServer(from, d.url) {
		d.host = ""
		d.header.Del("Authorization")
		d.header.Del("Cookie")
	}
	return nil
}

// sameServer reports whether credentials for one URL may go to the other: to the
// same host and port by the same scheme, or from the default port of ws to that of wss.
func sameServer(from, to *url.URL) bool {
	if !strings.EqualFold(from.Hostname(), to.Hostname()) {
		return false
	}
	upgraded := !isSecure(from) && isSecure(to) && port(from) == "80" && port(to) == "443"
	return upgraded || isSecure(from) == isSecure(to) && port(from) == port(to)
}
