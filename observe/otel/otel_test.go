package otel_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/observe/otel"
)

// echo is an EventHandler that says when a connection has ended.
type echo chan error

func (e echo) Message(ctx context.Context, c *ws.Conn, m ws.Message) error {
	if string(m.Data) == "fail" {
		return errors.New("asked to")
	}
	return c.WriteMessage(ctx, m)
}

func (e echo) Closed(_ *ws.Conn, cause error) { e <- cause }

// serveEcho is the same for ws.Handler's Serve.
func serveEcho(ctx context.Context, c *ws.Conn) error {
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		if err := c.WriteMessage(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func Example() {
	spans := tracetest.NewSpanRecorder() // in a program: an exporter
	telemetry, err := otel.New(otel.Options{
		TracerProvider: trace.NewTracerProvider(trace.WithSpanProcessor(spans)),
		Propagator:     propagation.TraceContext{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := make(echo, 1)
	observer := telemetry.Observer()
	srv := httptest.NewServer(ws.ObserveRefusals(observer)(&ws.Handler{
		Events:  telemetry.Events(handler),
		Options: ws.Options{Observer: observer},
	}))
	defer srv.Close()

	ctx := context.Background()
	c, _, err := ws.Dial(ctx, srv.URL+"/chat", &ws.DialOptions{Header: http.Header{
		"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Write(ctx, ws.Text, []byte("hello"))
	c.Read(ctx)
	c.Close(ctx, ws.StatusNormal, "")
	<-handler

	for _, s := range spans.Ended() {
		fmt.Println(s.Name(), s.SpanContext().TraceID() == s.Parent().TraceID(), len(s.Links()))
	}
	fmt.Println(spans.Ended()[1].SpanContext().TraceID())
	// Output:
	// websocket message false 1
	// websocket true 0
	// 0af7651916cd43dd8448eb211c80319c
}

// lab is a telemetry whose results can be looked at.
type lab struct {
	t      *testing.T
	spans  *tracetest.SpanRecorder
	reader *metric.ManualReader
	ended  echo
	url    string
	*otel.Telemetry
}

func newLab(t *testing.T) *lab {
	l := &lab{t: t, spans: tracetest.NewSpanRecorder(), reader: metric.NewManualReader(), ended: make(echo, 10)}
	var err error
	l.Telemetry, err = otel.New(otel.Options{
		MeterProvider:  metric.NewMeterProvider(metric.WithReader(l.reader)),
		TracerProvider: trace.NewTracerProvider(trace.WithSpanProcessor(l.spans)),
		Propagator:     propagation.TraceContext{},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(&ws.Handler{Events: l.Events(l.ended), Options: ws.Options{Observer: l.Observer()}})
	t.Cleanup(srv.Close)
	l.url = srv.URL
	return l
}

func (l *lab) dial(texts ...string) *ws.Conn {
	l.t.Helper()
	c, _, err := ws.Dial(l.t.Context(), l.url, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, text := range texts {
		if err := c.Write(l.t.Context(), ws.Text, []byte(text)); err != nil {
			l.t.Fatal(err)
		}
		if _, _, err := c.Read(l.t.Context()); err != nil && text != "fail" {
			l.t.Fatal(err)
		}
	}
	l.t.Cleanup(func() { c.CloseNow() })
	return c
}

// points returns the latest values, a line a time series: the sum of a counter, the count and sum of a histogram.
func (l *lab) points() map[string]string {
	l.t.Helper()
	var all metricdata.ResourceMetrics
	if err := l.reader.Collect(l.t.Context(), &all); err != nil {
		l.t.Fatal(err)
	}
	points := make(map[string]string)
	add := func(name string, set attribute.Set, format string, args ...any) {
		points[name+" "+set.Encoded(attribute.DefaultEncoder())] = fmt.Sprintf(format, args...)
	}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, "%d", p.Value)
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, "%d of %d", p.Sum, p.Count)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, "%d", p.Count)
				}
			}
		}
	}
	return points
}

func TestMetrics(t *testing.T) {
	l := newLab(t)
	l.dial("still", "here")
	if err := l.dial("hello").Close(t.Context(), 4000, ""); err != nil {
		t.Fatal(err)
	}
	<-l.ended
	o := l.Observer()
	o.Refused(t.Context(), "origin", 403)
	o.RoundTrip(nil, time.Millisecond)
	o.WriteStalled(nil, time.Second)
	o.Queued(nil, 1000)
	o.MessageIn(nil, ws.Binary, 7)
	got := l.points()
	for name, want := range map[string]string{
		"websocket.connections ":                                             "1",
		"websocket.connection.duration cause=close_4xxx":                     "1",
		"websocket.upgrades.refused by=origin,http.response.status_code=403": "1",
		"websocket.message.size direction=in,type=text":                      "14 of 3",
		"websocket.message.size direction=out,type=text":                     "14 of 3",
		"websocket.message.size direction=in,type=binary":                    "7 of 1",
		"websocket.ping.duration ":                                           "1",
		"websocket.write.stall ":                                             "1",
		"websocket.write.queue ":                                             "1000 of 1",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("and %v", got)
	}
}

// TestSpans checks whose end is an error.
func TestSpans(t *testing.T) {
	for _, tt := range []struct {
		name  string
		end   func(c *ws.Conn)
		cause string
		want  codes.Code
	}{
		{"closed", func(c *ws.Conn) { c.Close(t.Context(), ws.StatusNormal, "") }, "close_1000", codes.Unset},
		{"going away", func(c *ws.Conn) { c.Close(t.Context(), ws.StatusGoingAway, "") }, "close_1001", codes.Unset},
		{"with an error", func(c *ws.Conn) { c.Close(t.Context(), ws.StatusInternalError, "") }, "close_1011", codes.Error},
		{"lost", func(c *ws.Conn) { c.CloseNow() }, "close_1006", codes.Error},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			tt.end(l.dial("hello"))
			<-l.ended
			spans := l.spans.Ended()
			if len(spans) != 2 {
				t.Fatalf("%d spans", len(spans))
			}
			s := spans[1]
			attrs := fmt.Sprint(s.Attributes())
			if s.Status().Code != tt.want || !strings.Contains(attrs, tt.cause) || !strings.Contains(attrs, "127.0.0.1") {
				t.Errorf("got %v, %s", s.Status(), attrs)
			}
		})
	}
}

// TestMessageSpans checks the spans of messages, one of which fails.
func TestMessageSpans(t *testing.T) {
	l := newLab(t)
	l.dial("hello", "fail")
	<-l.ended
	spans := l.spans.Ended()
	if len(spans) != 3 {
		t.Fatalf("%d spans", len(spans))
	}
	connection := spans[2]
	for i, want := range []codes.Code{codes.Unset, codes.Error} {
		s := spans[i]
		if s.Status().Code != want || s.Parent().IsValid() || len(s.Links()) != 1 ||
			!s.Links()[0].SpanContext.Equal(connection.SpanContext()) {
			t.Errorf("message %d: %+v", i, s)
		}
	}
}
