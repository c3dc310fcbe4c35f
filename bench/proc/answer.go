//go:build linux

package proc

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Commands are what a child can be asked: the first word of a line, and what it does with the rest.
type Commands map[string]func(arg string) (string, error)

// Answer is the child's side of Child: it writes "ready " + ready to w, then answers each line of r by its command, until r
// ends.
func Answer(r io.Reader, w io.Writer, ready string, commands Commands) error {
	if _, err := fmt.Fprintln(w, "ready", ready); err != nil {
		return err
	}
	s := bufio.NewScanner(r)
	for s.Scan() {
		if _, err := fmt.Fprintln(w, commands.answer(s.Text())); err != nil {
			return err
		}
	}
	return s.Err()
}

func (c Commands) answer(line string) string {
	name, arg, _ := strings.Cut(line, " ")
	command, ok := c[name]
	if !ok {
		return "error: no command " + name
	}
	answer, err := command(arg)
	if err != nil {
		return "error: " + strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return answer
}
