package wstest

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

var _ net.Listener = (*Listener)(nil)

// backlog is how many connections wait for Accept before Dial waits too.
const backlog = 128

// A Listener accepts connections that are dialled through it, each a [Pipe]. The zero value is ready:
//
//	l := new(wstest.Listener)
//	go http.Serve(l, handler)
//	client := &http.Client{Transport: &http.Transport{DialContext: l.DialContext}}
//
// Every client has an address of its own, 192.0.2.2:1 and so on, which is what a handler finds in http.Request.RemoteAddr.
// All methods can be called from any goroutine. A Listener must not be copied.
type Listener struct {
	// Buffer is the size in bytes of a connection's buffer, each way. Default 64 KiB. It must not be changed after the first Dial.
	Buffer int

	once    sync.Once
	waiting chan net.Conn // dialled, not accepted
	done    chan struct{}
	closing sync.Once
	dialled atomic.Int64
}

const listenerAddr = addr("192.0.2.1:80")

// init makes the channels where the listener is first used, and so in its user's bubble.
func (l *Listener) init() {
	l.once.Do(func() {
		l.waiting = make(chan net.Conn, backlog)
		l.done = make(chan struct{})
	})
}

// Accept waits for the next connection. After Close its error is [net.ErrClosed].
func (l *Listener) Accept() (net.Conn, error) {
	l.init()
	select {
	case <-l.done: // even if Close has still to empty the queue
	default:
		select {
		case c := <-l.waiting:
			return c, nil
		case <-l.done:
		}
	}
	return nil, &net.OpError{Op: "accept", Net: listenerAddr.Network(), Addr: listenerAddr, Err: net.ErrClosed}
}

// Dial connects. The connection can be used at once, and waits for Accept like one of TCP, unless 128 others wait already:
// then Dial waits. After Close its error is ECONNREFUSED; when ctx ends first, it is ctx.Err().
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	l.init()
	if err := ctx.Err(); err != nil {
		return nil, dialError(err)
	}
	client, server := l.pipe()
	select {
	case <-l.done:
	case <-ctx.Done():
		return nil, dialError(ctx.Err())
	case l.waiting <- server:
	}
	select {
	case <-l.done: // Close may have emptied the queue before server was in it
		client.Close()
		return nil, dialError(os.NewSyscallError("connect", syscall.ECONNREFUSED))
	default:
		return client, nil
	}
}

// DialContext is [Listener.Dial] in the form that http.Transport and others want. It looks at neither network nor address.
func (l *Listener) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return l.Dial(ctx)
}

func (l *Listener) pipe() (client, server net.Conn) {
	size := l.Buffer
	if size == 0 {
		size = defaultBuffer
	}
	port := l.dialled.Add(1)
	return newPipe(size, addr(fmt.Sprintf("192.0.2.2:%d", (port-1)%65535+1)), listenerAddr)
}

// Close ends Accept and Dial, and closes the connections that nobody has accepted. It can be called more than once.
func (l *Listener) Close() error {
	l.init()
	l.closing.Do(func() { close(l.done) })
	for {
		select {
		case c := <-l.waiting:
			c.Close()
		default:
			return nil
		}
	}
}

// Addr returns the address that all connections were made to: 192.0.2.1:80, of the network "memory".
func (l *Listener) Addr() net.Addr { return listenerAddr }

func dialError(err error) error {
	return &net.OpError{Op: "dial", Net: listenerAddr.Network(), Addr: listenerAddr, Err: err}
}
