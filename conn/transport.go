package conn

import (
	"context"
	"net"
	"syscall"
	"time"
)

// Transport is the byte stream that a connection stands on: TCP, TLS, an
// in-memory pair, a stream of HTTP/2. Reads and writes may run at the same
// time, one of each; the other methods may be called at any time.
//
// A Transport that also implements syscall.Conn, over a non-blocking socket
// whose bytes are the stream's own, is read and written with system calls.
type Transport interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	// SetReadDeadline and SetWriteDeadline end a blocked call with an error
	// that says Timeout() when t has passed; the zero time clears it and
	// reading, at least, goes on as if nothing had happened.
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	// CloseWrite ends the outgoing stream behind what was written.
	CloseWrite() error
	// Close releases the transport and ends blocked calls. It doesn't block.
	Close() error
}

// NetTransport is nc as a Transport. A *net.TCPConn or *net.UnixConn is read
// and written with system calls. CloseWrite does nothing if nc has no such method.
func NetTransport(nc net.Conn) Transport {
	switch c := nc.(type) {
	case *net.TCPConn:
		return c
	case *net.UnixConn:
		return c
	}
	return netTransport{nc}
}

// EngineTransport is NetTransport for a connection that an Engine will run. Of a
// *net.TCPConn it takes the socket where that is of use: nc is closed then.
func EngineTransport(nc net.Conn) Transport {
	if tcp, ok := nc.(*net.TCPConn); ok {
		if t, ok := ownSocket(tcp); ok {
			return t
		}
	}
	return NetTransport(nc)
}

// addresses are a transport's, if it has any.
type addresses interface {
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}

// fixedAddrs are those of a Config.
type fixedAddrs struct{ local, remote net.Addr }

func (a fixedAddrs) LocalAddr() net.Addr  { return a.local }
func (a fixedAddrs) RemoteAddr() net.Addr { return a.remote }

// netTransport hides any SyscallConn that a wrapper has promoted: its bytes
// may not be the socket's.
type netTransport struct{ nc net.Conn }

func (t netTransport) Read(p []byte) (int, error)         { return t.nc.Read(p) }
func (t netTransport) Write(p []byte) (int, error)        { return t.nc.Write(p) }
func (t netTransport) LocalAddr() net.Addr                { return t.nc.LocalAddr() }
func (t netTransport) RemoteAddr() net.Addr               { return t.nc.RemoteAddr() }
func (t netTransport) SetReadDeadline(d time.Time) error  { return t.nc.SetReadDeadline(d) }
func (t netTransport) SetWriteDeadline(d time.Time) error { return t.nc.SetWriteDeadline(d) }

// Close doesn't wait for anybody. TLS wants to send an alert, for which it has
// five seconds: CloseWrite has done that, where there was time for it.
func (t netTransport) Close() error {
	if c, ok := t.nc.(interface{ NetConn() net.Conn }); ok {
		_ = c.NetConn().Close()
	}
	return t.nc.Close()
}

func (t netTransport) CloseWrite() error {
	if c, ok := t.nc.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// writesCut reports whether a write that a deadline ended halfway leaves the
// stream usable. crypto/tls documents that it does not.
func (t netTransport) writesCut() bool {
	return !t.tls()
}

func (t netTransport) tls() bool {
	_, ok := t.nc.(interface{ HandshakeContext(context.Context) error })
	return ok
}

// beneath returns the TCP connection that TLS stands on, or nil.
func (t netTransport) beneath() *net.TCPConn {
	if c, ok := t.nc.(interface{ NetConn() net.Conn }); ok && t.tls() {
		tcp, _ := c.NetConn().(*net.TCPConn)
		return tcp
	}
	return nil
}

var (
	_ Transport    = (*net.TCPConn)(nil)
	_ syscall.Conn = (*net.TCPConn)(nil)
)
