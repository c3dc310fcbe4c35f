// Command compare runs the suite against several libraries, as servers and as clients, and prints a Markdown table.
//
//	go run ./cmd/compare -scale 100 -patience 5 -readme README.md
//
// It says nothing about how the libraries could be used: each echoes in the way that its documentation shows.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"

	"github.com/tidewire/ws/conformance"
	"github.com/tidewire/ws/conformance/internal/cli"
	"github.com/tidewire/ws/conformance/internal/peers"
)

// readLimit is more than the 16 MiB of the longest message.
const readLimit = 64 << 20

func main() {
	only := flag.String("peers", "", "comma-separated `names` of the peers to run (default all)")
	readme := flag.String("readme", "", "put the table between the markers in this `file`")
	f := cli.Register(flag.CommandLine)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, f.Options(), *only, *readme); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o conformance.Options, only, readme string) error {
	var columns []column
	for _, p := range peers.All() {
		if only != "" && !strings.Contains(","+only+",", ","+p.Name+",") {
			continue
		}
		cs, err := testPeer(ctx, p, o)
		if err != nil {
			return err
		}
		columns = append(columns, cs...)
	}
	table := markdown(columns)
	if readme != "" {
		return replaceTable(readme, table)
	}
	_, err := fmt.Print(table)
	return err
}

// testPeer runs the suite against p in each role that it has.
func testPeer(ctx context.Context, p peers.Peer, o conformance.Options) ([]column, error) {
	o.Agent = p.Name
	server := httptest.NewServer(quiet(p.Server(readLimit)))
	defer server.CloseClientConnections()
	report, err := conformance.TestServer(ctx, "ws"+strings.TrimPrefix(server.URL, "http")+"/", o)
	if err != nil {
		return nil, err
	}
	columns := []column{{p.Name, "server", report.Results(p.Name)}}
	if p.Client == nil {
		return columns, nil
	}
	report, err = conformance.TestClient(ctx, func(ctx context.Context, url string) (err error) {
		defer recovered(&err)
		return p.Client(ctx, url, readLimit)
	}, o)
	return append(columns, column{p.Name, "client", report.Results(p.Name)}), err
}

// quiet ends a connection whose handler panics, without a trace on the terminal.
func quiet(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				panic(http.ErrAbortHandler)
			}
		}()
		h.ServeHTTP(w, r)
	})
}

func recovered(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("panic: %v", v)
	}
}
