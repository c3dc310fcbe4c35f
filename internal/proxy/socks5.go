package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
)

// The numbers of RFC 1928 and RFC 1929.
const (
	socksVersion = 5
	authVersion  = 1

	methodNone     = 0
	methodPassword = 2
	methodRefused  = 0xff

	commandConnect = 1

	addrIPv4 = 1
	addrName = 3
	addrIPv6 = 4
)

// replies are the failures of RFC 1928 section 6, by their code.
var replies = [...]string{
	1: "general failure",
	2: "connection not allowed by its rules",
	3: "network unreachable",
	4: "host unreachable",
	5: "connection refused",
	6: "TTL expired",
	7: "command not supported",
	8: "address type not supported",
}

// socks5 asks a SOCKS5 proxy for a tunnel. Every answer has a known length, so nothing is read that is the tunnel's.
func socks5(c net.Conn, user *url.Userinfo, to target) (net.Conn, error) {
	method, err := negotiate(c, user)
	if err != nil {
		return nil, err
	}
	if method == methodPassword {
		if err := authenticate(c, user); err != nil {
			return nil, err
		}
	}
	request, err := appendRequest(nil, to)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	return c, readReply(c, to)
}

// negotiate settles how to authenticate: not at all, or by password if there is one.
func negotiate(c net.Conn, user *url.Userinfo) (method byte, err error) {
	greeting := []byte{socksVersion, 1, methodNone}
	if user != nil {
		greeting = []byte{socksVersion, 2, methodNone, methodPassword}
	}
	var answer [2]byte
	if err := ask(c, greeting, answer[:]); err != nil {
		return 0, err
	}
	switch method = answer[1]; {
	case answer[0] != socksVersion:
		return 0, fmt.Errorf("speaks SOCKS version %d, not 5", answer[0])
	case method == methodRefused && user == nil:
		return 0, errors.New("wants authentication: put user:password@ into its URL")
	case method == methodRefused:
		return 0, errors.New("accepts no authentication by password")
	case method != methodNone && (method != methodPassword || user == nil):
		return 0, fmt.Errorf("chose authentication method %d, which was not offered", method)
	}
	return method, nil
}

// authenticate is RFC 1929.
func authenticate(c net.Conn, user *url.Userinfo) error {
	name := user.Username()
	password, _ := user.Password()
	if name == "" || len(name) > 255 || len(password) > 255 {
		return errors.New("user name must have 1 to 255 bytes, password at most 255 (RFC 1929)")
	}
	b := append([]byte{authVersion, byte(len(name))}, name...)
	b = append(append(b, byte(len(password))), password...)
	var answer [2]byte
	if err := ask(c, b, answer[:]); err != nil {
		return err
	}
	if answer[0] != authVersion {
		return fmt.Errorf("speaks version %d of password authentication, not 1", answer[0])
	}
	if answer[1] != 0 {
		return errors.New("refused user name and password")
	}
	return nil
}

func appendRequest(b []byte, to target) ([]byte, error) {
	b = append(b, socksVersion, commandConnect, 0)
	switch addr, err := netip.ParseAddr(to.host); {
	case err != nil && (to.host == "" || len(to.host) > 255):
		return nil, fmt.Errorf("host name of %d bytes: SOCKS5 takes 1 to 255", len(to.host))
	case err != nil:
		b = append(b, addrName, byte(len(to.host)))
		b = append(b, to.host...)
	case addr.Is4():
		b = append(b, addrIPv4)
		b = append(b, addr.AsSlice()...)
	default:
		b = append(b, addrIPv6)
		b = append(b, addr.AsSlice()...)
	}
	return append(b, byte(to.port>>8), byte(to.port)), nil
}

// readReply reads the answer to the request, with the proxy's own address in it, which is of no interest.
func readReply(c net.Conn, to target) error {
	var head [5]byte // up to the first byte of the address, which tells the length of one that is a name
	if err := receive(c, head[:4]); err != nil {
		return err
	}
	if head[0] != socksVersion {
		return fmt.Errorf("answers in SOCKS version %d, not 5", head[0])
	}
	if code := int(head[1]); code != 0 {
		text := fmt.Sprintf("unknown failure %d", code)
		if code < len(replies) {
			text = replies[code]
		}
		return fmt.Errorf("can't connect to %s: %s", to.addr, text)
	}
	if err := receive(c, head[4:]); err != nil {
		return err
	}
	rest, err := restOfAddress(head[3], head[4])
	if err != nil {
		return err
	}
	return receive(c, make([]byte, rest))
}

// restOfAddress returns the bytes of an address and its port behind the address's first byte.
func restOfAddress(kind, first byte) (int, error) {
	switch kind {
	case addrIPv4:
		return 4 - 1 + 2, nil
	case addrName:
		return int(first) + 2, nil
	case addrIPv6:
		return 16 - 1 + 2, nil
	}
	return 0, fmt.Errorf("answers with an address of unknown type %d", kind)
}

// ask sends a message and receives an answer of known length.
func ask(c net.Conn, message, answer []byte) error {
	if _, err := c.Write(message); err != nil {
		return err
	}
	return receive(c, answer)
}

func receive(c net.Conn, p []byte) error {
	_, err := io.ReadFull(c, p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("closed the connection in the middle of the SOCKS5 handshake: %w", io.ErrUnexpectedEOF)
	}
	return err
}
