package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/tidewire/ws"
)

// Order is what clients send. Client and Seq name it: what comes twice has the
// same name, and is the same order.
type Order struct {
	Client string
	Seq    int
	Text   string
}

// Ack says that the order with this number is kept, and all before it.
type Ack struct{ Seq int }

// journal keeps orders in a file. It outlives the process, which is what this
// example is about; to outlive the machine it would have to call Sync, too.
type journal struct {
	mu   sync.Mutex
	file *os.File
}

func openJournal(name string) (*journal, error) {
	//nolint:gosec // the operator names the file
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return &journal{file: f}, err
}

func (j *journal) keep(o Order) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err := fmt.Fprintf(j.file, "%s %d %q\n", o.Client, o.Seq, o.Text)
	return err
}

// take is the service: it acknowledges an order when it is kept, not before.
func (j *journal) take(ctx context.Context, c *ws.Conn) error {
	for {
		o, err := ws.Receive[Order](ctx, c)
		if err != nil {
			return err
		}
		if err := j.keep(o); err != nil {
			return err
		}
		if err := ws.Send(ctx, c, Ack{o.Seq}); err != nil {
			return err
		}
	}
}

func serve(ctx context.Context, flags *flag.FlagSet, args []string) error {
	addr := flags.String("addr", "127.0.0.1:8081", "`address` to serve on")
	name := flags.String("journal", "orders.txt", "`file` to keep orders in")
	spread := flags.Duration("spread", 5*time.Second, "time over which clients are sent away, and over which they come back")
	ping := flags.Duration("ping", 10*time.Second, "silence after which a client is pinged: less than the proxy's idle timeout")
	_ = flags.Parse(args)

	j, err := openJournal(*name)
	if err != nil {
		return err
	}
	h := &ws.Handler{Serve: j.take, Options: ws.Options{
		PingInterval: *ping,
		Drain:        ws.Drain{Code: ws.StatusServiceRestart, Spread: *spread, RetryAfter: *spread},
	}}
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		if h.Stats().Draining { // the proxy is to send nobody here any more
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintln(w, *addr) //nolint:gosec // the operator's own flag
	})
	return listenAndServe(ctx, *addr, mux, h.Shutdown)
}
