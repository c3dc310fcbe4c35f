// Package conn is one WebSocket connection (RFC 6455), either end of it, over
// any byte stream. It knows no HTTP: package ws does the handshake and calls New.
package conn

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/internal/wire"
)

// Config describes a connection to New. The zero value is a server's end with
// the default limits. In every limit 0 means the default and a negative value none.
type Config struct {
	Client      bool            // this end dialled: it masks, and waits for the server to close the stream
	Parent      context.Context // what Conn.Context derives from; its end ends the connection; nil: Background
	Subprotocol string          // what the handshake settled on
	Codec       codec.Codec     // nil: codec.JSON
	LocalAddr   net.Addr        // nil, like RemoteAddr: the transport's own
	RemoteAddr  net.Addr
	Early       []byte // bytes that arrived behind the handshake; copied by New

	Compression          Compression // what the handshake agreed on
	CompressionThreshold int         // shortest message that is compressed, in bytes; default 128
	CompressionLevel     int         // 1, the default, to 9
	CompressionHistory   int         // bytes of earlier messages that are referred to, with context takeover; default 8 KiB
	CompressionBits      int         // a window for this end's messages that is smaller than agreed; 8 to 15

	ReadLimit    int64 // longest message in bytes, on the wire and unpacked; default 1 MiB
	MaxFragments int   // most frames a message; default 10,000
	ControlRate  int   // most control frames a second; default 100

	PingInterval   time.Duration // silence of the peer before it is pinged; default 30 s
	PongTimeout    time.Duration // how long such a ping may go unanswered; default 10 s
	IdleTimeout    time.Duration // longest silence of the peer; default 5 min
	MessageTimeout time.Duration // longest time from a message's first byte to its last; default 60 s
	WriteTimeout   time.Duration // longest time in which the peer takes nothing of what is being sent; default 30 s
	CloseTimeout   time.Duration // longest time that Close waits for the peer's answer; default 5 s

	WriteQueue int  // bytes that may be accepted beyond what is being sent; default 64 KiB
	NoDeferral bool // send every message at once, even when more requests are waiting to be answered
	Keeper     *Keeper

	// Poison overwrites a message's Data at the end of its step of Messages, as
	// the race detector has it done always: for tests, in which whoever keeps
	// Data should see nonsense.
	Poison   bool
	Rate     Rate      // what the peer may send over time; the zero value is no bound
	Observer *Observer // nil: nobody is told
}

const (
	defaultReadLimit      = 1 << 20
	defaultMaxFragments   = 10_000
	defaultControlRate    = 100
	defaultPingInterval   = 30 * time.Second
	defaultPongTimeout    = 10 * time.Second
	defaultIdleTimeout    = 5 * time.Minute
	defaultMessageTimeout = time.Minute
	defaultWriteTimeout   = 30 * time.Second
	defaultCloseTimeout   = 5 * time.Second
	defaultWriteQueue     = 64 << 10
)

// limit resolves an option: 0 is the default, a negative value no limit, which
// is 0 from here on.
func limit[T int | int32 | int64 | time.Duration](v, def T) T {
	switch {
	case v == 0:
		return def
	case v < 0:
		return 0
	}
	return v
}

// Conn is a WebSocket connection. Any goroutine may call any method at any
// time. Messages are read by one call at a time, others wait; writes from
// several goroutines are sent whole, each writer's in its order.
//
// Somebody has to read: pings are answered, pongs and the peer's close frame
// noticed, and keepalive done only while a read is under way. A connection that
// is only written to wants CloseRead.
//
// A context that ends gives up the call that it was passed to, not the
// connection, with two exceptions that their methods name. A Conn is released
// by Close, CloseNow, the peer's close frame, a failure, or the end of
// Config.Parent, whichever comes first.
type Conn struct {
	// Fixed by New.
	t          Transport
	raw        rawIO
	socket     bool // raw reads and writes t; else its own methods do
	client     bool
	poison     bool
	writesCut  bool      // a write cut by a deadline leaves t usable
	protocol   *protocol // nil: none, and JSON
	addrs      addresses // nil: none
	ctx        context.Context
	cancel     context.CancelCauseFunc
	stopParent func() bool // nil: the parent can't end; guarded by out.mu

	deflate *compression // nil: messages are not compressed

	*settings
	readLimit atomic.Int64

	// The read side. reading is the lock of everything in in.
	reading     lock
	in          inbound
	onlyWritten atomic.Bool // CloseRead reads

	// The write side has its own lock.
	out outbound

	arrived arrivals

	cuts  atomic.Pointer[interrupts] // nil: no context that can end has been waited with
	pings atomic.Pointer[pingState]  // nil: Ping has not been called
	watch watch

	attached atomic.Pointer[attachment] // nil: no poller reads the connection
	ended    atomic.Pointer[error]      // why the connection is over; set once
	released sync.Once
}

// protocol is what a handshake has settled on, where that isn't what most do.
type protocol struct {
	name  string
	codec codec.Codec // nil: JSON
}

// settings are a connection's limits, which never change. In all of them 0 means
// none.
type settings struct {
	queue        int // Config.WriteQueue
	controls     int // Config.ControlRate
	fragments    int
	noDeferral   bool
	observer     *Observer
	limited      bool // by rate
	rate         Rate
	closeTimeout time.Duration

	ping, pong, idle, whole, stall time.Duration // what watch watches
}

func (s settings) clone() *settings { return &s }

func (cfg *Config) settings() settings {
	return settings{
		queue:        limit(cfg.WriteQueue, defaultWriteQueue),
		controls:     limit(cfg.ControlRate, defaultControlRate),
		fragments:    limit(cfg.MaxFragments, defaultMaxFragments),
		noDeferral:   cfg.NoDeferral,
		observer:     cfg.Observer,
		limited:      cfg.Rate.limits(),
		rate:         cfg.Rate,
		closeTimeout: limit(cfg.CloseTimeout, defaultCloseTimeout),
		ping:         limit(cfg.PingInterval, defaultPingInterval),
		pong:         limit(cfg.PongTimeout, defaultPongTimeout),
		idle:         limit(cfg.IdleTimeout, defaultIdleTimeout),
		whole:        limit(cfg.MessageTimeout, defaultMessageTimeout),
		stall:        limit(cfg.WriteTimeout, defaultWriteTimeout),
	}
}

// New makes a connection of a stream on which the handshake is done. The
// connection owns t from then on.
func New(t Transport, cfg Config) *Conn { return NewFrom(t, &cfg) }

// NewFrom is New for those who have a goroutine for each connection and little
// stack to spare: cfg is large. It is not kept.
func NewFrom(t Transport, cfg *Config) *Conn {
	c := &Conn{t: t}
	if c.socket = c.raw.init(c); !c.socket {
		c.in.first = new([wire.MaxHeader]byte)
	}
	c.init(cfg)
	c.start(cfg.Parent)
	return c
}

func (c *Conn) init(cfg *Config) {
	c.client, c.poison = cfg.Client, cfg.Poison
	if cfg.Subprotocol != "" || cfg.Codec != nil {
		c.protocol = &protocol{cfg.Subprotocol, cfg.Codec}
	}
	if c.addrs, _ = c.t.(addresses); cfg.LocalAddr != nil || cfg.RemoteAddr != nil {
		c.addrs = fixedAddrs{cfg.LocalAddr, cfg.RemoteAddr}
	}
	cut, ok := c.t.(interface{ writesCut() bool })
	c.writesCut = !ok || cut.writesCut()
	if c.watch.keeper = cfg.Keeper; c.watch.keeper == nil {
		c.watch.keeper = new(Keeper)
	}
	c.settings = c.watch.keeper.share(cfg)
	c.readLimit.Store(limit(cfg.ReadLimit, defaultReadLimit))
	c.deflate = newCompression(cfg)
	c.in.parser.Server, c.in.parser.Deflate = !cfg.Client, c.deflate != nil
	c.in.parser.Fragments = int32(c.fragments)
	c.in.feed(cfg.Early)
	if c.limited {
		c.in.ration = &ration{epoch: time.Now()}
	}
}

// start ties the connection to its parent and to whoever watches its timeouts.
func (c *Conn) start(parent context.Context) {
	if parent == nil {
		parent = context.Background()
	}
	c.ctx, c.cancel = context.WithCancelCause(parent)
	c.watch.start(c)
	if parent.Done() == nil {
		return
	}
	stop := context.AfterFunc(parent, func() { c.fail(context.Cause(parent)) })
	c.out.mu.Lock()
	c.stopParent = stop
	c.out.mu.Unlock()
}

// Context returns the connection's context. It ends with the connection, and
// context.Cause says why: a *CloseError, a *ProtocolError, one of the errors
// above such as ErrIdle, or the parent's cause. What calls return is the same,
// except that they wrap the parent's so that it matches net.ErrClosed.
func (c *Conn) Context() context.Context { return c.ctx }

// OnClosed has f called once, on a goroutine of its own, when the connection is
// over and its context has ended, for a fraction of what context.AfterFunc takes.
func (c *Conn) OnClosed(f func()) {
	o := &c.out
	o.mu.Lock()
	over := o.err != nil
	if !over {
		o.onClosed = both(o.onClosed, f)
	}
	o.mu.Unlock()
	if over {
		go func() {
			<-c.ctx.Done()
			f()
		}()
	}
}

// Subprotocol is what the handshake settled on, or "".
func (c *Conn) Subprotocol() string {
	if c.protocol == nil {
		return ""
	}
	return c.protocol.name
}

// LocalAddr is this end's network address; nil if the transport has none.
func (c *Conn) LocalAddr() net.Addr {
	if c.addrs == nil {
		return nil
	}
	return c.addrs.LocalAddr()
}

// RemoteAddr is the other end's network address; nil if the transport has none.
func (c *Conn) RemoteAddr() net.Addr {
	if c.addrs == nil {
		return nil
	}
	return c.addrs.RemoteAddr()
}

// Codec is the codec that was chosen for the connection.
func (c *Conn) Codec() codec.Codec {
	if c.protocol == nil || c.protocol.codec == nil {
		return codec.JSON
	}
	return c.protocol.codec
}

// SetReadLimit changes the longest message that is read, in bytes, from the
// next frame on, or the next message if that is compressed. n <= 0 means no limit.
func (c *Conn) SetReadLimit(n int64) { c.readLimit.Store(max(n, 0)) }

// over returns why the connection has ended, or nil.
func (c *Conn) over() error {
	if p := c.ended.Load(); p != nil {
		return c.told(*p)
	}
	return nil
}

// told sees to it that whoever is told of the end finds the context ended as
// well: who was first with cause may not have come to that yet.
func (c *Conn) told(cause error) error {
	c.cancel(cause)
	return cause
}
