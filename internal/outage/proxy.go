//go:build unix

package outage

import (
	"net"
	"sync"
	"testing"
)

// Proxy passes connections on to a server, until it is cut.
type Proxy struct {
	ln     net.Listener
	to     string
	ending sync.WaitGroup

	mu sync.Mutex
	// mu guards all below.
	cut   bool
	over  bool
	conns map[net.Conn]bool // at both ends
}

// NewProxy starts a proxy before the server at an address, and ends it with the test.
func NewProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{ln: ln, to: to, conns: make(map[net.Conn]bool)}
	p.ending.Go(p.accept)
	t.Cleanup(p.end)
	return p
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Cut drops what is sent over the proxy, either way, until Mend. Nobody is told:
// connections stay, and new ones are made, to which nobody answers.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
}

// Mend ends all connections, and passes new ones on again.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
	p.closeAll()
}

// closeAll closes all connections. mu is held.
func (p *Proxy) closeAll() {
	for c := range p.conns {
		c.Close()
	}
	clear(p.conns)
}

func (p *Proxy) end() {
	p.ln.Close()
	p.mu.Lock()
	p.over = true
	p.closeAll()
	p.mu.Unlock()
	p.ending.Wait()
}

func (p *Proxy) accept() {
	for {
		near, err := p.ln.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", p.to)
		if err != nil {
			near.Close()
			continue
		}
		p.mu.Lock()
		if p.over {
			near.Close()
			far.Close()
		}
		p.conns[near], p.conns[far] = true, true
		p.mu.Unlock()
		p.ending.Go(func() { p.pass(near, far) })
		p.ending.Go(func() { p.pass(far, near) })
	}
}

// pass passes on what comes, or drops it.
func (p *Proxy) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		cut := p.cut
		p.mu.Unlock()
		if cut {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
