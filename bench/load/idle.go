//go:build linux

package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
)

// idlers are connections that are opened, say one message each, and then only stay.
type idlers struct {
	spec   Spec
	script *script
	conns  []io.ReadWriteCloser
}

// connect opens the connections. The first one tells what the server agrees to, and so what will be said.
func (l *idlers) connect() error {
	l.conns = make([]io.ReadWriteCloser, l.spec.Conns)
	ext, err := l.open(0)
	if err != nil {
		return err
	}
	if l.script, err = newScript(l.spec, ext); err != nil {
		return err
	}
	return inParallel(1, l.spec.Conns, func(i int) error {
		_, err := l.open(i)
		return err
	})
}

func (l *idlers) open(i int) (extension, error) {
	s, err := dial(l.spec.Addr, i)
	if err != nil {
		return extension{}, err
	}
	c, err := l.secure(s)
	if err != nil {
		return extension{}, err
	}
	l.conns[i] = c
	return handshake(l.conns[i], l.spec)
}

func (l *idlers) close() {
	for _, c := range l.conns {
		if c != nil {
			c.Close()
		}
	}
}

// inParallel calls f for from to end-1 from a few goroutines, and returns the first error of each.
func inParallel(from, end int, f func(i int) error) error {
	const workers = 8
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		wg.Go(func() {
			for i := from + w; i < end && errs[w] == nil; i += workers {
				if err := f(i); err != nil {
					errs[w] = fmt.Errorf("connection %d: %w", i, err)
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// secure puts TLS on s if the load is to have it. The certificate is one that the server has just made up.
func (l *idlers) secure(s socket) (io.ReadWriteCloser, error) {
	if !l.spec.TLS {
		return s, nil
	}
	f := os.NewFile(uintptr(s), "tcp")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	t := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	return t, t.Handshake()
}

// message has each connection send one message and wait for its reply.
func (l *idlers) message() error {
	return inParallel(0, len(l.conns), func(i int) error { return l.roundTrip(l.conns[i]) })
}

func (l *idlers) roundTrip(rw io.ReadWriter) error {
	if _, err := rw.Write(l.script.send(0, 1)); err != nil {
		return err
	}
	buf := make([]byte, 4<<10)
	for heard := (listener{script: l.script}); heard.got == 0; {
		n, err := rw.Read(buf)
		if err != nil {
			return errors.Join(errors.New("waiting for the reply"), err)
		}
		if _, err := heard.hear(buf[:n]); err != nil {
			return err
		}
	}
	return nil
}
