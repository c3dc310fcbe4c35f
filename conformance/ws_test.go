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

// The chapters that need no compression, those that move much data, and those about compression.
var (
	plain    = []string{"1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*", "X.1.*"}
	limits   = []string{"9.*"}
	deflated = []string{"12.*", "13.*", "X.2.*"}
)

// thoroughness says how much of sections 12 and 13 is run.
type thoroughness int

const (
	uncompressed thoroughness = iota
	shortRows
	allRows // but the short ones only where the race detector makes everything slow
)

// run runs the cases in pieces, the bulky ones scaled down as far as a test may take. Patience is for busy machines.
func run(t *testing.T, th thoroughness, test func(t *testing.T, o conformance.Options) (*conformance.Report, error)) {
	parts := []conformance.Options{{Cases: plain}, {Cases: limits, Scale: 16}}
	if th != uncompressed {
		o := conformance.Options{Cases: deflated, Scale: 500}
		if th == shortRows || conformance.RaceEnabled {
			o.Exclude = conformance.LongRows
		}
		parts = append(parts, o)
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
	for name, tt := range map[string]struct {
		handler *ws.Handler
		thoroughness
	}{
		"Serve":                        {&ws.Handler{Serve: echo, Options: options(ws.CompressionOff)}, uncompressed},
		"Serve, compressed":            {&ws.Handler{Serve: echo, Options: options(ws.CompressionTakeover)}, allRows},
		"Serve, compressed separately": {&ws.Handler{Serve: echo, Options: options(ws.CompressionNoTakeover)}, shortRows},
		"Events":                       {&ws.Handler{Events: echoEvents{}, Options: options(ws.CompressionOff)}, uncompressed},
		"Events, compressed":           {&ws.Handler{Events: echoEvents{}, Options: options(ws.CompressionTakeover)}, shortRows},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tt.handler)
			t.Cleanup(server.Close)
			run(t, tt.thoroughness, func(t *testing.T, o conformance.Options) (*conformance.Report, error) {
				return conformance.TestServer(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), o)
			})
		})
	}
}

func TestClient(t *testing.T) {
	for name, tt := range map[string]struct {
		mode ws.CompressionMode
		thoroughness
	}{
		"plain":                 {ws.CompressionOff, uncompressed},
		"compressed":            {ws.CompressionTakeover, allRows},
		"compressed separately": {ws.CompressionNoTakeover, shortRows},
	} {
		o := &ws.DialOptions{ReadLimit: readLimit, MaxFragments: maxFragments, Compression: tt.mode, CompressionThreshold: 1}
		echoTo := func(ctx context.Context, url string) error {
			c, _, err := ws.Dial(ctx, url, o)
			if err != nil {
				return err
			}
			defer c.CloseNow()
			return echo(ctx, c)
		}
		t.Run(name, func(t *testing.T) {
			run(t, tt.thoroughness, func(t *testing.T, o conformance.Options) (*conformance.Report, error) {
				return conformance.TestClient(t.Context(), echoTo, o)
			})
		})
	}
}
