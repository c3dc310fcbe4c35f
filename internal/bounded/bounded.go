// Package bounded lets a context's end cut short I/O that knows no contexts.
package bounded

import (
	"context"
	"io"
)

// Do runs f, which reads and writes c, and closes c when ctx ends before f returns: the error is ctx.Err() then. Once f has
// returned with nil, ctx has no hold on c any more. On any other error c is still the caller's to close.
func Do(ctx context.Context, c io.Closer, f func() error) error {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	err := f()
	if !stop() {
		return ctx.Err()
	}
	return err
}
