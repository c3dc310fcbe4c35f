//go:build !linux

package conn

import "context"

// rawIO is for Linux; elsewhere connections use their transport's methods.
type rawIO struct{}

func (*rawIO) init(*Conn) bool { return false }

func (*rawIO) read(context.Context, []byte) (int, error) { panic("unreachable") }

func (*rawIO) write(_, _ []byte, _ bool) (int, error) { panic("unreachable") }
