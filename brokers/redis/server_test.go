package redis_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// server is a redis-server of the test's own.
type server struct {
	addr string
	args []string
	cmd  *exec.Cmd
}

// startServer starts redis-server on a free port of the loopback interface.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed: apt-get install redis-server")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	s := &server{addr: ln.Addr().String()}
	s.args = append([]string{path, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", t.TempDir(),
		"--save", "", "--appendonly", "no", "--loglevel", "warning"}, args...)
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

func (s *server) start(t testing.TB) {
	t.Helper()
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		if c, err := net.Dial("tcp", s.addr); err == nil {
			c.Close()
			return
		}
		<-tick.C
	}
	t.Fatal("redis-server doesn't listen")
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *server) client(t testing.TB) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.addr}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cut closes all connections but the one that it uses for that.
func (s *server) cut(t testing.TB) {
	t.Helper()
	c := s.client(t)
	defer c.Close()
	for _, kind := range []string{"normal", "pubsub"} {
		cmd := c.B().Arbitrary("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes").Build()
		if err := c.Do(context.Background(), cmd).Error(); err != nil {
			t.Fatal(err)
		}
	}
}

// awaitCluster waits until a cluster of one node serves all slots.
func (s *server) awaitCluster(t testing.TB, c rueidis.Client) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		info, err := c.Do(context.Background(), c.B().Arbitrary("CLUSTER", "INFO").Build()).ToString()
		if err == nil && strings.Contains(info, "cluster_state:ok") {
			return
		}
		<-tick.C
	}
	t.Fatal("the cluster isn't ready")
}
