package interop

import (
	"os"
	"strings"
	"testing"
)

const haproxyConfig = `
defaults
	mode http
	timeout connect 5s
	timeout client IDLE
	timeout server IDLE
	timeout tunnel IDLE
frontend front
	bind PLAIN
	bind SECURE ssl crt PEM
	option forwardfor
	http-request set-header X-Forwarded-Proto https if { ssl_fc }
	http-request set-header X-Forwarded-Proto http if !{ ssl_fc }
	default_backend websockets
backend websockets
	server a BACKEND
`

// newHAProxy is the same as newNginx.
func newHAProxy(t *testing.T, cert certificate, backend, idle string) *proxy {
	t.Helper()
	p := &proxy{plain: freeAddress(t), secure: freeAddress(t)}
	var pem strings.Builder
	for _, name := range []string{cert.certFile, cert.keyFile} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		pem.Write(b)
	}
	config := strings.NewReplacer("PLAIN", p.plain, "SECURE", p.secure, "PEM", writeConfig(t, "haproxy.pem", pem.String()),
		"BACKEND", backend, "IDLE", idle).Replace(haproxyConfig)
	p.command = []string{need(t, "run `apt-get install haproxy`", "haproxy", "/usr/sbin/haproxy"), "-db", "-f", writeConfig(t, "haproxy.cfg", config)}
	return p
}
