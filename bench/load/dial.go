//go:build linux

package load

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// stall is how long a server may say nothing before the load gives up, in seconds.
const stall = 20

// A socket is a blocking TCP socket whose reads and writes end after stall. System calls with such a limit aren't restarted
// after a signal, and Go's scheduler sends signals.
type socket int

func (s socket) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(s), p)
		switch {
		case err == unix.EINTR:
			continue
		case n == 0 && err == nil:
			err = io.EOF
		}
		return max(n, 0), err
	}
}

func (s socket) Write(p []byte) (int, error) {
	for done := 0; ; {
		n, err := unix.Write(int(s), p[done:])
		done += max(n, 0)
		if err != nil && err != unix.EINTR || done == len(p) {
			return done, err
		}
	}
}

func (s socket) Close() error { return unix.Close(int(s)) }

// narrow makes a socket for which the kernels at both ends hold little: no more than they have to.
func narrow(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, 536); err != nil {
		return err
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1)
}

// dial connects the i-th socket of a load to addr. One source address has about 28,000 ports, so each 10,000 sockets get the
// next one of 127.0.0.0/8. options are set before it connects.
func dial(addr string, i int, options ...func(fd int) error) (socket, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	n := i / 10000 % (250 * 250)
	from := &unix.SockaddrInet4{Addr: [4]byte{127, 0, byte(1 + n/250), byte(1 + n%250)}}
	wait := unix.Timeval{Sec: stall}
	for _, set := range options {
		if err := set(fd); err != nil {
			unix.Close(fd)
			return 0, fmt.Errorf("dial %s: %w", addr, err)
		}
	}
	for _, step := range []func() error{
		func() error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) },
		func() error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) },
		func() error { return unix.Bind(fd, from) },
		func() error {
			return unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
		},
		func() error { return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait) },
		func() error { return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait) },
	} {
		if err := step(); err != nil {
			unix.Close(fd)
			return 0, fmt.Errorf("dial %s: %w", addr, err)
		}
	}
	return socket(fd), nil
}

const key = "dGhlIHNhbXBsZSBub25jZQ=="

var accept = func() string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}()

// extension is what a server has agreed to of permessage-deflate.
type extension struct {
	on                                 bool
	serverNoTakeover, clientNoTakeover bool
	clientBits                         int
}

// handshake upgrades rw (RFC 6455 4.1) and returns what was agreed.
func handshake(rw io.ReadWriter, spec Spec) (extension, error) {
	if _, err := io.WriteString(rw, request(spec)); err != nil {
		return extension{}, err
	}
	buf := make([]byte, 0, 2048)
	for !bytes.Contains(buf, []byte("\r\n\r\n")) {
		if len(buf) == cap(buf) {
			return extension{}, errors.New("handshake: response header too long")
		}
		n, err := rw.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil {
			return extension{}, fmt.Errorf("handshake: %w after %q", err, buf)
		}
	}
	return checkResponse(string(buf), spec)
}

// awaitPong pings the server and waits for the answer: a server that reads has seen the connection opened.
func awaitPong(rw io.ReadWriter) error {
	want := []byte{0x8a, 0} // without payload: not every library sends that back
	if _, err := rw.Write(appendFrame(nil, 9, false, nil, 0x01020304)); err != nil {
		return err
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(rw, got); err != nil {
		return fmt.Errorf("waiting for a pong: %w", err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%x where a pong was expected", got)
	}
	return nil
}

func request(spec Spec) string {
	offer := ""
	if spec.Deflate {
		offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
		if spec.Window > 0 {
			offer += fmt.Sprintf("=%d; server_max_window_bits=%[1]d", spec.Window)
		}
		if spec.Mixed && !spec.Takeover {
			offer += "; server_no_context_takeover; client_no_context_takeover"
		}
		offer += "\r\n"
	}
	origin := "http://"
	if spec.TLS {
		origin = "https://"
	}
	return "GET / HTTP/1.1\r\nHost: " + spec.Addr + "\r\nOrigin: " + origin + spec.Addr + "\r\nUser-Agent: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n" + offer + "\r\n"
}

func checkResponse(response string, spec Spec) (ext extension, err error) {
	lines := strings.Split(strings.TrimSuffix(response, "\r\n\r\n"), "\r\n")
	if !strings.HasPrefix(lines[0], "HTTP/1.1 101 ") {
		return ext, fmt.Errorf("handshake: %q", lines[0])
	}
	accepted := false
	ext.clientBits = 15
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); strings.ToLower(name) {
		case "sec-websocket-accept":
			accepted = value == accept
		case "sec-websocket-extensions":
			if ext, err = parseExtension(value); err != nil {
				return ext, err
			}
		}
	}
	switch {
	case !accepted:
		return ext, errors.New("handshake: wrong or no Sec-WebSocket-Accept")
	case ext.on != spec.Deflate:
		return ext, fmt.Errorf("handshake: permessage-deflate is %t, want %t", ext.on, spec.Deflate)
	case spec.Mixed && spec.Takeover: // not every library has context takeover
	case ext.on && (ext.serverNoTakeover == spec.Takeover || ext.clientNoTakeover == spec.Takeover):
		return ext, fmt.Errorf("handshake: agreed on %+v, want context takeover %t", ext, spec.Takeover)
	}
	return ext, nil
}

// parseExtension reads the value of Sec-WebSocket-Extensions in a response (RFC 7692 7.1).
func parseExtension(value string) (extension, error) {
	ext := extension{clientBits: 15}
	for i, param := range strings.Split(value, ";") {
		name, arg, _ := strings.Cut(strings.TrimSpace(param), "=")
		switch {
		case i == 0 && name == "permessage-deflate":
			ext.on = true
		case name == "server_no_context_takeover":
			ext.serverNoTakeover = true
		case name == "client_no_context_takeover":
			ext.clientNoTakeover = true
		case name == "server_max_window_bits": // a smaller window is no concern of the reader's
		case name == "client_max_window_bits":
			bits, err := strconv.Atoi(strings.Trim(arg, `"`))
			if err != nil || bits < 8 || bits > 15 {
				return ext, fmt.Errorf("handshake: extension %q", value)
			}
			ext.clientBits = bits
		default:
			return ext, fmt.Errorf("handshake: extension %q", value)
		}
	}
	return ext, nil
}
