package conformance

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
)

// TestClient tests a client within this process: it runs a [Server] and calls echo with a ws URL
// for each case, from several goroutines. echo connects and sends back each message as it came until the connection
// ends. Its error counts only if it never connected.
func TestClient(ctx context.Context, echo func(ctx context.Context, url string) error, o Options) (*Report, error) {
	s, err := NewServer(o)
	if err != nil {
		return nil, err
	}
	ln := o.Listener
	if ln == nil {
		if ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, fmt.Errorf("conformance: %w", err)
		}
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(ln) // ends with Close
	}()
	defer func() { s.Close(); <-served }()

	o = s.options
	agent := agentName(o.Agent, "client")
	number := map[*Case]int{}
	for i, c := range s.cases {
		number[c] = i + 1
	}
	inParallel(ctx, s.cases, o.Parallel, func(c *Case) {
		q := url.Values{"case": {strconv.Itoa(number[c])}, "agent": {agent}}
		err := echo(ctx, "ws://"+ln.Addr().String()+"/runCase?"+q.Encode())
		waitCtx, cancel := context.WithTimeout(ctx, o.clock().handshake())
		defer cancel()
		if _, missing := s.report.wait(waitCtx, agent, c.ID); missing != nil {
			res := notOpened(c, fmt.Errorf("the client did not connect: %w", err))
			res.Agent = agent
			s.report.add(res, o.Log)
		}
	})
	if ctx.Err() != nil {
		return s.report, fmt.Errorf("conformance: %w", context.Cause(ctx))
	}
	return s.report, nil
}
