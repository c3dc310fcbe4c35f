// Command fuzzclient tests a WebSocket echo server.
//
//	go run ./cmd/fuzzclient -url ws://127.0.0.1:9001/ -cases '1.*,6.*' -v
//
// It exits with 1 if a case is not passed without a blemish, with 2 if the run itself failed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/tidewire/ws/conformance"
	"github.com/tidewire/ws/conformance/internal/cli"
)

func main() {
	url := flag.String("url", "ws://127.0.0.1:9001/", "ws or wss `URL` of the echo server")
	parallel := flag.Int("parallel", 0, "cases at a time (0: 16)")
	f := cli.Register(flag.CommandLine)
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	o := f.Options()
	o.Parallel = *parallel
	start := time.Now()
	report, err := conformance.TestServer(ctx, *url, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	passed, err := f.Publish(report)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	fmt.Printf("%v\n", time.Since(start).Round(time.Millisecond))
	if !passed {
		os.Exit(1)
	}
}
