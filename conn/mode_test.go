package conn_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/wstest"
)

// A mode is a role and the stream that a connection under test stands on.
type mode struct {
	client  bool
	stream  stream
	deflate bool
}

// A stream makes the two ends of one.
type stream struct {
	name  string
	ends  func(t testing.TB) (a, b net.Conn)
	owned bool // what is under test has the socket to itself, as over an Engine
}

func (s stream) transport(nc net.Conn) conn.Transport {
	if s.owned {
		return conn.EngineTransport(nc)
	}
	return conn.NetTransport(nc)
}

var (
	overTCP    = stream{name: "tcp", ends: func(t testing.TB) (a, b net.Conn) { return dialled(t, "tcp", "127.0.0.1:0") }}
	overOwn    = stream{name: "own", ends: overTCP.ends, owned: true}
	overUnix   = stream{name: "unix", ends: func(t testing.TB) (a, b net.Conn) { return dialled(t, "unix", filepath.Join(t.TempDir(), "s")) }}
	overMemory = stream{name: "memory", ends: func(testing.TB) (a, b net.Conn) { return wstest.Pipe() }}
	overTLS    = stream{name: "tls", ends: func(t testing.TB) (a, b net.Conn) { return secured(t, overTCP) }}
)

func (m mode) String() string {
	name := "server"
	if m.client {
		name = "client"
	}
	if name += "-" + m.stream.name; m.deflate {
		name += "-deflate"
	}
	return name
}

// run runs f for both roles over every kind of stream.
func run(t *testing.T, f func(t *testing.T, m mode)) {
	for _, s := range []stream{overTCP, overOwn, overTLS, overUnix, overMemory} {
		runOver(t, s, f)
	}
}

func runOver(t *testing.T, s stream, f func(t *testing.T, m mode)) {
	for _, client := range []bool{false, true} {
		m := mode{client: client, stream: s}
		t.Run(m.String(), func(t *testing.T) { f(t, m) })
	}
}

// runAll is run, and with compression.
func runAll(t *testing.T, f func(t *testing.T, m mode)) {
	run(t, f)
	for _, client := range []bool{false, true} {
		m := mode{client: client, stream: overTCP, deflate: true}
		t.Run(m.String(), func(t *testing.T) { f(t, m) })
	}
}

// pair returns a connection of the mode's role and its peer.
func (m mode) pair(t testing.TB, cfg, peerCfg conn.Config) (c, peer *conn.Conn) {
	t.Helper()
	a, b := m.stream.ends(t)
	cfg.Client, peerCfg.Client = m.client, !m.client
	if m.deflate {
		agreed := conn.Compression{ServerMaxWindowBits: 15, ClientMaxWindowBits: 12}
		cfg.Compression, peerCfg.Compression = agreed, agreed
	}
	c, peer = conn.New(m.stream.transport(a), cfg), conn.New(conn.NetTransport(b), peerCfg)
	t.Cleanup(func() { c.CloseNow(); peer.CloseNow() })
	return c, peer
}

// raw returns a connection of the mode's role, and a peer that speaks frames by hand.
func (m mode) raw(t testing.TB, cfg conn.Config) (*conn.Conn, *rawPeer) {
	t.Helper()
	a, b := m.stream.ends(t)
	cfg.Client = m.client
	c := conn.New(m.stream.transport(a), cfg)
	t.Cleanup(func() { c.CloseNow(); b.Close() })
	return c, newRawPeer(t, b, !m.client)
}

func dialled(t testing.TB, network, addr string) (a, b net.Conn) {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if b, err = net.Dial(network, ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if a, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// secured is TLS over another kind of stream.
func secured(t testing.TB, s stream) (net.Conn, net.Conn) {
	t.Helper()
	a, b := s.ends(t)
	server := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{certificate()}})
	client := tls.Client(b, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return server, client
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// patience is far more time than anything here takes.
const patience = 20 * time.Second

// soon is the test's context with an end: for what must not hang.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// start runs f in a goroutine and returns its result to come.
func start[T any](f func() T) <-chan T {
	c := make(chan T, 1)
	go func() { c <- f() }()
	return c
}

// result waits for what start returned.
func result[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("still not done")
		panic("unreachable")
	}
}
