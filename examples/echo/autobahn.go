package main

import (
	"context"
	"fmt"
	"io"
	"net/url"

	"github.com/tidewire/ws"
)

// agent is this end's name in Autobahn's reports.
const agent = "tidewire-ws"

// beTested goes through all cases of an Autobahn fuzzing server, which judges
// how they are echoed and writes reports in the end.
func beTested(ctx context.Context, server string, out io.Writer) error {
	n, err := caseCount(ctx, server)
	if err != nil {
		return err
	}
	for i := range n {
		fmt.Fprintf(out, "\rcase %d of %d", i+1, n)
		q := url.Values{"case": {fmt.Sprint(i + 1)}, "agent": {agent}}
		if err := visit(ctx, server+"/runCase?"+q.Encode()); err != nil {
			return err
		}
	}
	fmt.Fprintln(out)
	return visit(ctx, server+"/updateReports?"+url.Values{"agent": {agent}}.Encode())
}

func caseCount(ctx context.Context, server string) (int, error) {
	c, _, err := ws.Dial(ctx, server+"/getCaseCount", nil)
	if err != nil {
		return 0, err
	}
	defer c.CloseNow()
	return ws.Receive[int](ctx, c)
}

// visit echoes until the server ends the connection, in whatever way: most cases
// are about connections that have to fail.
func visit(ctx context.Context, url string) error {
	c, _, err := ws.Dial(ctx, url, &ws.DialOptions{
		ReadLimit:    readLimit,
		MaxFragments: maxFragments,
		Compression:  ws.CompressionTakeover,
	})
	if err != nil {
		return err
	}
	_ = echo(ctx, c)
	_ = c.Close(ctx, ws.StatusNormal, "")
	return ctx.Err()
}
