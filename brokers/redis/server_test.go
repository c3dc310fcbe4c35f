package redis_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tidewire/ws/internal/outage"
)

// server is a redis-server of the test's own.
type server struct {
	*outage.Process
	addr string
}

// startServer starts redis-server on a free port of the loopback interface.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	path := outage.Look(t, "redis-server")
	addr := outage.FreeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	line := append([]string{path, "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--loglevel", "warning"}, args...)
	return &server{outage.Start(t, addr, line...), addr}
}

func dial(t testing.TB, addr string) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cut closes all connections but the one that it uses for that.
func (s *server) cut(t testing.TB) {
	t.Helper()
	c := dial(t, s.addr)
	defer c.Close()
	for _, kind := range []string{"normal", "pubsub"} {
		cmd := c.B().Arbitrary("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes").Build()
		if err := c.Do(context.Background(), cmd).Error(); err != nil {
			t.Fatal(err)
		}
	}
}

// awaitCluster waits until a cluster of one node serves all slots.
func awaitCluster(t testing.TB, c rueidis.Client) {
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
