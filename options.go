package ws

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/conn"
	"github.com/tidewire/ws/internal/deflate"
	"github.com/tidewire/ws/internal/handshake"
)

// Options are the settings of a server's connections. The zero value is safe and
// useful. In every limit and duration 0 means the default and a negative value
// no limit.
type Options struct {
	// Subprotocols that the server speaks, the preferred first. The first one
	// that the client offers is chosen.
	Subprotocols []string

	// Origins that may connect beside the server's own: "https://app.example.com",
	// "http://localhost:5173", or with a star for one label "https://*.example.com".
	// The server's own origin is the Host header's host and port, each side
	// defaulted with the Origin's scheme.
	Origins []string

	// InsecureSkipOrigin lets every web page connect with its visitors' cookies.
	// It is for servers that use no ambient credentials at all.
	InsecureSkipOrigin bool

	// Header is sent with the 101 response.
	Header http.Header

	// Compression is how far permessage-deflate (RFC 7692) goes with clients
	// that offer it; default CompressionOff. Compressing secrets together with
	// text that an attacker can choose gives them away (CRIME, BREACH): see
	// Message.NoCompress.
	Compression CompressionMode
	// CompressionThreshold is the shortest message that is compressed, in bytes; default 128.
	CompressionThreshold int
	// CompressionLevel is 1, the default, to 9; more than 1 costs several times
	// the time for a few percent.
	CompressionLevel int
	// CompressionWindowBits bounds the windows of both ends to 1<<bits bytes, 8
	// to 15; default 15 for what is sent and 13 for what is received. With
	// CompressionTakeover a connection keeps the client's window, and up to
	// 20 KiB for its own messages while it is active.
	CompressionWindowBits int

	ReadLimit    int64 // longest message in bytes, on the wire and unpacked; default 1 MiB
	MaxFragments int   // most frames a message; default 10,000
	ControlRate  int   // most control frames a second from the peer; default 100

	PingInterval     time.Duration // silence of the peer before it is pinged; default 30 s
	PongTimeout      time.Duration // how long such a ping may go unanswered; default 10 s
	IdleTimeout      time.Duration // longest silence of the peer; default 5 min
	MessageTimeout   time.Duration // longest time from a message's first byte to its last; default 60 s
	WriteTimeout     time.Duration // longest time in which the peer takes nothing of what is being sent; default 30 s
	CloseTimeout     time.Duration // longest wait for the peer's close frame; default 5 s
	HandshakeTimeout time.Duration // longest time for sending the 101 response; default 10 s

	// WriteQueue is how many bytes may be accepted beyond what is being sent; default 64 KiB.
	WriteQueue int

	// Rate bounds what a client may send over time; default: nothing does.
	Rate Rate

	// NoDeferral sends every message at once, even when more requests have
	// arrived already and their replies could go out together.
	NoDeferral bool

	// Codecs of Send, Receive and the router, by subprotocol; JSON for those not named.
	Codecs map[string]codec.Codec

	// Logger is told what goes wrong on the server's side: handlers' errors and
	// panics, misuse. nil: slog.Default().
	Logger *slog.Logger

	// Observer is told what happens to connections; nil: nobody is. Of middleware's
	// refusals ObserveRefusals tells it.
	Observer *Observer

	// MaxLifetime is how long a connection may live, less a random tenth so that
	// not all that came together go together; default: as long as it likes. It
	// is closed with 1001 then.
	MaxLifetime time.Duration

	// Drain says how Handler.Shutdown takes leave.
	Drain Drain

	// Group has the connections shut down together with those of other
	// handlers and bare Accepts.
	Group *Group
}

// CompressionMode is how far an end goes with compression.
type CompressionMode uint8

const (
	// CompressionOff neither offers nor accepts compression.
	CompressionOff CompressionMode = iota
	// CompressionNoTakeover compresses each message for itself: no memory
	// between two messages.
	CompressionNoTakeover
	// CompressionTakeover lets messages refer to earlier ones, in either
	// direction, as far as the peer agrees.
	CompressionTakeover
)

// policy is what an end with these options negotiates for.
func (m CompressionMode) policy(windowBits int) deflate.Policy {
	p := deflate.Policy{Mode: deflate.Mode(m), SendBits: windowBits, ReceiveBits: windowBits}
	if windowBits == 0 {
		p.SendBits, p.ReceiveBits = deflate.MaxWindowBits, defaultReceiveBits
	}
	return p
}

// defaultReceiveBits asks the peer to keep to a window of 8 KiB: this end has to
// keep what the peer may refer to, all the time, for little that 32 KiB would
// gain.
const defaultReceiveBits = 13

// AcceptOptions are Accept's options.
type AcceptOptions = Options

const defaultHandshakeTimeout = 10 * time.Second

func (o *Options) logger() *slog.Logger {
	if o.Logger != nil {
		return o.Logger
	}
	return slog.Default()
}

// check says which option can't be meant.
func (o *Options) check() error {
	if err := handshake.ValidateOrigins(o.Origins); err != nil {
		return fmt.Errorf("Options.Origins: %w", err)
	}
	if err := handshake.CheckProtocols(o.Subprotocols); err != nil {
		return fmt.Errorf("Options.Subprotocols %w", err)
	}
	if err := handshake.CheckHeader(o.Header); err != nil {
		return fmt.Errorf("Options.Header: %w", err)
	}
	return nil
}

// copied returns a copy that can be changed, its header included, and to whose
// lists can be appended.
func (o *Options) copied() *Options {
	c := *o
	c.Header = o.Header.Clone()
	c.Codecs = maps.Clone(o.Codecs)
	c.Subprotocols, c.Origins = slices.Clip(o.Subprotocols), slices.Clip(o.Origins)
	return &c
}

// configure sets the connection's part of the options, field by field: a literal
// would be put together on the stack first (see configs).
func (o *Options) configure(cfg *conn.Config) {
	cfg.ReadLimit = o.ReadLimit
	cfg.MaxFragments = o.MaxFragments
	cfg.ControlRate = o.ControlRate
	cfg.PingInterval = o.PingInterval
	cfg.PongTimeout = o.PongTimeout
	cfg.IdleTimeout = o.IdleTimeout
	cfg.MessageTimeout = o.MessageTimeout
	cfg.WriteTimeout = o.WriteTimeout
	cfg.CloseTimeout = o.CloseTimeout
	cfg.WriteQueue = o.WriteQueue
	cfg.NoDeferral = o.NoDeferral
	cfg.Rate = o.Rate
	cfg.Observer = o.Observer
	cfg.CompressionThreshold = o.CompressionThreshold
	cfg.CompressionLevel = o.CompressionLevel
	cfg.CompressionBits = o.CompressionWindowBits
}
