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

// TestServer tests the echo server at a ws or wss URL. Each case has a connection of its own. The report is complete
// unless ctx ends, which is an error, as is a pattern that matches no case.
func TestServer(ctx context.Context, url string, o Options) (*Report, error) {
	cases, err := Cases(o.Cases, o.Exclude)
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	report := newReport(cases)
	inParallel(ctx, cases, o.Parallel, func(c *Case) { report.add(testServerCase(ctx, c, url, o), o.Log) })
	if err := ctx.Err(); err != nil {
		return report, fmt.Errorf("conformance: %w", context.Cause(ctx))
	}
	return report, nil
}

// inParallel calls run for each case, for the heavy ones last and for few at a time. It stops starting when ctx ends.
func inParallel(ctx context.Context, cases []*Case, parallel int, run func(*Case)) {
	light := slices.DeleteFunc(slices.Clone(cases), (*Case).heavy)
	heavy := slices.DeleteFunc(slices.Clone(cases), func(c *Case) bool { return !c.heavy() })
	bounded := func(cases []*Case, slots chan struct{}) {
		var wg sync.WaitGroup
		defer wg.Wait()
		for _, c := range cases {
			slots <- struct{}{}
			if ctx.Err() != nil {
				return
			}
			wg.Go(func() {
				defer func() { <-slots }()
				run(c)
			})
		}
	}
	bounded(light, make(chan struct{}, parallel))
	bounded(heavy, make(chan struct{}, min(heavyParallel, parallel)))
}

func testServerCase(ctx context.Context, c *Case, url string, o Options) (r Result) {
	start := time.Now()
	defer func() {
		r.Duration = time.Since(start)
		r.Agent = agentName(o.Agent, r.Agent, url)
	}()
	sc := c.build(o.Scale)
	dialCtx, cancel := context.WithTimeout(ctx, o.clock().handshake())
	defer cancel()
	d, err := dial(dialCtx, url, sc.deflate, o.Dial)
	if err != nil {
		return notOpened(c, err)
	}
	stop := context.AfterFunc(ctx, func() { d.conn.Close() })
	defer stop()
	s := newSession(d.conn, true, d.early, d.codec, o.clock())
	s.run(sc)
	r = judge(c, sc, s)
	r.Agent = d.server
	return r
}

func agentName(names ...string) string {
	return names[slices.IndexFunc(names, func(n string) bool { return n != "" })]
}
