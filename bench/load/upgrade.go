//go:build linux

package load

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// upgrader opens and closes connections.
type upgrader struct {
	spec   Spec
	dialed atomic.Int64
}

// run opens connections for d, spec.Conns at a time and so many at least: connect, shake hands, close with 1000, wait for the
// server to do the same.
func (u *upgrader) run(d time.Duration) (Result, error) {
	meter, err := StartMeter(u.spec.PID)
	if err != nil {
		return Result{}, err
	}
	var done, failed atomic.Int64
	failures := make(chan error, u.spec.Conns)
	var wg sync.WaitGroup
	for range u.spec.Conns {
		wg.Go(func() {
			for n := 0; failed.Load() == 0 && (n == 0 || time.Since(meter.Start) < d); n++ {
				if err := u.once(int(u.dialed.Add(1))); err != nil {
					failed.Add(1)
					failures <- err
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if failed.Load() > 0 {
		return Result{}, <-failures
	}
	result := Result{Messages: int(done.Load())}
	err = meter.Stop(&result)
	return result, err
}

// closing is a close frame with 1000.
var closing = appendFrame(nil, 8, false, []byte{0x03, 0xe8}, 0x01020304)

func (u *upgrader) once(i int) error {
	s, err := dial(u.spec.Addr, i)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := handshake(s, u.spec); err != nil {
		return err
	}
	if _, err := s.Write(closing); err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(s, 64))
	if err == nil && (len(b) < 2 || b[0] != 0x88) {
		err = fmt.Errorf("%x where a close frame was expected", b)
	}
	return err
}
