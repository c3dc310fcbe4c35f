//go:build linux

// Package proc starts the bench's child processes and measures them from outside: CPU time, resident memory, system calls.
package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// CPUTime returns the CPU time, user and system, that process pid has used so far, in all its threads, dead ones included.
//
// It reads the process's own POSIX CPU clock (clock_getcpuclockid(3)), which the scheduler keeps in nanoseconds and brings up
// to date for running threads. /proc/PID/stat counts ticks of 10 ms, and the sum over /proc/PID/task/*/schedstat, the same
// clock thread by thread, loses threads that have ended. 0 means the calling process.
func CPUTime(pid int) (time.Duration, error) {
	const sched = 2 // CPUCLOCK_SCHED, include/linux/posix-timers.h
	clock := unix.CLOCK_PROCESS_CPUTIME_ID
	if pid != 0 {
		clock = ^pid<<3 | sched
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(clock), &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// RSS returns the resident memory of process pid in bytes, as the kernel counts it page by page: statm's figure, kept a
// counter per CPU, is only near it.
func RSS(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte("Rss:")); ok {
			kib, err := strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no Rss in smaps_rollup of process %d", pid)
}
