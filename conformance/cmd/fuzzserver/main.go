// Command fuzzserver tests WebSocket clients that echo. It speaks the protocol of the Autobahn test suite's
// fuzzingserver, so any client written for that suite runs against it:
//
//	go run ./cmd/fuzzserver -addr 127.0.0.1:9002 -cases '1.*,6.*'
//
// The report is printed, and written to the file that -json names, each time a client asks for /updateReports.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"

	"github.com/tidewire/ws/conformance"
	"github.com/tidewire/ws/conformance/internal/cli"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9002", "`address` to listen on")
	cert := flag.String("cert", "", "certificate `file`, for wss")
	key := flag.String("key", "", "key `file`, for wss")
	f := cli.Register(flag.CommandLine)
	flag.Parse()
	if err := run(f, *addr, *cert, *key); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func run(f *cli.Flags, addr, cert, key string) error {
	server, err := conformance.NewServer(f.Options())
	if err != nil {
		return err
	}
	server.OnUpdate = func(string) {
		if _, err := f.Publish(server.Report()); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	ln, scheme, err := listen(addr, cert, key)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, server.Close)
	fmt.Printf("%s://%s/\n", scheme, ln.Addr())
	if err := server.Serve(ln); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func listen(addr, cert, key string) (net.Listener, string, error) {
	if cert == "" {
		ln, err := net.Listen("tcp", addr)
		return ln, "ws", err
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, "", err
	}
	ln, err := tls.Listen("tcp", addr, &tls.Config{Certificates: []tls.Certificate{pair}})
	return ln, "wss", err
}
