package otel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/tidewire/ws"
)

type metrics struct {
	connections metric.Int64UpDownCounter
	duration    metric.Float64Histogram
	refused     metric.Int64Counter
	size        metric.Int64Histogram
	ping, stall metric.Float64Histogram
	queue       metric.Int64Histogram

	in, out [2]metric.MeasurementOption // by the lowest bit of the message's type
}

func (m *metrics) create(meter metric.Meter) error {
	var errs [7]error
	m.connections, errs[0] = meter.Int64UpDownCounter("websocket.connections", metric.WithUnit("{connection}"),
		metric.WithDescription("Websocket connections that are open."))
	m.duration, errs[1] = meter.Float64Histogram("websocket.connection.duration", metric.WithUnit("s"),
		metric.WithDescription("How long websocket connections were open."),
		metric.WithExplicitBucketBoundaries(1, 10, 60, 300, 1800, 3600, 4*3600, 24*3600))
	m.refused, errs[2] = meter.Int64Counter("websocket.upgrades.refused", metric.WithUnit("{upgrade}"),
		metric.WithDescription("Websocket upgrades that were refused."))
	m.size, errs[3] = meter.Int64Histogram("websocket.message.size", metric.WithUnit("By"),
		metric.WithDescription("Payload of websocket messages."),
		metric.WithExplicitBucketBoundaries(16, 128, 1<<10, 8<<10, 64<<10, 512<<10, 4<<20, 32<<20))
	m.ping, errs[4] = meter.Float64Histogram("websocket.ping.duration", metric.WithUnit("s"),
		metric.WithDescription("Round trips of websocket pings."),
		metric.WithExplicitBucketBoundaries(.001, .003, .01, .03, .1, .3, 1, 3, 10))
	m.stall, errs[5] = meter.Float64Histogram("websocket.write.stall", metric.WithUnit("s"),
		metric.WithDescription("How long websocket peers took to take what was sent, if that was slow."),
		metric.WithExplicitBucketBoundaries(.001, .003, .01, .03, .1, .3, 1, 3, 10))
	m.queue, errs[6] = meter.Int64Histogram("websocket.write.queue", metric.WithUnit("By"),
		metric.WithDescription("What websocket messages had to wait behind."),
		metric.WithExplicitBucketBoundaries(256, 1<<10, 4<<10, 16<<10, 64<<10, 256<<10, 1<<20, 4<<20))
	for _, t := range []ws.MessageType{ws.Text, ws.Binary} {
		m.in[t&1] = messageAttributes("in", t)
		m.out[t&1] = messageAttributes("out", t)
	}
	return errors.Join(errs[:]...)
}

// messageAttributes are made once, so that a message needs none of its own.
func messageAttributes(direction string, t ws.MessageType) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(
		attribute.String("direction", direction), attribute.String("type", t.String())))
}

func (m *metrics) refuse(ctx context.Context, by string, status int) {
	m.refused.Add(ctx, 1, metric.WithAttributes(attribute.String("by", by), attribute.Int("http.response.status_code", status)))
}
