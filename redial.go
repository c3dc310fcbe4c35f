package ws

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/tidewire/ws/conn"
)

// Redialer is a client that stays connected: it dials again whenever its
// connection has ended, after a while that grows with each failure and is random,
// so that the clients of a server that comes back don't all come at once.
//
// Nothing is sent again by itself. What a connection had accepted when it ended
// may or may not have arrived: a program that must know numbers its messages, has
// the server acknowledge them, and sends again what has not been.
type Redialer struct {
	// URL and Options are those of Dial.
	URL     string
	Options DialOptions

	// Configure, if not nil, may change a copy of Options, its Header included,
	// before each attempt: for a credential that has to be fresh. Its error is that
	// of the attempt.
	Configure func(ctx context.Context, o *DialOptions) error

	// MinBackoff and MaxBackoff bound the wait: a random part of MinBackoff after
	// the first failure, of twice as much after the next one, and of MaxBackoff at
	// most; defaults 500 ms and 30 s. A connection that did not last for MaxBackoff
	// is a failure, too. Where the server says how long to wait (RetryAfter, and the
	// header Retry-After), that is obeyed, up to a day and an hour.
	MinBackoff, MaxBackoff time.Duration

	// Permanent, if not nil, decides whether there is no use in trying again
	// after err, Dial's error or the connection's end; resp is the server's answer
	// to the handshake, or nil. By default that is so after an answer of 4xx other
	// than 408, 425 and 429, a redirection, and the close codes that blame the
	// client: 1002, 1003, 1007, 1008, 1009 and 1010.
	Permanent func(resp *http.Response, err error) bool
}

const (
	defaultMinBackoff = 500 * time.Millisecond
	defaultMaxBackoff = 30 * time.Second
	maxRetryAfter     = time.Hour
)

// Retry is how Redialer says that it is about to wait, and to try again.
type Retry struct {
	Err     error         // why: the connection's end, or the attempt's error
	Attempt int           // how many failures in a row this makes
	Wait    time.Duration // until the next attempt
}

func (r *Retry) Error() string {
	return fmt.Sprintf("%v; trying again in %v", r.Err, r.Wait.Round(time.Millisecond))
}

func (r *Retry) Unwrap() error { return r.Err }

// Conns returns the connections, one after the other. The loop's body uses each
// until it is over; one that it leaves open is closed with 1000. Before each wait
// there is a step without a connection, whose error is a *Retry. The sequence
// ends with ctx, or when there is no use in trying again; the last step has that
// error, which is no *Retry.
//
//	for c, err := range r.Conns(ctx) {
//		var retry *ws.Retry
//		switch {
//		case errors.As(err, &retry):
//			log.Print(err)
//		case err != nil:
//			return err
//		default:
//			serve(ctx, c)
//		}
//	}
func (r *Redialer) Conns(ctx context.Context) iter.Seq2[*Conn, error] {
	return func(yield func(*Conn, error) bool) {
		for failed := 1; ; failed++ {
			start := time.Now()
			resp, more, err := r.once(ctx, yield)
			switch {
			case !more:
				return
			case ctx.Err() != nil:
				yield(nil, ctx.Err())
				return
			case r.permanent(resp, err):
				yield(nil, err)
				return
			case isConnected(resp) && time.Since(start) >= r.maxBackoff():
				failed = 1
			}
			wait := r.wait(failed, resp, err)
			if !yield(nil, &Retry{Err: err, Attempt: failed, Wait: wait}) {
				return
			}
			if sleep(ctx, wait) != nil {
				yield(nil, ctx.Err())
				return
			}
		}
	}
}

// once is one attempt, and the connection if it has succeeded; err is how either has ended.
func (r *Redialer) once(ctx context.Context, yield func(*Conn, error) bool) (resp *http.Response, more bool, err error) {
	opts := r.Options
	if r.Configure != nil {
		if opts.Header = opts.Header.Clone(); opts.Header == nil {
			opts.Header = make(http.Header)
		}
		if err := r.Configure(ctx, &opts); err != nil {
			return nil, true, err
		}
	}
	c, resp, err := Dial(ctx, r.URL, &opts)
	if err != nil {
		return resp, true, err
	}
	more = yield(c, nil)
	_ = c.Close(context.WithoutCancel(ctx), StatusNormal, "")
	return resp, more, context.Cause(c.Context())
}

func isConnected(resp *http.Response) bool {
	return resp != nil && resp.StatusCode == http.StatusSwitchingProtocols
}

func (r *Redialer) permanent(resp *http.Response, err error) bool {
	if r.Permanent != nil {
		return r.Permanent(resp, err)
	}
	if resp != nil && !isConnected(resp) {
		switch code := resp.StatusCode; code {
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
			return false
		default:
			return code >= 300 && code < 500
		}
	}
	switch CloseStatus(err) {
	case StatusProtocolError, StatusUnsupportedData, StatusInvalidData, StatusPolicyViolation, StatusTooBig, conn.StatusMandatoryExt:
		return true
	}
	return false
}

// wait is what the server asks for, or else the backoff. A Retry-After of HTTP is
// the same for all clients, so there the backoff comes on top.
func (r *Redialer) wait(failed int, resp *http.Response, err error) time.Duration {
	if wait, ok := RetryAfter(err); ok {
		return wait
	}
	most := cmp.Or(r.MinBackoff, defaultMinBackoff)
	for ; failed > 1 && most < r.maxBackoff(); failed-- {
		most *= 2
	}
	wait := rand.N(min(most, r.maxBackoff()) + 1)
	if resp != nil && !isConnected(resp) {
		wait += retryAfterHeader(resp.Header.Get("Retry-After"))
	}
	return wait
}

func (r *Redialer) maxBackoff() time.Duration { return cmp.Or(r.MaxBackoff, defaultMaxBackoff) }

// retryAfterHeader reads seconds or a date (RFC 9110 10.2.3); an hour at most.
func retryAfterHeader(s string) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseUint(s, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(s); err == nil {
		wait = time.Until(at)
	}
	return min(max(wait, 0), maxRetryAfter)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
