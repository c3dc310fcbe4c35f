package prom_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/observe/prom"
)

// echo serves connections and says when one has ended.
func echo(o *ws.Observer) (h *ws.Handler, ended <-chan struct{}) {
	done := make(chan struct{}, 10)
	closed := *o
	closed.Closed = func(c *ws.Conn, cause error) {
		o.Closed(c, cause)
		done <- struct{}{}
	}
	return &ws.Handler{Options: ws.Options{Observer: &closed}, Serve: func(ctx context.Context, c *ws.Conn) error {
		for m, err := range c.Messages(ctx) {
			if err != nil {
				return err
			}
			if err := c.WriteMessage(ctx, m); err != nil {
				return err
			}
		}
		return nil
	}}, done
}

func Example() {
	registry := prometheus.NewRegistry()
	observer := prom.New(registry, prom.Options{})
	h, ended := echo(observer) // a ws.Handler with Options.Observer
	srv := httptest.NewServer(ws.ObserveRefusals(observer)(h))
	defer srv.Close()

	ctx := context.Background()
	c, _, err := ws.Dial(ctx, srv.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Write(ctx, ws.Text, []byte("hello"))
	c.Read(ctx)
	c.Close(ctx, ws.StatusNormal, "")
	<-ended

	families, _ := registry.Gather()
	for _, f := range families {
		for _, m := range f.Metric {
			if m.GetCounter().GetValue() > 0 {
				fmt.Print(f.GetName())
				for _, l := range m.Label {
					fmt.Printf(" %s=%s", l.GetName(), l.GetValue())
				}
				fmt.Println(" ", m.Counter.GetValue())
			}
		}
	}
	// Output:
	// websocket_connections_closed_total cause=close_1000  1
	// websocket_connections_opened_total  1
	// websocket_messages_total direction=in type=text  1
	// websocket_messages_total direction=out type=text  1
}

// TestMetrics has every function of the observer called and looks at all metrics.
func TestMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	o := prom.New(registry, prom.Options{Namespace: "chat", ConstLabels: prometheus.Labels{"side": "server"}})
	h, ended := echo(o)
	srv := httptest.NewServer(h)
	defer srv.Close()
	a := dialAndEcho(t, srv.URL, "hello", "")
	defer dialAndEcho(t, srv.URL, "hi").CloseNow()
	if err := a.Close(t.Context(), 4000, ""); err != nil {
		t.Fatal(err)
	}
	<-ended
	o.Refused(t.Context(), "origin", 403)
	o.RoundTrip(nil, time.Millisecond)
	o.WriteStalled(nil, time.Second)
	o.Queued(nil, 1000)

	want := `
# HELP chat_connections Websocket connections that are open.
# TYPE chat_connections gauge
chat_connections{side="server"} 1
# HELP chat_connections_opened_total Websocket connections that were opened.
# TYPE chat_connections_opened_total counter
chat_connections_opened_total{side="server"} 2
# HELP chat_connections_closed_total Websocket connections that ended, by cause.
# TYPE chat_connections_closed_total counter
chat_connections_closed_total{cause="close_4xxx",side="server"} 1
# HELP chat_upgrades_refused_total Websocket upgrades that were refused.
# TYPE chat_upgrades_refused_total counter
chat_upgrades_refused_total{by="origin",side="server",status="403"} 1
# HELP chat_messages_total Websocket messages.
# TYPE chat_messages_total counter
chat_messages_total{direction="in",side="server",type="binary"} 3
chat_messages_total{direction="in",side="server",type="text"} 0
chat_messages_total{direction="out",side="server",type="binary"} 3
chat_messages_total{direction="out",side="server",type="text"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "chat_connections", "chat_connections_opened_total",
		"chat_connections_closed_total", "chat_upgrades_refused_total", "chat_messages_total"); err != nil {
		t.Error(err)
	}
	sums := map[string]float64{"chat_message_bytes": 14, "chat_ping_round_trip_seconds": 0.001, "chat_write_stall_seconds": 1, "chat_write_queue_bytes": 1000}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		sum := 0.
		for _, m := range f.Metric {
			sum += m.GetHistogram().GetSampleSum()
		}
		if w, ok := sums[f.GetName()]; ok && sum != w {
			t.Errorf("%s: sum %v, want %v", f.GetName(), sum, w)
		}
		delete(sums, f.GetName())
	}
	if len(sums) > 0 {
		t.Errorf("missing: %v", sums)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

func dialAndEcho(t *testing.T, url string, texts ...string) *ws.Conn {
	t.Helper()
	c, _, err := ws.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range texts {
		if err := c.Write(t.Context(), ws.Binary, []byte(p)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// TestEndedBeforeOpened has the connection end before the observer hears of it.
func TestEndedBeforeOpened(t *testing.T) {
	registry := prometheus.NewRegistry()
	o := prom.New(registry, prom.Options{})
	srv := httptest.NewServer(&ws.Handler{Serve: func(context.Context, *ws.Conn) error { return nil }})
	defer srv.Close()
	c, _, err := ws.Dial(t.Context(), srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.CloseNow()
	o.Closed(c, context.Cause(c.Context()))
	o.Opened(c.Context(), c)
	if n := testutil.CollectAndCount(registry, "websocket_connections_closed_total"); n != 1 {
		t.Errorf("%d causes", n)
	}
	want := "# HELP websocket_connections Websocket connections that are open.\n# TYPE websocket_connections gauge\nwebsocket_connections 0\n"
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "websocket_connections"); err != nil {
		t.Error(err)
	}
}
