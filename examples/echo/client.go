package main

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/tidewire/ws"
)

// talk sends each line of in as a message, writes what comes back to out, and
// ends when every line has been answered.
func talk(ctx context.Context, url string, in io.Reader, out io.Writer) error {
	c, _, err := ws.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	lines, answers := scan(c.Context(), in), receive(c)
	for unanswered := 0; lines != nil || unanswered > 0; {
		select {
		case line, more := <-lines:
			if !more {
				lines = nil
				continue
			}
			if err := c.Write(ctx, ws.Text, []byte(line)); err != nil {
				return err
			}
			unanswered++
		case answer, more := <-answers:
			if !more {
				return context.Cause(c.Context())
			}
			fmt.Fprintln(out, answer)
			unanswered--
		case <-ctx.Done():
			return c.Close(context.WithoutCancel(ctx), ws.StatusGoingAway, "")
		}
	}
	return c.Close(ctx, ws.StatusNormal, "")
}

// scan reads lines on a goroutine of its own: nothing can end a read of stdin.
func scan(ctx context.Context, in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// receive reads all the time, and not only when an answer is due: whoever doesn't
// read doesn't answer pings either, and is taken for dead in the end.
func receive(c *ws.Conn) <-chan string {
	answers := make(chan string)
	go func() {
		defer close(answers)
		for m, err := range c.Messages(c.Context()) {
			if err != nil {
				return
			}
			select {
			case answers <- string(m.Data):
			case <-c.Context().Done():
			}
		}
	}()
	return answers
}
