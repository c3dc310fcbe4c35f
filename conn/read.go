package conn

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"

	"github.com/tidewire/ws/internal/pool"
	"github.com/tidewire/ws/internal/wire"
)

// inbound is the read side of a connection. Whoever holds Conn.reading owns it.
// What every message touches comes first.
type inbound struct {
	// buf[at:] has arrived and not been parsed. The parser takes everything
	// before more is read, so buf is empty, and usually given back, by then.
	buf   []byte
	at    int
	size  int32 // of the next buffer, by what reads have been like lately
	small int32 // reads in a row that a smaller buffer would have held

	// pins counts the steps of Messages whose Data lies in buf. A pinned buffer
	// that is in the way is left to the garbage collector; epoch tells its
	// steps that it is no longer theirs to unpin.
	pins  int32
	epoch int32

	// For an Engine, which must not wait: nowait makes reads return errNotReady
	// instead. short says that the last read left the socket empty, unless hup,
	// the peer's end, may have come with it.
	nowait, short, hup bool

	// stream is the message that Reader has handed out and that is not read to its end.
	stream *messageReader

	traffic Traffic // that has arrived
	parser  wire.Parser

	part   int     // of the message that is being read, for an Observer
	ration *ration // nil: Config.Rate is no bound

	controls      int32 // control frames since controlsSince
	controlsSince int64 // nanoseconds

	// msg is what has been taken of a message whose reading was given up; nil
	// if that is nothing.
	msg []byte

	quiet quiet

	// first is where a transport without readiness is waited on: a waiting
	// connection holds no buffer but this. nil for a socket.
	first *[wire.MaxHeader]byte
}

// quiet is about streams that are no sockets but stand on one that an Engine polls.
type quiet struct {
	polled bool   // this is one
	ends   bool   // the read that is under way gives up when nothing comes for a while
	armed  bool   // the transport's read deadline says for how long
	heard  uint32 // watch.traffic when that was set
}

// maxRead is the most that is read with one call, so that a huge message
// doesn't keep a processor in one system call for long.
const maxRead = 128 << 10

// directMin is how much payload must be missing for it to be read straight to
// where it is wanted: less is better read with what comes behind it.
const directMin = 16 << 10

// feed puts bytes that arrived with the handshake in front of all others.
func (in *inbound) feed(early []byte) {
	in.size = pool.Small
	if len(early) > 0 {
		in.buf = append(pool.Get(len(early)), early...)
	}
}

// room returns the space of an empty buffer.
func (in *inbound) room() []byte {
	if in.buf != nil && in.pins > 0 {
		in.buf = nil
		in.unpinAll()
	}
	if in.buf == nil {
		in.buf = pool.Get(int(in.size))
	}
	in.buf, in.at = in.buf[:0], 0
	return in.buf[:cap(in.buf)]
}

// arrived says that n bytes have been read into room.
func (in *inbound) arrived(n int) {
	in.buf = in.buf[:n]
	in.short = n < cap(in.buf)
	switch {
	case n == cap(in.buf):
		in.size = min(4*in.size, pool.Large)
		in.small = 0
	case in.size > pool.Small && n <= int(in.size)/8:
		if in.small++; in.small == 16 {
			in.size, in.small = in.size/4, 0
		}
	default:
		in.small = 0
	}
}

// drained gives the buffer back if nothing is left in it, and nobody reads what
// has been parsed.
func (in *inbound) drained() {
	if in.buf != nil && in.at == len(in.buf) && in.pins == 0 && (in.stream == nil || len(in.stream.rest) == 0) {
		in.giveBack()
	}
}

func (in *inbound) giveBack() {
	pool.Put(in.buf)
	in.buf, in.at = nil, 0
}

func (in *inbound) unpinAll() {
	in.pins = 0
	in.epoch++
}

// Read reads one message. The data is the caller's.
//
// If ctx ends first, the error wraps ctx.Err() and nothing is lost: the next
// read goes on where this one stopped, even in the middle of a frame. When the
// connection has ended, the error says why and matches net.ErrClosed; a
// *CloseError has the peer's close code.
func (c *Conn) Read(ctx context.Context) (MessageType, []byte, error) {
	return c.AppendRead(ctx, nil)
}

// AppendRead is Read into memory of the caller: it appends the message to b and
// returns the longer slice. On an error b comes back as it was, and the part of
// a message that has arrived stays with the connection.
func (c *Conn) AppendRead(ctx context.Context, b []byte) (MessageType, []byte, error) {
	if err := c.lockReads(ctx); err != nil {
		return 0, b, err
	}
	defer c.unlockReads()
	if c.in.stream != nil {
		return 0, b, c.unfinished()
	}
	return c.appendMessage(ctx, b)
}

// unfinished is the error of a read while a stream is not read to its end.
func (c *Conn) unfinished() error {
	if err := c.over(); err != nil {
		return err
	}
	return ErrUnfinished
}

// lockReads makes the caller the one who reads, unless CloseRead does.
func (c *Conn) lockReads(ctx context.Context) error {
	if c.reading.tryAcquire() {
		return nil
	}
	return c.awaitLockReads(ctx)
}

func (c *Conn) awaitLockReads(ctx context.Context) error {
	if c.onlyWritten.Load() && c.over() == nil {
		return errOnlyWritten
	}
	return c.awaitReads(ctx)
}

// awaitReads makes the caller the one who reads, whoever does now.
func (c *Conn) awaitReads(ctx context.Context) error {
	if c.reading.tryAcquire() {
		return nil
	}
	if err := c.reading.acquire(ctx, c.ctx.Done()); err != nil {
		return c.gaveUp("read", err)
	}
	return nil
}

func (c *Conn) unlockReads() {
	c.in.drained()
	more := c.in.at < len(c.in.buf) && c.in.parser.Whole(c.in.buf[c.in.at:])
	if more != c.out.more.Load() {
		c.out.more.Store(more)
	}
	c.reading.release()
}

// appendMessage appends a whole message to b, or leaves b alone and keeps what
// has arrived.
func (c *Conn) appendMessage(ctx context.Context, b []byte) (MessageType, []byte, error) {
	if m, err := c.nextWhole(ctx); m.Type != 0 || err != nil {
		if b == nil && err == nil {
			b = make([]byte, 0, len(m.Data))
		}
		return m.Type, append(b, m.Data...), err
	}
	in, start := &c.in, len(b)
	begun := in.msg != nil
	if begun {
		b = append(b, in.msg...)
		pool.Put(in.msg)
		in.msg = nil
	}
	for {
		ev, direct, err := wire.Event{}, c.wantsDirect(), error(nil)
		if direct {
			b = growForRest(b, start, in.parser.Remaining())
			ev, err = c.fillDirect(ctx, b[len(b):cap(b)])
			b = b[:len(b)+len(ev.Data)]
		} else if ev, err = c.nextPiece(ctx); err == nil {
			b, err = c.appendPiece(b, start, ev)
		}
		if err != nil {
			if begun {
				in.msg = append(pool.Get(len(b)-start), b[start:]...)
			}
			return 0, b[:start], err
		}
		if ev.Last {
			return MessageType(ev.Opcode), b, nil
		}
		begun = true
	}
}

// appendPiece appends what a piece means to b, where its message begins at start.
func (c *Conn) appendPiece(b []byte, start int, ev wire.Event) ([]byte, error) {
	if b == nil {
		b = make([]byte, 0, len(ev.Data))
	}
	if ev.RSV1 {
		return c.inflate(b, start, ev)
	}
	return append(b, ev.Data...), nil
}

// wantsDirect reports whether the next piece is long enough to be read straight
// to where it is wanted.
func (c *Conn) wantsDirect() bool {
	return c.in.parser.Remaining() >= directMin && c.in.at == len(c.in.buf) && !c.in.parser.Compressed() && !c.limited
}

// growForRest makes room for what is announced, but never for more than has
// arrived already (or one small buffer): an announced length is only a claim.
func growForRest(b []byte, start int, rest int64) []byte {
	return slices.Grow(b, int(min(rest, int64(max(len(b)-start, pool.Small)))))
}

// nextWhole returns the next message if it is one as most are: a single frame, not
// compressed, that has arrived whole, and that needs no thought. Its Data lies in
// the buffer. Else Type is 0, and nextPiece goes on.
func (c *Conn) nextWhole(ctx context.Context) (Message, error) {
	in := &c.in
	if c.limited {
		return Message{}, nil
	}
	if in.at == len(in.buf) {
		if in.parser.Partial() {
			return Message{}, nil
		}
		if err := c.fill(ctx); err != nil {
			return Message{}, err
		}
	}
	if err := c.over(); err != nil {
		return Message{}, err
	}
	in.parser.MaxMessage = c.readLimit.Load()
	op, data, n := in.parser.Message(in.buf[in.at:])
	if n > 0 {
		in.at += n
		c.countIn(op, len(data), true)
	}
	return Message{Type: MessageType(op), Data: data}, nil
}

// nextPiece returns the next piece of a data message, answering control frames
// on the way. The piece is valid until more is read.
func (c *Conn) nextPiece(ctx context.Context) (wire.Event, error) {
	for {
		if c.held() {
			if err := c.hold(ctx); err != nil {
				return wire.Event{}, err
			}
		}
		ev, err := c.parse()
		switch {
		case err != nil:
			return ev, err
		case ev.Kind == wire.Piece:
			if c.limited {
				if drop, err := c.admit(ev); err != nil {
					return wire.Event{}, err
				} else if drop {
					continue
				}
			}
			if !ev.RSV1 { // else its length is known when it is inflated
				c.countIn(ev.Opcode, len(ev.Data), ev.Last)
			}
			return ev, nil
		case ev.Kind == wire.Control:
			err = c.control(ev)
		default:
			err = c.fill(ctx)
		}
		if err != nil {
			return wire.Event{}, err
		}
	}
}

// parse takes the next event from the buffer.
func (c *Conn) parse() (wire.Event, error) {
	in := &c.in
	if in.at == len(in.buf) {
		return wire.Event{}, nil
	}
	if err := c.over(); err != nil { // what lies behind a close frame or a violation is nothing
		return wire.Event{}, err
	}
	in.parser.MaxMessage = c.readLimit.Load()
	ev, n, err := in.parser.Next(in.buf[in.at:])
	in.at += n
	if err != nil {
		return ev, c.violated(err)
	}
	return ev, nil
}

// fill reads what has arrived into the empty buffer, waiting for it if nothing has.
func (c *Conn) fill(ctx context.Context) error {
	if err := c.beforeRead(ctx); err != nil {
		return err
	}
	var n int
	var err error
	if c.socket {
		n, err = c.raw.read(ctx, c, nil)
	} else {
		n, err = c.fillWaiting(ctx)
	}
	if n > 0 {
		return nil
	}
	return c.readFailed(ctx, err)
}

// beforeRead sees to what comes before every read. ctx is looked at here, too,
// because with a peer that floods no read ever waits.
func (c *Conn) beforeRead(ctx context.Context) error {
	if err := c.over(); err != nil {
		return err
	}
	c.flushDeferred()
	if !c.mayRead() {
		return errNotReady
	}
	if ctx != c.ctx && ctx.Err() != nil {
		return c.gaveUp("read", ctx.Err())
	}
	return nil
}

// mayRead reports whether an attempt to read makes sense: always, but for an
// Engine only where it won't wait, or in the middle of something on a transport
// that can't say whether it would.
func (c *Conn) mayRead() bool {
	in := &c.in
	switch {
	case !in.nowait:
		return true
	case !c.socket:
		return in.parser.Partial()
	}
	return !in.short || in.hup
}

// fillDirect reads payload that the parser lacks straight into p, and returns it
// as the next piece.
func (c *Conn) fillDirect(ctx context.Context, p []byte) (wire.Event, error) {
	if err := c.beforeRead(ctx); err != nil {
		return wire.Event{}, err
	}
	p = p[:min(int64(len(p)), c.in.parser.Remaining(), maxRead)]
	var n int
	var err error
	if c.socket {
		n, err = c.raw.read(ctx, c, p)
	} else {
		var cut *interrupt
		if cut, err = c.awaitRead(ctx); err == nil {
			n, err = c.readStream(ctx, p)
			c.readDone(cut, n)
		}
	}
	if n <= 0 {
		return wire.Event{}, c.readFailed(ctx, err)
	}
	c.in.short = n < len(p)
	ev, _, broken := c.in.parser.Next(p[:n])
	if broken != nil {
		return ev, c.violated(broken)
	}
	c.countIn(ev.Opcode, len(ev.Data), ev.Last)
	return ev, nil
}

// fillWaiting is fill for a transport that can't say that bytes are there: it
// waits with a few bytes of its own and takes a buffer only in the middle of something.
func (c *Conn) fillWaiting(ctx context.Context) (int, error) {
	cut, err := c.awaitRead(ctx)
	if err != nil {
		return 0, err
	}
	in := &c.in
	idle := !in.parser.Partial()
	p := in.first[:]
	if !idle {
		p = in.room()
	}
	n, err := c.readStream(ctx, p)
	c.readDone(cut, n)
	if n <= 0 {
		if err == nil {
			err = io.ErrNoProgress
		}
		return 0, err
	}
	if idle {
		copy(in.room(), p[:n])
		in.buf = in.buf[:n]
	} else {
		in.arrived(n)
	}
	return n, nil
}

// readStream reads a transport that is no socket.
func (c *Conn) readStream(ctx context.Context, p []byte) (int, error) {
	if c.in.quiet.polled {
		return c.readPolled(ctx, p)
	}
	return c.t.Read(p)
}

// awaitRead announces that the caller is about to wait for bytes.
func (c *Conn) awaitRead(ctx context.Context) (*interrupt, error) {
	cut, err := c.beginRead(ctx)
	if err == nil {
		c.publish()
		c.watch.waiting(&c.in.parser)
	}
	return cut, err
}

// readDone ends what awaitRead began; n bytes have been read.
func (c *Conn) readDone(cut *interrupt, n int) {
	c.watch.notWaiting(n > 0)
	if cut != nil {
		cut.end()
		c.in.quiet.armed = false // it may have been the same deadline
	}
}

// readFailed sorts a failed read: the connection's end, if it has one, beats
// ctx's, and both beat what the transport says.
func (c *Conn) readFailed(ctx context.Context, err error) error {
	if err == errNotReady {
		return err
	}
	if over := c.over(); over != nil {
		return over
	}
	if cause := ctx.Err(); cause != nil {
		return c.gaveUp("read", cause)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return c.fail(&CloseError{Code: StatusAbnormal, Err: err})
}

// Messages returns the connection's messages, one a step. A message's Data is
// valid until the next step; keep a copy if it is to live longer.
//
// The sequence ends without an error when the peer closed with 1000, 1001 or
// no code, or when this side closed or shut down. Any other end is the last
// step's error, and so is ctx's, after which the connection can be read again.
//
// Between steps nobody holds the connection's read side: the loop's body may
// call any method, Read included.
func (c *Conn) Messages(ctx context.Context) iter.Seq2[Message, error] {
	// So short that the compiler puts it, and with it the loop's body, into the
	// caller: else what the body uses of the caller's would move to the heap.
	return func(yield func(Message, error) bool) { c.each(ctx, yield) }
}

func (c *Conn) each(ctx context.Context, yield func(Message, error) bool) {
	var s step
	for {
		err := c.step(ctx, &s)
		if err != nil {
			if !cleanEnd(err) {
				yield(Message{}, err)
			}
			return
		}
		if !yield(s.m, nil) {
			break
		}
	}
	if c.reading.tryAcquire() {
		c.endStep(&s)
		c.unlockReads()
	}
}

// step is one message of Messages and where its Data lies.
type step struct {
	m     Message
	own   []byte // Data is here, or
	held  bool   // in the connection's buffer, pinned
	epoch int32
}

// step ends the last step and reads the next message.
func (c *Conn) step(ctx context.Context, s *step) error {
	if err := c.lockReads(ctx); err != nil {
		return err
	}
	c.endStep(s)
	err := c.readStep(ctx, s)
	c.unlockReads()
	return err
}

func (c *Conn) endStep(s *step) {
	if c.poison {
		pool.Overwrite(s.m.Data)
	}
	if s.own != nil {
		pool.Put(s.own)
	} else if s.held && s.epoch == c.in.epoch {
		pool.Poison(s.m.Data)
		c.in.pins--
	}
	*s = step{}
}

// readStep reads a message without copying it if it has arrived whole.
func (c *Conn) readStep(ctx context.Context, s *step) error {
	in := &c.in
	if in.stream != nil {
		return c.unfinished()
	}
	m, err := c.nextWhole(ctx)
	if err != nil {
		return err
	}
	if m.Type == 0 {
		return c.readPieces(ctx, s)
	}
	s.m, s.held, s.epoch = m, true, in.epoch
	in.pins++
	return nil
}

// readPieces is readStep for all other messages.
func (c *Conn) readPieces(ctx context.Context, s *step) error {
	in := &c.in
	for {
		var ev wire.Event
		var err error
		if c.wantsDirect() {
			in.msg = pool.Grow(in.msg, pool.Small)
			ev, err = c.fillDirect(ctx, in.msg[len(in.msg):cap(in.msg)])
			in.msg = in.msg[:len(in.msg)+len(ev.Data)]
		} else if ev, err = c.nextPiece(ctx); err == nil {
			if ev.First && ev.Last && !ev.RSV1 {
				s.m = Message{Type: MessageType(ev.Opcode), Data: ev.Data}
				s.held, s.epoch = true, in.epoch
				in.pins++
				return nil
			}
			n := len(ev.Data)
			if ev.RSV1 {
				n *= maxInflation
			} else { // a part of what is to follow, or all that has come would soon be moved
				n += int(min(in.parser.Remaining(), 3*int64(n)))
			}
			in.msg, err = c.appendPiece(pool.Grow(in.msg, n), 0, ev)
		}
		if err != nil {
			return err
		}
		if ev.Last {
			s.m = Message{Type: MessageType(ev.Opcode), Data: in.msg}
			s.own, in.msg = in.msg, nil
			return nil
		}
	}
}

// cleanEnd reports whether err is a connection that ended as planned.
func cleanEnd(err error) bool {
	if ce, ok := errors.AsType[*CloseError](err); ok {
		switch {
		case ce.Code == StatusNormal, ce.Code == StatusGoingAway, ce.Code == StatusNoStatus:
			return true
		}
		return ce.SentFirst
	}
	return errors.Is(err, errClosedNow) || errors.Is(err, ErrShutdown) || errors.Is(err, ErrLifetime)
}
