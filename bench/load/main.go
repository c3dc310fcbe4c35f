//go:build linux

package load

import (
	"encoding/json"
	"io"
	"time"

	"github.com/tidewire/ws/bench/proc"
)

// Main is the load generator's process: it is driven by lines on r, and answers on w.
//
//	run DURATION   put load on the server for so long; the answer is a Result in JSON
//	connect        Idle: open the connections
//	message        Idle: one message and its reply on each of them
func Main(spec Spec, r io.Reader, w io.Writer) error {
	switch spec.Kind {
	case Idle:
		l := &idlers{spec: spec}
		defer l.close()
		return proc.Answer(r, w, "", proc.Commands{
			"connect": func(string) (string, error) { return "done", l.connect() },
			"message": func(string) (string, error) { return "done", l.message() },
		})
	case Upgrade:
		u := &upgrader{spec: spec}
		return proc.Answer(r, w, "", proc.Commands{"run": Timed(u.run)})
	}
	l := newLoop(spec)
	defer l.close()
	if err := l.connect(); err != nil {
		return err
	}
	return proc.Answer(r, w, "", proc.Commands{"run": Timed(l.run)})
}

// Timed makes a command of run: its argument is the window's length, its answer the Result.
func Timed(run func(time.Duration) (Result, error)) func(string) (string, error) {
	return func(arg string) (string, error) {
		d, err := time.ParseDuration(arg)
		if err != nil {
			return "", err
		}
		result, err := run(d)
		if err != nil {
			return "", err
		}
		b, err := json.Marshal(result)
		return string(b), err
	}
}
