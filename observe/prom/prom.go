// Package prom exports what happens to websocket connections to Prometheus:
//
//	websocket_connections                              gauge      open now
//	websocket_connections_opened_total                 counter
//	websocket_connections_closed_total{cause}          counter    cause: see ws.CauseLabel
//	websocket_connection_duration_seconds              histogram  of connections that have ended
//	websocket_upgrades_refused_total{by,status}        counter    by: "origin", "rate limit", "handshake", ...
//	websocket_messages_total{direction,type}           counter    direction: "in", "out"; type: "text", "binary"
//	websocket_message_bytes{direction}                 histogram  payload, unpacked; its _sum is the traffic
//	websocket_ping_round_trip_seconds                  histogram  keepalive's pings and Conn.Ping
//	websocket_write_stall_seconds                      histogram  the peer was slow to take what was sent
//	websocket_write_queue_bytes                        histogram  what a message had to wait behind, if anything
//
// "websocket" is Options.Namespace.
package prom

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidewire/ws"
)

// Options are the settings of New.
type Options struct {
	Namespace   string            // what the names begin with; default "websocket"
	ConstLabels prometheus.Labels // on every metric, to tell several observers apart
}

// New registers the metrics and returns an observer that keeps them, for
// ws.Options, ws.DialOptions and ws.ObserveRefusals. It may serve many handlers.
// It panics if metrics of the same names and labels are registered already.
func New(r prometheus.Registerer, o Options) *ws.Observer {
	if o.Namespace == "" {
		o.Namespace = "websocket"
	}
	m := newMetrics(o)
	r.MustRegister(m.live, m.opened, m.closed, m.duration, m.refused, m.messages, m.size, m.roundTrip, m.stall, m.queue)
	return &ws.Observer{
		Opened: m.onOpened,
		Closed: m.onClosed,
		Refused: func(_ context.Context, by string, status int) {
			m.refused.WithLabelValues(by, strconv.Itoa(status)).Inc()
		},
		MessageIn: func(_ *ws.Conn, t ws.MessageType, n int) {
			m.in.message(t, n)
		},
		MessageOut: func(_ *ws.Conn, t ws.MessageType, n int) {
			m.out.message(t, n)
		},
		RoundTrip:    func(_ *ws.Conn, d time.Duration) { m.roundTrip.Observe(d.Seconds()) },
		WriteStalled: func(_ *ws.Conn, d time.Duration) { m.stall.Observe(d.Seconds()) },
		Queued:       func(_ *ws.Conn, n int) { m.queue.Observe(float64(n)) },
	}
}

type metrics struct {
	live      prometheus.Gauge
	opened    prometheus.Counter
	closed    *prometheus.CounterVec
	duration  prometheus.Histogram
	refused   *prometheus.CounterVec
	messages  *prometheus.CounterVec
	size      *prometheus.HistogramVec
	roundTrip prometheus.Histogram
	stall     prometheus.Histogram
	queue     prometheus.Histogram

	in, out direction
	since   sync.Map // *ws.Conn: time.Time
}

// direction has the metrics of one, so that a message needs no look-up.
type direction struct {
	text, binary prometheus.Counter
	size         prometheus.Observer
}

func (d *direction) message(t ws.MessageType, n int) {
	if t == ws.Text {
		d.text.Inc()
	} else {
		d.binary.Inc()
	}
	d.size.Observe(float64(n))
}

func newMetrics(o Options) *metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: o.Namespace, Name: name, Help: help, ConstLabels: o.ConstLabels}
	}
	histogram := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Namespace: o.Namespace, Name: name, Help: help, ConstLabels: o.ConstLabels, Buckets: buckets}
	}
	var (
		sizes  = prometheus.ExponentialBuckets(16, 8, 8)       // 16 B to 32 MiB
		waits  = prometheus.ExponentialBuckets(0.001, 2.5, 11) // 1 ms to 10 s
		trips  = prometheus.ExponentialBuckets(0.0005, 2.5, 11)
		queues = prometheus.ExponentialBuckets(256, 4, 8) // 256 B to 4 MiB
		spans  = []float64{1, 10, 60, 300, 1800, 3600, 4 * 3600, 24 * 3600}
	)
	m := &metrics{
		live:      prometheus.NewGauge(prometheus.GaugeOpts(counter("connections", "Websocket connections that are open."))),
		opened:    prometheus.NewCounter(counter("connections_opened_total", "Websocket connections that were opened.")),
		closed:    prometheus.NewCounterVec(counter("connections_closed_total", "Websocket connections that ended, by cause."), []string{"cause"}),
		duration:  prometheus.NewHistogram(histogram("connection_duration_seconds", "How long websocket connections were open.", spans)),
		refused:   prometheus.NewCounterVec(counter("upgrades_refused_total", "Websocket upgrades that were refused."), []string{"by", "status"}),
		messages:  prometheus.NewCounterVec(counter("messages_total", "Websocket messages."), []string{"direction", "type"}),
		size:      prometheus.NewHistogramVec(histogram("message_bytes", "Payload of websocket messages.", sizes), []string{"direction"}),
		roundTrip: prometheus.NewHistogram(histogram("ping_round_trip_seconds", "Round trips of websocket pings.", trips)),
		stall:     prometheus.NewHistogram(histogram("write_stall_seconds", "How long websocket peers took to take what was sent, if that was slow.", waits)),
		queue:     prometheus.NewHistogram(histogram("write_queue_bytes", "What websocket messages had to wait behind.", queues)),
	}
	m.in, m.out = m.direction("in"), m.direction("out")
	return m
}

func (m *metrics) direction(name string) direction {
	return direction{
		text:   m.messages.WithLabelValues(name, ws.Text.String()),
		binary: m.messages.WithLabelValues(name, ws.Binary.String()),
		size:   m.size.WithLabelValues(name),
	}
}

func (m *metrics) onOpened(_ context.Context, c *ws.Conn) {
	m.opened.Inc()
	m.live.Inc()
	m.since.Store(c, time.Now())
	if cause := context.Cause(c.Context()); cause != nil { // it has ended already, and onClosed may have missed it
		m.onClosed(c, cause)
	}
}

func (m *metrics) onClosed(c *ws.Conn, cause error) {
	since, ok := m.since.LoadAndDelete(c)
	if !ok {
		return
	}
	m.live.Dec()
	m.closed.WithLabelValues(ws.CauseLabel(cause)).Inc()
	m.duration.Observe(time.Since(since.(time.Time)).Seconds())
}
