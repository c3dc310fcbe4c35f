//go:build linux

package ws_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidewire/ws"
)

// manyClientEnv makes this test binary the client of TestMany: it has the
// server's address and the number of connections.
const manyClientEnv = "WS_TEST_MANY"

// TestMany holds thousands of connections that wait, opens and closes others
// among them, so that file descriptors' numbers come back as other connections',
// and shuts down. Every connection has a number of its own, and says it with
// each message: one that gets another's reply shows it.
func TestMany(t *testing.T) {
	if at := os.Getenv(manyClientEnv); at != "" {
		addr, n, _ := strings.Cut(at, " ")
		count, _ := strconv.Atoi(n)
		if err := manyClients(addr, count); err != nil {
			t.Fatal(err)
		}
		return
	}
	n := 15_000
	if testing.Short() || raceEnabled {
		n = 1_000
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Cur < uint64(n+1000) {
		t.Skipf("%d connections need as many files: raise the limit (ulimit -n %d)", n, n+1000)
	}
	// The client reads only when it expects something: it would not answer pings.
	patient := ws.Options{PingInterval: -1, IdleTimeout: -1}
	t.Run("Events", func(t *testing.T) { testMany(t, &ws.Handler{Events: numbered{}, Options: patient}, n) })
	t.Run("Serve", func(t *testing.T) { testMany(t, &ws.Handler{Serve: echo, Options: patient}, min(n, 1_000)) })
}

// numbered echoes, like echo.
type numbered struct{}

func (numbered) Message(ctx context.Context, c *ws.Conn, m ws.Message) error {
	return c.Write(ctx, m.Type, m.Data)
}

func testMany(t *testing.T, h *ws.Handler, n int) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	defer srv.Close()
	go srv.Serve(ln)
	cmd := exec.Command(os.Args[0], "-test.run=^TestMany$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", manyClientEnv, ln.Addr(), n))
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && lines.Text() != "ready" {
		t.Log(lines.Text())
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := h.Shutdown(ctx); err != nil {
		t.Error("Shutdown:", err)
	}
	for lines.Scan() {
		t.Log(lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Error("the client:", err)
	}
}

// manyClients opens n connections, has a part of them come and go, says "ready",
// and waits for all of them to be closed with 1001.
func manyClients(addr string, n int) error {
	const workers, rounds = 16, 3
	conns := make([]*ws.Conn, n)
	each := func(f func(i int, r *rand.Rand) error) error {
		var wg sync.WaitGroup
		errs := make(chan error, workers)
		for w := range workers {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(w), 1))
				for i := w; i < n; i += workers {
					if err := f(i, r); err != nil {
						errs <- fmt.Errorf("connection %d: %w", i, err)
						return
					}
				}
			})
		}
		wg.Wait()
		close(errs)
		return <-errs
	}
	open := func(i int) (err error) {
		if conns[i], err = dialFrom(addr, i); err == nil {
			err = askNumber(conns[i], uint64(i), 4)
		}
		return err
	}
	if err := each(func(i int, _ *rand.Rand) error { return open(i) }); err != nil {
		return err
	}
	for range rounds {
		err := each(func(i int, r *rand.Rand) error {
			switch r.IntN(10) {
			case 0:
				_ = conns[i].CloseNow()
				return open(i)
			case 1:
				return askNumber(conns[i], uint64(i), r.IntN(5000))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	fmt.Println("ready")
	return each(func(i int, _ *rand.Rand) error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, _, err := conns[i].Read(ctx); ws.CloseStatus(err) != ws.StatusGoingAway {
			return fmt.Errorf("closed with %w, want 1001", err)
		}
		return nil
	})
}

// dialFrom dials from one of several loopback addresses: one has too few ports.
func dialFrom(addr string, i int) (*ws.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%4))}}
	c, _, err := ws.Dial(ctx, "ws://"+addr, &ws.DialOptions{NetDialContext: from.DialContext, PingInterval: -1, IdleTimeout: -1,
		PongTimeout: -1, MessageTimeout: -1, WriteTimeout: -1})
	return c, err
}

// askNumber sends a message with a number and wants it back.
func askNumber(c *ws.Conn, number uint64, padding int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	p := append(binary.BigEndian.AppendUint64(nil, number), make([]byte, padding)...)
	if err := c.Write(ctx, ws.Binary, p); err != nil {
		return err
	}
	_, got, err := c.Read(ctx)
	if err == nil && string(got) != string(p) {
		err = fmt.Errorf("sent number %d with %d bytes, got back %x", number, padding, got[:min(len(got), 8)])
	}
	return err
}
