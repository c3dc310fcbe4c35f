package conn

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// NetConn returns the connection as a byte stream: every Write is one message
// of type t, Read joins the messages, and a message of the other type ends the
// connection with 1003. ctx's end ends the connection, as does Close, with 1000.
// Deadlines work as net.Conn says and can be moved after they have passed;
// a peer that closes with 1000 or 1001 is io.EOF. The read limit is one on each
// Write of the peer: SetReadLimit(0) takes it away.
func (c *Conn) NetConn(ctx context.Context, t MessageType) net.Conn {
	n := &netConn{c: c, t: t}
	n.reads.reset(time.Time{})
	n.writes.reset(time.Time{})
	n.stop = context.AfterFunc(ctx, func() { c.fail(context.Cause(ctx)) })
	return n
}

type netConn struct {
	c      *Conn
	t      MessageType
	stop   func() bool
	reads  deadline
	writes deadline

	mu  sync.Mutex // one Read at a time
	msg io.Reader  // in progress
}

func (n *netConn) Read(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ctx := n.reads.context()
	if ctx.Err() != nil && n.c.over() == nil {
		return 0, os.ErrDeadlineExceeded // although there may be something to read
	}
	for {
		if n.msg == nil {
			t, r, err := n.c.Reader(ctx)
			if err != nil {
				return 0, netError(err)
			}
			if t != n.t {
				return 0, n.c.refuse(StatusUnsupportedData, &ProtocolError{
					StatusUnsupportedData, t.String() + " message on a stream of " + n.t.String() + " messages"})
			}
			n.msg = r
		}
		n.msg.(*messageReader).ctx = ctx // the deadline may have been moved
		k, err := n.msg.Read(p)
		if err == io.EOF {
			n.msg = nil
			if k == 0 {
				continue
			}
		}
		if k > 0 || len(p) == 0 {
			return k, nil
		}
		return 0, netError(err)
	}
}

func (n *netConn) Write(p []byte) (int, error) {
	err := n.c.Write(n.writes.context(), n.t, p)
	var begun *partlyWritten
	if err != nil && !errors.As(err, &begun) {
		return 0, deadlineError(err)
	}
	if begun != nil { // the rest is on its way: who sent it again would send it twice
		return len(p), deadlineError(err)
	}
	return len(p), nil
}

func (n *netConn) Close() error {
	n.stop()
	return n.c.Close(context.Background(), StatusNormal, "")
}

func (n *netConn) LocalAddr() net.Addr  { return addrOr(n.c.LocalAddr()) }
func (n *netConn) RemoteAddr() net.Addr { return addrOr(n.c.RemoteAddr()) }

func (n *netConn) SetDeadline(t time.Time) error {
	return errors.Join(n.SetReadDeadline(t), n.SetWriteDeadline(t))
}

func (n *netConn) SetReadDeadline(t time.Time) error {
	n.reads.reset(t)
	return nil
}

func (n *netConn) SetWriteDeadline(t time.Time) error {
	n.writes.reset(t)
	return nil
}

// netError says of a read what net.Conn's users expect.
func netError(err error) error {
	var ce *CloseError
	if errors.As(err, &ce) && (ce.Code == StatusNormal || ce.Code == StatusGoingAway) && !ce.SentFirst {
		return io.EOF
	}
	return deadlineError(err)
}

// deadlineError is err, unless the call was given up, which only a deadline does.
func deadlineError(err error) error {
	var call *opError
	if errors.As(err, &call) {
		return os.ErrDeadlineExceeded
	}
	return err
}

// deadline is a context that can be moved: calls under way end when the time
// they see is over, be it set before or after they began.
type deadline struct {
	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc
	timer  *time.Timer
}

func (d *deadline) context() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ctx
}

func (d *deadline) reset(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	// A timer that can't be stopped has ended the context, or is about to.
	if late := d.timer != nil && !d.timer.Stop(); late || d.ctx == nil || d.ctx.Err() != nil {
		d.ctx, d.cancel = context.WithCancel(context.Background())
	}
	d.timer = nil
	switch until := time.Until(t); {
	case t.IsZero():
	case until <= 0:
		d.cancel()
	default:
		d.timer = time.AfterFunc(until, d.cancel)
	}
}

// noAddr stands in where a transport has no address.
type noAddr struct{}

func (noAddr) Network() string { return "websocket" }
func (noAddr) String() string  { return "websocket" }

func addrOr(a net.Addr) net.Addr {
	if a == nil {
		return noAddr{}
	}
	return a
}

var _ net.Conn = (*netConn)(nil)
