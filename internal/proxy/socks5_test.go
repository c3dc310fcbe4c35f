package proxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/tidewire/ws/internal/proxy"
)

// socksProxy is an honest SOCKS5 proxy. It connects to target whatever it is asked for.
type socksProxy struct {
	user, password string // "": no authentication
	target         string
	asked          chan []byte // the request's address and port as they came
}

func (p *socksProxy) handle(c net.Conn) {
	if !p.admit(c) {
		return
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head); err != nil || !bytes.Equal(head[:3], []byte{5, 1, 0}) {
		return
	}
	addr := readAddress(c, head[3])
	if p.asked != nil {
		p.asked <- append(head[3:], addr...)
	}
	to := p.target
	if to == "" { // an IPv4 address
		to = net.JoinHostPort(net.IP(addr[:4]).String(), portText(addr[4:]))
	}
	c.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 80})
	relay(c, c, to)
}

// admit is the negotiation and RFC 1929.
func (p *socksProxy) admit(c net.Conn) bool {
	head := make([]byte, 2)
	if _, err := io.ReadFull(c, head); err != nil || head[0] != 5 {
		return false
	}
	methods := make([]byte, head[1])
	io.ReadFull(c, methods)
	if p.user == "" {
		c.Write([]byte{5, 0})
		return bytes.IndexByte(methods, 0) >= 0
	}
	if bytes.IndexByte(methods, 2) < 0 {
		c.Write([]byte{5, 0xff})
		return false
	}
	c.Write([]byte{5, 2})
	want := "\x01" + string(rune(len(p.user))) + p.user + string(rune(len(p.password))) + p.password
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		c.Write([]byte{1, 1})
		return false
	}
	c.Write([]byte{1, 0})
	return true
}

func readAddress(c net.Conn, kind byte) []byte {
	n := map[byte]int{1: 4, 4: 16}[kind]
	var addr []byte
	if kind == 3 {
		addr = make([]byte, 1)
		io.ReadFull(c, addr)
		n = int(addr[0])
	}
	rest := make([]byte, n+2)
	io.ReadFull(c, rest)
	return append(addr, rest...)
}

func portText(b []byte) string {
	_, port, _ := net.SplitHostPort((&net.TCPAddr{Port: int(b[0])<<8 | int(b[1])}).String())
	return port
}

func TestSocks5(t *testing.T) {
	long := strings.Repeat("x", 255)
	tests := []struct{ name, scheme, user, addr, asked string }{
		{"name", "socks5", "", "example.com:8080", "\x03\x0bexample.com\x1f\x90"},
		{"name with socks5h", "socks5h", "", "example.com:443", "\x03\x0bexample.com\x01\xbb"},
		{"longest name", "socks5", "", long + ":1", "\x03\xff" + long + "\x00\x01"},
		{"IPv4", "socks5", "", "192.0.2.1:80", "\x01\xc0\x00\x02\x01\x00\x50"},
		{"IPv6", "socks5", "", "[2001:db8::1]:80", "\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50"},
		{"password", "socks5", "me:s%3Aecret@", "192.0.2.1:80", "\x01\xc0\x00\x02\x01\x00\x50"},
		{"no password", "socks5", "me@", "192.0.2.1:80", "\x01\xc0\x00\x02\x01\x00\x50"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &socksProxy{target: listen(t, echo), asked: make(chan []byte, 1)}
			if tt.user != "" {
				u, err := url.Parse("//" + tt.user + "h")
				if err != nil {
					t.Fatal(err)
				}
				p.user = u.User.Username()
				p.password, _ = u.User.Password()
			}
			c, err := dial(t, t.Context(), proxy.Dialer{}, tt.scheme+"://"+tt.user+listen(t, p.handle), tt.addr)
			if err != nil {
				t.Fatal(err)
			}
			if asked := string(<-p.asked); asked != tt.asked {
				t.Errorf("asked for %q, want %q", asked, tt.asked)
			}
			checkTunnel(t, c)
		})
	}
}

// TestSocks5NoPasswordNeeded has a password ready for a proxy that does not ask for it.
func TestSocks5NoPasswordNeeded(t *testing.T) {
	c, err := dial(t, t.Context(), proxy.Dialer{}, "socks5://me:secret@"+listen(t, (&socksProxy{}).handle), listen(t, echo))
	if err != nil {
		t.Fatal(err)
	}
	checkTunnel(t, c)
}

func TestSocks5WrongPassword(t *testing.T) {
	addr := listen(t, (&socksProxy{user: "me", password: "right1"}).handle)
	_, err := dial(t, t.Context(), proxy.Dialer{}, "socks5://me:secret@"+addr, "example.com:80")
	checkError(t, err, "refused user name and password", addr)
}

// turns answers each message of the client with the next text, and closes behind the last.
func turns(answers ...string) func(net.Conn) {
	return func(c net.Conn) {
		for _, a := range answers {
			if _, err := c.Read(make([]byte, 1024)); err != nil {
				return
			}
			io.WriteString(c, a)
		}
	}
}

func TestSocks5Misbehaves(t *testing.T) {
	const user = "me:secret@"
	tests := []struct {
		name, user string
		answers    []string
		err        string
	}{
		{"version 4", "", []string{"\x04\x00"}, "speaks SOCKS version 4"},
		{"HTTP", "", []string{"HTTP/1.1 400 Bad Request"}, "speaks SOCKS version 72"},
		{"wants a password", "", []string{"\x05\xff"}, "put user:password@ into its URL"},
		{"wants another way", user, []string{"\x05\xff"}, "accepts no authentication by password"},
		{"chose what was not offered", "", []string{"\x05\x02"}, "method 2, which was not offered"},
		{"chose GSSAPI", user, []string{"\x05\x01"}, "method 1, which was not offered"},
		{"version of authentication", user, []string{"\x05\x02", "\x05\x00"}, "version 5 of password authentication"},
		{"version of the reply", "", []string{"\x05\x00", "\x04\x00\x00\x01\x00"}, "answers in SOCKS version 4"},
		{"refused", "", []string{"\x05\x00", "\x05\x05\x00\x01"}, "can't connect to example.com:80: connection refused"},
		{"not allowed", "", []string{"\x05\x00", "\x05\x02\x00\x01"}, "not allowed by its rules"},
		{"last known failure", "", []string{"\x05\x00", "\x05\x08\x00\x01"}, "address type not supported"},
		{"unknown failure", "", []string{"\x05\x00", "\x05\x09\x00\x01"}, "unknown failure 9"},
		{"address type", "", []string{"\x05\x00", "\x05\x00\x00\x02\x00"}, "address of unknown type 2"},
		{"closes at once", "", nil, "closed"},
		{"closes in the greeting", "", []string{"\x05"}, "in the middle of the SOCKS5 handshake"},
		{"closes in the authentication", user, []string{"\x05\x02", "\x01"}, "in the middle of the SOCKS5 handshake"},
		{"closes before the reply", "", []string{"\x05\x00", ""}, "in the middle of the SOCKS5 handshake"},
		{"closes in the reply", "", []string{"\x05\x00", "\x05\x00\x00\x01"}, "in the middle of the SOCKS5 handshake"},
		{"closes in the address", "", []string{"\x05\x00", "\x05\x00\x00\x04\x00\x00"}, "in the middle of the SOCKS5 handshake"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := listen(t, turns(tt.answers...))
			_, err := dial(t, t.Context(), proxy.Dialer{}, "socks5://"+tt.user+addr, "example.com:80")
			if tt.name == "closes at once" { // a reset or an end, as the kernels see fit
				if err == nil || errors.Is(err, net.ErrClosed) {
					t.Errorf("got %v", err)
				}
				return
			}
			checkError(t, err, tt.err, addr)
		})
	}
}

// TestSocks5ReadsNoFurther sends the tunnel's first bytes right behind replies of every form of address.
func TestSocks5ReadsNoFurther(t *testing.T) {
	for name, address := range map[string]string{
		"IPv4":       "\x01\x7f\x00\x00\x01\x00\x50",
		"IPv6":       "\x04" + strings.Repeat("\x00", 16) + "\x00\x50",
		"name":       "\x03\x05local\x00\x50",
		"empty name": "\x03\x00\x00\x50",
	} {
		t.Run(name, func(t *testing.T) {
			addr := listen(t, turns("\x05\x00", "\x05\x00\x00"+address+"early"))
			c, err := dial(t, t.Context(), proxy.Dialer{}, "socks5://"+addr, "example.com:80")
			if err != nil {
				t.Fatal(err)
			}
			if got := receive(t, c, 5); got != "early" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestSocks5LengthsThatDoNotFit(t *testing.T) {
	long := strings.Repeat("x", 256)
	tests := []struct {
		name, user, addr string
		answers          []string
		err              string
	}{
		{"host", "", long + ":80", []string{"\x05\x00"}, "host name of 256 bytes"},
		{"no host", "", ":80", []string{"\x05\x00"}, "host name of 0 bytes"},
		{"user", long + "@", "h:80", []string{"\x05\x02"}, "1 to 255 bytes"},
		{"no user", ":secret@", "h:80", []string{"\x05\x02"}, "1 to 255 bytes"},
		{"password", "me:" + long + "@", "h:80", []string{"\x05\x02"}, "at most 255"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := listen(t, turns(tt.answers...))
			_, err := dial(t, t.Context(), proxy.Dialer{}, "socks5://"+tt.user+addr, tt.addr)
			checkError(t, err, tt.err, addr)
		})
	}
}
