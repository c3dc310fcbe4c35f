package conformance

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// heavyParallel is how many cases of sections 9, 12 and 13 run at a time.
const heavyParallel = 2

// RunClient tests the echo server at a ws or wss URL. Each case has a connection of its own. The report is complete
// unless ctx ends, which is an error, as is a pattern that matches no case.
func RunClient(ctx context.Context, url string, o Options) (*Report, error) {
	cases, err := Cases(o.Cases, o.Exclude)
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	light := slices.DeleteFunc(slices.Clone(cases), (*Case).heavy)
	heavy := slices.DeleteFunc(slices.Clone(cases), func(c *Case) bool { return !c.heavy() })

	report := newReport(cases)
	for _, part := range []struct {
		cases    []*Case
		parallel int
	}{{light, o.Parallel}, {heavy, min(heavyParallel, o.Parallel)}} {
		var wg sync.WaitGroup
		slots := make(chan struct{}, part.parallel)
		for _, c := range part.cases {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				if ctx.Err() == nil {
					report.add(runClientCase(ctx, c, url, o), o.Log)
				}
			})
		}
		wg.Wait()
	}
	if err := ctx.Err(); err != nil {
		return report, fmt.Errorf("conformance: %w", context.Cause(ctx))
	}
	return report, nil
}

func runClientCase(ctx context.Context, c *Case, url string, o Options) (r Result) {
	start := time.Now()
	defer func() {
		r.Duration = time.Since(start)
		r.Agent = agentName(o.Agent, r.Agent, url)
	}()
	sc := c.build(o.Scale)
	dialCtx, cancel := context.WithTimeout(ctx, handshakeTimeout.scaled(max(o.Second, time.Second)))
	defer cancel()
	d, err := dial(dialCtx, url, sc.deflate)
	if err != nil {
		return notOpened(c, err)
	}
	stop := context.AfterFunc(ctx, func() { d.conn.Close() })
	defer stop()
	s := newSession(d.conn, true, d.early, d.codec, o.Second)
	s.run(sc)
	r = judge(c, sc, s)
	r.Agent = d.server
	return r
}

func agentName(names ...string) string {
	return names[slices.IndexFunc(names, func(n string) bool { return n != "" })]
}
