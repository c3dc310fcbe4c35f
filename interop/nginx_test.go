package interop

import (
	"net"
	"strings"
	"testing"
	"time"
)

// What a proxy has to do for websockets: speak HTTP/1.1, pass on the upgrade,
// and tell the server its own name, against which origins are checked.
const nginxConfig = `
daemon off;
master_process off;
pid DIR/pid;
error_log stderr;
events { worker_connections 100; }
http {
	access_log off;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	server {
		listen PLAIN;
		listen SECURE ssl;
		ssl_certificate CERT;
		ssl_certificate_key KEY;
		location / {
			proxy_pass http://BACKEND;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection "upgrade";
			proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_read_timeout IDLE;
			proxy_send_timeout IDLE;
		}
	}
}
`

// startNginx proxies to a host and port from two others, without and with TLS.
func startNginx(t *testing.T, cert certificate, backend string) (plain, secure string) {
	t.Helper()
	p := newNginx(t, cert, backend, "60s")
	p.start(t)
	return p.plain, p.secure
}

// newNginx is a proxy that ends what is silent for a time.
func newNginx(t *testing.T, cert certificate, backend, idle string) *proxy {
	t.Helper()
	p := &proxy{plain: freeAddress(t), secure: freeAddress(t)}
	dir := t.TempDir()
	config := strings.NewReplacer("DIR", dir, "PLAIN", p.plain, "SECURE", p.secure,
		"CERT", cert.certFile, "KEY", cert.keyFile, "BACKEND", backend, "IDLE", idle).Replace(nginxConfig)
	path := writeConfig(t, "nginx.conf", config)
	p.command = []string{need(t, "run `apt-get install nginx`", "nginx", "/usr/sbin/nginx"), "-p", dir, "-c", path}
	return p
}

// freeAddress returns an address that nobody listens on just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// waitListening waits until p, which can't say so, can be connected to.
func waitListening(p *process, addr string) {
	p.Helper()
	try := time.NewTicker(20 * time.Millisecond)
	defer try.Stop()
	late := time.After(patience)
	for {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-try.C:
		case <-p.ended:
			p.Fatalf("%s has ended: %v\n%s", p.name, p.err, p.stderr.String())
		case <-late:
			p.Fatalf("%s does not listen on %s", p.name, addr)
		}
	}
}
