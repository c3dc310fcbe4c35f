// Package bounded does the I/O of opening handshakes within bounds: of a context, which net.Conn knows nothing of, and of
// size.
package bounded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
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

// maxInterim is how many 1xx responses may come before the response; net/http's limit.
const maxInterim = 5

// ReadResponse reads the response to req, past interim ones (1xx, but not 101), from at most max bytes of r. What br has
// buffered behind the head is the body's, or, where there is no body, already the next protocol's.
func ReadResponse(r io.Reader, req *http.Request, max int64) (resp *http.Response, br *bufio.Reader, err error) {
	limited := &io.LimitedReader{R: r, N: max}
	br = bufio.NewReader(limited)
	for range maxInterim + 1 {
		resp, err = http.ReadResponse(br, req)
		switch {
		case err != nil && limited.N == 0:
			return nil, nil, fmt.Errorf("response with more than %d bytes of header", max)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil, nil, fmt.Errorf("connection closed instead of a response: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return nil, nil, err
		case resp.StatusCode/100 != 1 || resp.StatusCode == http.StatusSwitchingProtocols:
			return resp, br, nil
		}
	}
	return nil, nil, errors.New("too many interim responses")
}

// Buffered returns what br has read ahead; valid as long as br is not used.
func Buffered(br *bufio.Reader) []byte {
	b, _ := br.Peek(br.Buffered())
	return b
}
