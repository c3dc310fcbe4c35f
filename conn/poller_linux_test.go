//go:build linux && !wsnoepoll

package conn_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/tidewire/ws/conn"
)

// Connections that come one at a time find the epoll sets that those before them had.
func TestEngineSpareSets(t *testing.T) {
	var e conn.Engine
	for range 3 {
		began := time.Now()
		c, p := mode{stream: overTCP}.raw(t, conn.Config{})
		h := echoer(t, c)
		e.Run(c, h)
		p.nc.Close()
		if err := result(t, h.ended); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
		if e.Sets() == 0 && time.Since(began) < conn.Spare {
			t.Error("the sets are gone with the connection")
		}
	}
}
