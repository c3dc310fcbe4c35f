package interop

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/internal/deflate/traffic"
)

// A negotiation is what the two ends are set to, and what comes of it.
type negotiation struct {
	ours   ws.CompressionMode
	bits   int // ours; 0: the default
	theirs setting
	window int // agreed on for both directions; 0: whatever
}

// negotiations are all modes, with the windows as they come, limited by us, and limited by the peer.
func negotiations() (all []negotiation) {
	both := setting{ServerTakeover: true, ClientTakeover: true}
	modes := func(ours ws.CompressionMode, theirs setting, windows ...int) {
		all = append(all, negotiation{ours: ours, theirs: theirs})
		for _, bits := range windows {
			limited := theirs
			limited.Bits = bits
			all = append(all, negotiation{ours, bits, theirs, bits}, negotiation{ours, 15, limited, bits})
		}
	}
	modes(ws.CompressionTakeover, both, 8, 9, 10, 11, 12, 13, 14, 15)
	modes(ws.CompressionTakeover, setting{ServerTakeover: true})
	modes(ws.CompressionTakeover, setting{ClientTakeover: true})
	modes(ws.CompressionTakeover, setting{}, 9, 12)
	modes(ws.CompressionNoTakeover, both, 9, 12)
	return all
}

func (n negotiation) String() string {
	ours := map[ws.CompressionMode]string{ws.CompressionNoTakeover: "none", ws.CompressionTakeover: "both"}[n.ours]
	theirs := map[setting]string{
		{}: "none", {ServerTakeover: true}: "server", {ClientTakeover: true}: "client", {ServerTakeover: true, ClientTakeover: true}: "both",
	}[setting{n.theirs.ServerTakeover, n.theirs.ClientTakeover, 0}]
	return fmt.Sprintf("takeover=%s,%s/bits=%d,%d", ours, theirs, n.bits, n.theirs.Bits)
}

// suits reports whether a peer can be set so. Of peers that don't do as they are asked
// nothing is asked.
func (n negotiation) suits(p compressor) bool {
	asked := n.bits != 0 && n.theirs.Bits == 0
	if p.least == 0 && asked || n.window != 0 && n.window < p.least {
		return false
	}
	return p.can(n.theirs)
}

// TestCompression: every peer, in every way that it can compress, as a server and as a client.
func TestCompression(t *testing.T) {
	for _, p := range compressors {
		t.Run(p.name, func(t *testing.T) {
			server, client := p.begin(t)
			for _, n := range negotiations() {
				if !n.suits(p) {
					continue
				}
				if server != nil {
					t.Run("server/"+n.String(), func(t *testing.T) { n.run(t, dialMetered(t, server(n.theirs), n)) })
				}
				t.Run("client/"+n.String(), func(t *testing.T) {
					url, accepted := serveMetered(t, n)
					client(url, n.theirs)
					n.run(t, <-accepted)
				})
			}
		})
	}
}

// run talks over a connection whose peer echoes.
func (n negotiation) run(t *testing.T, c *meteredConn) {
	n.wantAgreed(t, c.Compression())
	talk(t, c)
	first, again := c.twice(t)
	n.wantSaved(t, "server", n.theirs.ServerTakeover, first.server, again.server)
	n.wantSaved(t, "client", n.theirs.ClientTakeover, first.client, again.client)
	if err := c.Close(t.Context(), ws.StatusNormal, ""); err != nil {
		t.Error(err)
	}
}

func (n negotiation) wantAgreed(t *testing.T, got conn.Compression) {
	t.Helper()
	takeover := n.ours == ws.CompressionTakeover
	want := conn.Compression{
		ServerNoContextTakeover: !takeover || !n.theirs.ServerTakeover,
		ClientNoContextTakeover: !takeover || !n.theirs.ClientTakeover,
		ServerMaxWindowBits:     cmp.Or(n.window, got.ServerMaxWindowBits),
		ClientMaxWindowBits:     cmp.Or(n.window, got.ClientMaxWindowBits),
	}
	if !got.Enabled() || got != want {
		t.Fatalf("agreed on %+v, want %+v", got, want)
	}
}

// wantSaved wants a repeated text to be short on the wire if, and only if, messages may refer to earlier ones.
func (n negotiation) wantSaved(t *testing.T, end string, takeover bool, first, again int64) {
	t.Helper()
	takeover = takeover && n.ours == ws.CompressionTakeover
	if saved := again < first/2; saved != takeover {
		t.Errorf("the %s sent a text in %d bytes, and again in %d: context takeover %t", end, first, again, takeover)
	}
}

// A way to send a text.
type way func(ctx context.Context, c *ws.Conn, kind ws.MessageType, text []byte) error

var ways = []way{whole, plain, prepared, streamed}

func whole(ctx context.Context, c *ws.Conn, kind ws.MessageType, text []byte) error {
	return c.Write(ctx, kind, text)
}

// plain: a message that isn't compressed is no part of the window (RFC 7692 7.2.3.2).
func plain(ctx context.Context, c *ws.Conn, kind ws.MessageType, text []byte) error {
	return c.WriteMessage(ctx, ws.Message{Type: kind, Data: text, NoCompress: true})
}

// prepared: a message that is compressed for itself is part of it.
func prepared(ctx context.Context, c *ws.Conn, kind ws.MessageType, text []byte) error {
	p, err := ws.NewPrepared(ws.Message{Type: kind, Data: text})
	if err != nil {
		return err
	}
	return c.WritePrepared(ctx, p)
}

func streamed(ctx context.Context, c *ws.Conn, kind ws.MessageType, text []byte) error {
	w, err := c.Writer(ctx, kind)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(text, 1000) {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return w.Close()
}

// A saying is a message and how it's sent.
type saying struct {
	kind ws.MessageType
	text []byte
	send way
}

// sayings are texts of each size in all ways, one after the other, and then two that take several frames.
var sayings = sync.OnceValue(func() (all []saying) {
	for i, size := range []int{128, 1 << 10, 300, 0, 2 << 10, 50, 16 << 10, 128, 512, 40 << 10, 300} {
		for k, text := range traffic.Messages(uint64(i), size, len(ways)) {
			all = append(all, saying{kind: [...]ws.MessageType{ws.Text, ws.Binary}[i%2], text: text[:size], send: ways[k]})
		}
	}
	long := traffic.Messages(100, 1<<20, 2)
	return append(all, saying{ws.Text, long[0], whole}, saying{ws.Text, long[1], streamed})
})

// talk says all of it without waiting, and wants it back.
func talk(t *testing.T, c *meteredConn) {
	before, total := c.wire(), int64(0)
	sent := make(chan error, 1)
	go func() {
		for i, s := range sayings() {
			if err := s.send(t.Context(), c.Conn, s.kind, s.text); err != nil {
				sent <- fmt.Errorf("message %d: %w", i, err)
				return
			}
		}
		sent <- nil
	}()
	for _, s := range sayings() {
		wantMessage(t, c.Conn, s.kind, s.text)
		total += int64(len(s.text))
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	after := c.wire()
	for end, n := range map[string]int64{"server": after.server - before.server, "client": after.client - before.client} {
		if n > total*3/4 {
			t.Errorf("the %s sent %d bytes of text in %d bytes", end, total, n)
		}
	}
}

// twice has a text echoed two times, and returns what each end sent. It is short: with a
// window of 512 bytes zlib refers back by 250 at most.
func (c *meteredConn) twice(t *testing.T) (first, again wire) {
	text := traffic.Messages(300, 200, 1)[0][:200]
	echo := func() wire {
		before := c.wire()
		write(t, c.Conn, ws.Text, text)
		wantMessage(t, c.Conn, ws.Text, text)
		after := c.wire()
		return wire{after.server - before.server, after.client - before.client}
	}
	return echo(), echo()
}

// wire is how many bytes each end has sent.
type wire struct{ server, client int64 }

// A meteredConn is an end of ours that knows what goes over the wire.
type meteredConn struct {
	*ws.Conn
	*meter
	client bool
}

func (c *meteredConn) wire() wire {
	if c.client {
		return wire{server: c.in.Load(), client: c.out.Load()}
	}
	return wire{server: c.out.Load(), client: c.in.Load()}
}

// A meter counts what is read and written.
type meter struct {
	net.Conn
	in, out atomic.Int64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.in.Add(int64(n))
	return n, err
}

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	m.out.Add(int64(n))
	return n, err
}

func dialMetered(t *testing.T, url string, n negotiation) *meteredConn {
	t.Helper()
	m := &meteredConn{client: true}
	c, _, err := ws.Dial(t.Context(), url, &ws.DialOptions{
		Compression:           n.ours,
		CompressionWindowBits: n.bits,
		ReadLimit:             4 << 20,
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			var d net.Dialer
			nc, err := d.DialContext(ctx, network, addr)
			m.meter = &meter{Conn: nc}
			return m.meter, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	m.Conn = c
	return m
}

// serveMetered serves connections at /echo, which the test gets, and a page at /page from which to come.
func serveMetered(t *testing.T, n negotiation) (url string, accepted <-chan *meteredConn) {
	t.Helper()
	conns := make(chan *meteredConn, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>interop</title>")
	})
	mux.Handle("/echo", &ws.Handler{
		Options: ws.Options{Compression: n.ours, CompressionWindowBits: n.bits, ReadLimit: 4 << 20},
		Serve: func(ctx context.Context, c *ws.Conn) error {
			conns <- &meteredConn{Conn: c, meter: ctx.Value(meterKey{}).(*meter)}
			<-ctx.Done()
			return nil
		},
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: mux, ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, meterKey{}, c)
	}}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(meteredListener{ln}) // ends with Close
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-served
	})
	return "ws://" + ln.Addr().String() + "/echo", conns
}

type meterKey struct{}

type meteredListener struct{ net.Listener }

func (l meteredListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &meter{Conn: c}, nil
}
