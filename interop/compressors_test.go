package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
)

// A setting is what a peer is told to negotiate for.
type setting struct {
	ServerTakeover bool `json:"serverTakeover"`
	ClientTakeover bool `json:"clientTakeover"`
	Bits           int  `json:"bits"` // of both windows; 0: as the peer likes
}

// A compressor is a peer that echoes, compressing all that it sends.
type compressor struct {
	name  string
	can   func(setting) bool // whether it can be set so
	least int                // the smallest window that it keeps to, in both roles, where it's asked to; 0: it isn't to be asked
	// begin prepares for a test, and returns how to start a server or a client,
	// of which a peer may have only one.
	begin func(t *testing.T) (server func(setting) (url string), client func(url string, s setting))
}

var compressors = []compressor{
	{"node", anything, 8, func(t *testing.T) (func(setting) string, func(string, setting)) {
		return byLines(start(t, node(t), "peers/compression.mjs"))
	}},
	{"python", anything, 9, func(t *testing.T) (func(setting) string, func(string, setting)) {
		return byLines(start(t, python(t), "peers/compression.py"))
	}},
	{"chromium", asBrowsersDo, 8, func(t *testing.T) (func(setting) string, func(string, setting)) {
		_, client := byLines(start(t, node(t), "peers/compression-browser.mjs", chromium(t)))
		return nil, client
	}},
	{"gorilla", neverTakingOver, 0, onGo(gorillaServer, gorillaClient)},
	{"coder", withoutBits, 0, onGo(coderServer, coderClient)},
	{"gws", anything, 0, onGo(gwsServer, gwsClient)},
}

func anything(setting) bool          { return true }
func asBrowsersDo(s setting) bool    { return s == setting{ServerTakeover: true, ClientTakeover: true} }
func neverTakingOver(s setting) bool { return s == setting{} }
func withoutBits(s setting) bool     { return s.Bits == 0 && s.ServerTakeover == s.ClientTakeover }

// byLines has a process start servers and clients (see peers/compression.mjs).
func byLines(p *process) (server func(setting) string, client func(string, setting)) {
	tell := func(v any) {
		p.Helper()
		if err := json.NewEncoder(p.stdin).Encode(v); err != nil {
			p.Fatal(err)
		}
	}
	server = func(s setting) string {
		tell(s)
		return "ws://127.0.0.1:" + p.says()
	}
	client = func(url string, s setting) {
		tell(struct {
			URL string `json:"url"`
			setting
		}{url, s})
	}
	return server, client
}

// onGo makes a compressor's begin of a handler and a client that run in this process.
func onGo(handler func(setting) http.HandlerFunc, client func(ctx context.Context, url string, s setting) error) func(*testing.T) (
	func(setting) string, func(string, setting)) {
	return func(t *testing.T) (func(setting) string, func(string, setting)) {
		serve := func(s setting) string {
			srv := httptest.NewServer(handler(s))
			t.Cleanup(srv.Close)
			return "ws" + strings.TrimPrefix(srv.URL, "http")
		}
		connect := func(url string, s setting) {
			ended := make(chan error, 1)
			go func() { ended <- client(t.Context(), url, s) }()
			t.Cleanup(func() {
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		}
		return serve, connect
	}
}

// gorilla/websocket: no context takeover, and no window bits.

func gorillaServer(setting) http.HandlerFunc {
	up := gorilla.Upgrader{EnableCompression: true}
	return func(w http.ResponseWriter, r *http.Request) {
		if c, err := up.Upgrade(w, r, nil); err == nil {
			gorillaEcho(c)
		}
	}
}

func gorillaClient(ctx context.Context, url string, _ setting) error {
	dialer := gorilla.Dialer{EnableCompression: true}
	c, _, err := dialer.DialContext(ctx, url, nil)
	if err == nil {
		gorillaEcho(c)
	}
	return err
}

func gorillaEcho(c *gorilla.Conn) {
	defer c.Close()
	for {
		kind, p, err := c.ReadMessage()
		if err != nil || c.WriteMessage(kind, p) != nil {
			return
		}
	}
}

// coder/websocket: context takeover in both directions or in neither, and no window bits.

func coderMode(s setting) coder.CompressionMode {
	if s.ServerTakeover {
		return coder.CompressionContextTakeover
	}
	return coder.CompressionNoContextTakeover
}

func coderServer(s setting) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := coder.Accept(w, r, &coder.AcceptOptions{CompressionMode: coderMode(s), CompressionThreshold: 1})
		if err == nil {
			coderEcho(r.Context(), c)
		}
	}
}

func coderClient(ctx context.Context, url string, s setting) error {
	c, _, err := coder.Dial(ctx, url, &coder.DialOptions{CompressionMode: coderMode(s), CompressionThreshold: 1})
	if err == nil {
		coderEcho(context.WithoutCancel(ctx), c)
	}
	return err
}

func coderEcho(ctx context.Context, c *coder.Conn) {
	defer c.CloseNow()
	c.SetReadLimit(-1)
	for {
		kind, p, err := c.Read(ctx)
		if err != nil || c.Write(ctx, kind, p) != nil {
			return
		}
	}
}

// lxzan/gws: context takeover in each direction, and windows of its own choice, whatever it's asked for.

func gwsDeflate(s setting) gws.PermessageDeflate {
	return gws.PermessageDeflate{
		Enabled: true, Threshold: 1,
		ServerContextTakeover: s.ServerTakeover, ServerMaxWindowBits: s.Bits,
		ClientContextTakeover: s.ClientTakeover, ClientMaxWindowBits: s.Bits,
	}
}

type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	_ = c.WriteMessage(m.Opcode, m.Bytes()) // its failure ends the connection
}

func gwsServer(s setting) http.HandlerFunc {
	up := gws.NewUpgrader(gwsEcho{}, &gws.ServerOption{PermessageDeflate: gwsDeflate(s)})
	return func(w http.ResponseWriter, r *http.Request) {
		if c, err := up.Upgrade(w, r); err == nil {
			c.ReadLoop()
		}
	}
}

func gwsClient(_ context.Context, url string, s setting) error {
	c, _, err := gws.NewClient(gwsEcho{}, &gws.ClientOption{Addr: url, PermessageDeflate: gwsDeflate(s)})
	if err != nil {
		return errors.Join(fmt.Errorf("gws, %+v", s), err)
	}
	c.ReadLoop()
	return nil
}
