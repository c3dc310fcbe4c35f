package main

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"time"

	"github.com/tidewire/ws"
)

// program is a command with its arguments.
type program []string

// serve runs the program with the connection as its standard input and output.
// Output is binary because a pipe cuts characters wherever it likes: the page
// puts them together again.
func (p program) serve(ctx context.Context, c *ws.Conn) error {
	stream := c.NetConn(ctx, ws.Binary)
	cmd := exec.CommandContext(ctx, p[0], p[1:]...) // killed when the connection ends
	cmd.Stdout, cmd.Stderr = stream, stream
	cmd.WaitDelay = time.Second // for children that hold on to its output
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return ws.Status(ws.StatusNormal, err.Error())
	}
	go func() {
		_, _ = io.Copy(stdin, stream) // until the visitor leaves or the program ends
		_ = stdin.Close()
	}()
	if err := cmd.Wait(); cmd.ProcessState == nil || errors.Is(err, exec.ErrWaitDelay) {
		return err
	}
	return ws.Status(ws.StatusNormal, cmd.ProcessState.String())
}
