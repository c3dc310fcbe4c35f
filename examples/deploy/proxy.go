package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
)

// failover sends each request to the next of the backends, and if that isn't
// there or is shutting down (503), to the one after it.
type failover struct {
	backends []string
	next     atomic.Uint32
}

func (f *failover) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	first := int(f.next.Add(1))
	for i := range f.backends {
		if resp != nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host = "http", f.backends[(first+i)%len(f.backends)]
		resp, err = http.DefaultTransport.RoundTrip(out)
		if err == nil && resp.StatusCode != http.StatusServiceUnavailable {
			return resp, nil
		}
	}
	return resp, err
}

func newProxy(backends []string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetXForwarded()
			r.Out.Host = r.In.Host // against which origins are checked
		},
		Transport: &failover{backends: backends},
	}
}

func proxy(ctx context.Context, flags *flag.FlagSet, args []string) error {
	addr := flags.String("addr", "127.0.0.1:8080", "`address` to serve on")
	_ = flags.Parse(args)
	if flags.NArg() == 0 {
		return errors.New("deploy proxy needs host:port of at least one server")
	}
	return listenAndServe(ctx, *addr, newProxy(flags.Args()), func(context.Context) error { return nil })
}
