package conformance_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conformance"
)

// Section 9 has messages of 16 MiB and of 65,536 fragments.
const (
	readLimit    = 64 << 20
	maxFragments = 100_000
)

// The chapters that need no compression, those about it, and those that move much data.
var (
	plain    = []string{"1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*", "X.1.*"}
	limits   = []string{"9.*"}
	deflated = []string{"12.*", "13.*", "X.2.*"}
)

// run runs the cases in pieces, the bulky ones scaled down as far as a test may take. Patience is for busy machines.
func run(t *testing.T, compressed bool, test func(t *testing.T, o conformance.Options) (*conformance.Report, error)) {
	parts := []conformance.Options{{Cases: plain}, {Cases: limits, Scale: 16}}
	if compressed {
		parts = append(parts, conformance.Options{Cases: deflated, Scale: 500})
	}
	for _, o := range parts {
		o.Agent, o.Patience = "ws", 30
		t.Run(o.Cases[0], func(t *testing.T) {
			t.Parallel()
			report, err := test(t, o)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range report.Blemishes() {
				t.Errorf("%v", r)
			}
			if !report.Complete("ws") {
				t.Error("not all cases were run")
			}
		})
	}
}

func options(c ws.CompressionMode) ws.Options {
	return ws.Options{
		ReadLimit: readLimit, MaxFragments: maxFragments, Compression: c, CompressionThreshold: 1, Logger: slog.New(slog.DiscardHandler),
	}
}

func echo(ctx context.Context, c *ws.Conn) error {
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		if err := c.Write(ctx, m.Type, m.Data); err != nil {
			return err
		}
	}
	return nil
}

type echoEvents struct{}

func (echoEvents) Message(ctx context.Context, c *ws.Conn, m ws.Message) error {
	return c.Write(ctx, m.Type, m.Data)
}

func TestServer(t *testing.T) {
	for name, h := range map[string]*ws.Handler{
		"Serve":                        {Serve: echo, Options: options(ws.CompressionOff)},
		"Events":                       {Events: echoEvents{}, Options: options(ws.CompressionOff)},
		"Serve, compressed":            {Serve: echo, Options: options(ws.CompressionTakeover)},
		"Events, compressed":           {Events: echoEvents{}, Options: options(ws.CompressionTakeover)},
		"Serve, compressed separately": {Serve: echo, Options: options(ws.CompressionNoTakeover)},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(h)
			t.Cleanup(server.Close)
			run(t, h.Options.Compression != ws.CompressionOff, func(t *testing.T, o conformance.Options) (*conformance.Report, error) {
				return conformance.TestServer(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), o)
			})
		})
	}
}

func TestClient(t *testing.T) {
	for name, mode := range map[string]ws.CompressionMode{
		"plain":                 ws.CompressionOff,
		"compressed":            ws.CompressionTakeover,
		"compressed separately": ws.CompressionNoTakeover,
	} {
		o := &ws.DialOptions{ReadLimit: readLimit, MaxFragments: maxFragments, Compression: mode, CompressionThreshold: 1}
		echoTo := func(ctx context.Context, url string) error {
			c, _, err := ws.Dial(ctx, url, o)
			if err != nil {
				return err
			}
			defer c.CloseNow()
			return echo(ctx, c)
		}
		t.Run(name, func(t *testing.T) {
			run(t, mode != ws.CompressionOff, func(t *testing.T, o conformance.Options) (*conformance.Report, error) {
				return conformance.TestClient(t.Context(), echoTo, o)
			})
		})
	}
}
