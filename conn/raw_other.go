//go:build !linux

package conn

import "context"

// rawIO is for Linux; elsewhere connections use their transport's methods.
type rawIO struct{}

func (*rawIO) init(*Conn) bool { return false }

func (*rawIO) read(context.Context, *Conn, []byte) (int, error) { panic("unreachable") }

func (*rawIO) write(*Conn, []byte, []byte, bool) (int, error) { panic("unreachable") }
