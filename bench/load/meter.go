//go:build linux

package load

import (
	"time"

	"github.com/tidewire/ws/bench/proc"
)

// A Meter reads the clocks at both ends of a window.
type Meter struct {
	pid       int
	Start     time.Time
	cpu, self time.Duration
}

// StartMeter begins a window of the CPU time of process pid, 0 for the caller's own.
func StartMeter(pid int) (*Meter, error) {
	self, err := proc.CPUTime(0)
	if err != nil {
		return nil, err
	}
	cpu, err := proc.CPUTime(pid)
	return &Meter{pid: pid, Start: time.Now(), cpu: cpu, self: self}, err
}

// Stop ends the window, and writes its times into r.
func (m *Meter) Stop(r *Result) error {
	r.Wall = time.Since(m.Start)
	cpu, err := proc.CPUTime(m.pid)
	if err != nil {
		return err
	}
	self, err := proc.CPUTime(0)
	r.CPU, r.Load = cpu-m.cpu, self-m.self
	return err
}
