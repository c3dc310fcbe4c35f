// Package otel exports what happens to websocket connections to OpenTelemetry.
//
// Metrics:
//
//	websocket.connections            {connection}  up-down counter  open now
//	websocket.connection.duration    s             histogram        {cause}            see ws.CauseLabel
//	websocket.upgrades.refused       {upgrade}     counter          {by, http.response.status_code}
//	websocket.message.size           By            histogram        {direction, type}  payload, unpacked; its count is that of messages
//	websocket.ping.duration          s             histogram
//	websocket.write.stall            s             histogram
//	websocket.write.queue            By            histogram
//
// direction is "in" or "out", type "text" or "binary".
//
// Traces: a span "websocket" for each connection, from the handshake to the end,
// whose parent is what the handshake's headers say. It has the attributes
// network.peer.address, websocket.subprotocol, websocket.cause, and on a server
// url.path; it is an error if the connection ended in another way than with close
// frames or this side's own decision. A span for each message that is handled is
// the application's to begin, with Events or Start: it is the root of a trace of
// its own, linked to the connection's span, as a trace that lasts for hours and has
// a million spans helps nobody.
package otel

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
)

const scope = "github.com/tidewire/ws/observe/otel"

// Options are the settings of New. What is nil is OpenTelemetry's global one.
type Options struct {
	MeterProvider  metric.MeterProvider
	TracerProvider trace.TracerProvider
	Propagator     propagation.TextMapPropagator
}

// Telemetry keeps metrics and traces of connections. It is safe for concurrent use.
type Telemetry struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	metrics    metrics
	spans      sync.Map // *ws.Conn: connection
}

// connection is one that is open.
type connection struct {
	since time.Time
	span  trace.Span
}

// New creates the metrics. Its error is the meter provider's.
func New(o Options) (*Telemetry, error) {
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	if o.Propagator == nil {
		o.Propagator = otel.GetTextMapPropagator()
	}
	t := &Telemetry{tracer: o.TracerProvider.Tracer(scope), propagator: o.Propagator}
	return t, t.metrics.create(o.MeterProvider.Meter(scope))
}

// Observer returns the observer, for ws.Options, ws.DialOptions and ws.ObserveRefusals.
func (t *Telemetry) Observer() *ws.Observer {
	m, ctx := &t.metrics, context.Background()
	return &ws.Observer{
		Opened:  t.opened,
		Closed:  t.closed,
		Refused: m.refuse,
		MessageIn: func(_ *ws.Conn, typ ws.MessageType, n int) {
			m.size.Record(ctx, int64(n), m.in[typ&1])
		},
		MessageOut: func(_ *ws.Conn, typ ws.MessageType, n int) {
			m.size.Record(ctx, int64(n), m.out[typ&1])
		},
		RoundTrip:    func(_ *ws.Conn, d time.Duration) { m.ping.Record(ctx, d.Seconds()) },
		WriteStalled: func(_ *ws.Conn, d time.Duration) { m.stall.Record(ctx, d.Seconds()) },
		Queued:       func(_ *ws.Conn, n int) { m.queue.Record(ctx, int64(n)) },
	}
}

func (t *Telemetry) opened(ctx context.Context, c *ws.Conn) {
	kind := trace.SpanKindClient
	attrs := []attribute.KeyValue{attribute.String("websocket.subprotocol", c.Subprotocol())}
	if a := c.RemoteAddr(); a != nil {
		attrs = append(attrs, attribute.String("network.peer.address", a.String()))
	}
	if r := ws.Request(ctx); r != nil {
		kind = trace.SpanKindServer
		attrs = append(attrs, attribute.String("url.path", r.URL.Path))
		if !trace.SpanContextFromContext(ctx).IsValid() {
			ctx = t.propagator.Extract(ctx, propagation.HeaderCarrier(r.Header))
		}
	}
	_, span := t.tracer.Start(ctx, "websocket", trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
	t.metrics.connections.Add(context.Background(), 1)
	t.spans.Store(c, connection{time.Now(), span})
	if cause := context.Cause(c.Context()); cause != nil { // it has ended already, and closed may have missed it
		t.closed(c, cause)
	}
}

func (t *Telemetry) closed(c *ws.Conn, cause error) {
	v, ok := t.spans.LoadAndDelete(c)
	if !ok {
		return
	}
	open, label := v.(connection), ws.CauseLabel(cause)
	t.metrics.connections.Add(context.Background(), -1)
	t.metrics.duration.Record(context.Background(), time.Since(open.since).Seconds(),
		metric.WithAttributes(attribute.String("cause", label)))
	open.span.SetAttributes(attribute.String("websocket.cause", label))
	if isFailure(cause) {
		open.span.SetStatus(codes.Error, cause.Error())
	}
	open.span.End()
}

// isFailure reports whether a connection ended in a way that nobody wanted.
func isFailure(cause error) bool {
	var closed *ws.CloseError
	if errors.As(cause, &closed) {
		switch closed.Code {
		case ws.StatusNormal, ws.StatusGoingAway, ws.StatusNoStatus, ws.StatusServiceRestart, ws.StatusTryAgainLater:
			return false
		}
		return !closed.SentFirst || closed.Code == ws.StatusAbnormal
	}
	return !errors.Is(cause, conn.ErrShutdown) && !errors.Is(cause, conn.ErrLifetime) && !errors.Is(cause, conn.ErrExpired)
}

// Start begins a span for handling one message, in a trace of its own that is
// linked to the connection's. Its end is the caller's.
func (t *Telemetry) Start(ctx context.Context, c *ws.Conn, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	o = append(o, trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindConsumer))
	if v, ok := t.spans.Load(c); ok {
		o = append(o, trace.WithLinks(trace.Link{SpanContext: v.(connection).span.SpanContext()}))
	}
	return t.tracer.Start(ctx, name, o...)
}

// Events is h with a span "websocket message" around each Message, which is an
// error if that returns one.
func (t *Telemetry) Events(h ws.EventHandler) ws.EventHandler { return &events{t, h} }

type events struct {
	telemetry *Telemetry
	handler   ws.EventHandler
}

func (e *events) Open(ctx context.Context, c *ws.Conn) (context.Context, error) {
	if o, ok := e.handler.(interface {
		Open(context.Context, *ws.Conn) (context.Context, error)
	}); ok {
		return o.Open(ctx, c)
	}
	return context.Background(), nil
}

func (e *events) Message(ctx context.Context, c *ws.Conn, m ws.Message) error {
	ctx, span := e.telemetry.Start(ctx, c, "websocket message", trace.WithAttributes(
		attribute.String("websocket.message.type", m.Type.String()),
		attribute.Int("websocket.message.size", len(m.Data))))
	defer span.End()
	err := e.handler.Message(ctx, c, m)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}

func (e *events) Closed(c *ws.Conn, cause error) {
	if h, ok := e.handler.(interface{ Closed(*ws.Conn, error) }); ok {
		h.Closed(c, cause)
	}
}
