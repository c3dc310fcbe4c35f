package middleware

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/internal/upgrade"
)

// AccessLog logs each upgrade and each connection's end; nil is slog.Default().
//
//	level=INFO msg="websocket opened" host=… path=… remote=… subprotocol=… extensions=…
//	level=INFO msg="websocket closed" host=… path=… remote=… duration=… messages_in=… bytes_in=… messages_out=… bytes_out=… code=… cause=…
//	level=WARN msg="websocket refused" host=… path=… remote=… by=… status=… reason=…
//
// Within RequestID all of them have request_id, too. An upgrade that was answered
// in another way, such as a 404, has "websocket not opened" in its last line. code
// is the peer's close code, or what it was told after breaking the protocol. The
// query is left out, for there may be secrets in it.
func AccessLog(logger *slog.Logger) func(http.Handler) http.Handler {
	return upgrades(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		l := &accessLine{logger: logger, who: []slog.Attr{
			slog.String("host", strings.Clone(r.Host)),
			slog.String("path", strings.Clone(r.URL.Path)),
			slog.String("remote", r.RemoteAddr),
		}}
		if id := RequestIDOf(r.Context()); id != "" {
			l.who = append(l.who, slog.String("request_id", id))
		}
		upgrade.Serve(next, w, r, upgrade.Hooks{Opened: l.opened, Done: l.done})
	})
}

// accessLine is what AccessLog keeps of an upgrade: not the request, see upgrade.Record.
type accessLine struct {
	logger *slog.Logger
	who    []slog.Attr
	since  time.Time
}

func (l *accessLine) log(level slog.Level, msg string, attrs ...slog.Attr) {
	loggerOr(l.logger).LogAttrs(context.Background(), level, msg, append(l.who[:len(l.who):len(l.who)], attrs...)...)
}

// opened logs in another goroutine, and waits for it: stacks don't shrink soon, and
// on the connection's own the 8 KiB that loggers need would stay for all its life.
func (l *accessLine) opened(o upgrade.Opening) {
	l.since = time.Now()
	if !loggerOr(l.logger).Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		l.log(slog.LevelInfo, "websocket opened",
			slog.String("subprotocol", o.Subprotocol),
			slog.String("extensions", o.Extensions))
	}()
	<-logged
}

func (l *accessLine) done(e upgrade.End) {
	switch {
	case e.Upgraded:
		l.closed(e)
	case e.Refused != nil:
		l.log(slog.LevelWarn, "websocket refused",
			slog.String("by", e.Refused.By),
			slog.Int("status", e.Refused.Status),
			slog.String("reason", e.Refused.Text))
	default:
		l.log(slog.LevelWarn, "websocket not opened")
	}
}

func (l *accessLine) closed(e upgrade.End) {
	attrs := []slog.Attr{
		slog.Duration("duration", time.Since(l.since)),
		slog.Int64("messages_in", e.In.Messages),
		slog.Int64("bytes_in", e.In.Bytes),
		slog.Int64("messages_out", e.Out.Messages),
		slog.Int64("bytes_out", e.Out.Bytes),
	}
	if code := ws.CloseStatus(e.Cause); code != 0 {
		attrs = append(attrs, slog.Int("code", int(code)))
	}
	l.log(slog.LevelInfo, "websocket closed", append(attrs, slog.Any("cause", e.Cause))...)
}
