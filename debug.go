package ws

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxListed is how many connections a debug page lists.
const maxListed = 1000

// Debug returns a page about the handler's connections: Group.Debug of these.
func (h *Handler) Debug() http.Handler { return h.live.Debug() }

// Debug returns a page about the group: its Stats and the live connections, the
// 1000 oldest, with what was negotiated, age, silence, round trip, traffic and
// queue. It is JSON for those who ask for application/json or with ?json.
//
// It shows users' addresses, and belongs behind an authentication of its own. It
// is mounted nowhere by itself.
func (g *Group) Debug() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		report := g.report()
		if r.URL.Query().Has("json") || strings.Contains(r.Header.Get("Accept"), "application/json") {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(report)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		_, _ = w.Write(report.page())
	})
}

// debugReport is what Debug shows. Durations are in seconds.
type debugReport struct {
	Live        int              `json:"live"`
	Opened      int64            `json:"opened"`
	Refused     int64            `json:"refused"`
	Draining    bool             `json:"draining"`
	In          debugTraffic     `json:"in"`
	Out         debugTraffic     `json:"out"`
	Closed      map[string]int64 `json:"closed"`
	Last        []debugClosing   `json:"last"`
	Connections []debugConn      `json:"connections"`
}

type debugTraffic struct {
	Messages int64 `json:"messages"`
	Bytes    int64 `json:"bytes"`
}

type debugClosing struct {
	Time   time.Time `json:"time"`
	Remote string    `json:"remote"`
	Age    float64   `json:"age"`
	Cause  string    `json:"cause"`
}

type debugConn struct {
	Remote      string       `json:"remote"`
	Local       string       `json:"local"`
	Subprotocol string       `json:"subprotocol"`
	Compression bool         `json:"compression"`
	Age         float64      `json:"age"`
	Silence     float64      `json:"silence"`
	RTT         float64      `json:"rtt"`
	In          debugTraffic `json:"in"`
	Out         debugTraffic `json:"out"`
	Queued      int64        `json:"queued"`
}

func (g *Group) report() debugReport {
	s := g.Stats()
	report := debugReport{Live: s.Live, Opened: s.Opened, Refused: s.Refused, Draining: s.Draining,
		In: debugTraffic(s.In), Out: debugTraffic(s.Out), Closed: s.Closed, Last: []debugClosing{}, Connections: []debugConn{}}
	for _, l := range s.Last {
		report.Last = append(report.Last, debugClosing{l.Time, l.Remote, l.Age.Seconds(), l.Cause.Error()})
	}
	live := g.connections()
	slices.SortFunc(live, func(a, b liveConn) int { return cmp.Compare(a.opened.UnixNano(), b.opened.UnixNano()) })
	for _, l := range live[:min(len(live), maxListed)] {
		report.Connections = append(report.Connections, l.report())
	}
	return report
}

func (l liveConn) report() debugConn {
	c, s := l.conn, l.conn.Stats()
	return debugConn{
		Remote:      addrString(c.RemoteAddr()),
		Local:       addrString(c.LocalAddr()),
		Subprotocol: c.Subprotocol(),
		Compression: c.Compression().Enabled(),
		Age:         time.Since(l.opened).Seconds(),
		Silence:     s.Silence.Seconds(),
		RTT:         s.RTT.Seconds(),
		In:          debugTraffic(s.In),
		Out:         debugTraffic(s.Out),
		Queued:      s.Queued,
	}
}

func addrString(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

const debugHead = `<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>websockets</title>
<style>body{font:14px sans-serif}table{border-collapse:collapse}td,th{padding:2px 8px;text-align:left;border-bottom:1px solid #ddd}</style>
`

// page is the report for eyes. It is put together by hand: a program that links
// html/template grows by all the methods that a template might call.
func (r *debugReport) page() []byte {
	b := []byte(debugHead)
	b = fmt.Appendf(b, "<h1>%d websockets</h1>\n", r.Live)
	if r.Draining {
		b = append(b, "<p>Shutting down.</p>\n"...)
	}
	b = fmt.Appendf(b, "<p>%d opened, %d upgrades refused; %d messages (%d bytes) in, %d (%d) out</p>\n",
		r.Opened, r.Refused, r.In.Messages, r.In.Bytes, r.Out.Messages, r.Out.Bytes)
	b = append(b, "<h2>Live, the oldest first</h2>\n<table>\n"...)
	b = appendRow(b, "th", "remote", "local", "subprotocol", "compressed", "age, s", "silence, s", "round trip, s",
		"in", "bytes", "out", "bytes", "queued")
	for _, c := range r.Connections {
		b = appendRow(b, "td", c.Remote, c.Local, c.Subprotocol, c.Compression, c.Age, c.Silence, c.RTT,
			c.In.Messages, c.In.Bytes, c.Out.Messages, c.Out.Bytes, c.Queued)
	}
	b = append(b, "</table>\n<h2>Ended</h2>\n<table>\n"...)
	for _, cause := range slices.Sorted(maps.Keys(r.Closed)) {
		b = appendRow(b, "td", cause, r.Closed[cause])
	}
	b = append(b, "</table>\n<h2>The last of these</h2>\n<table>\n"...)
	for _, c := range r.Last {
		b = appendRow(b, "td", c.Time.Format(time.DateTime), c.Remote, c.Age, c.Cause)
	}
	return append(b, "</table>\n</html>\n"...)
}

// appendRow appends a row of cells, with floats as seconds.
func appendRow(b []byte, tag string, cells ...any) []byte {
	b = append(b, "<tr>"...)
	for _, cell := range cells {
		text := fmt.Sprint(cell)
		if seconds, ok := cell.(float64); ok {
			text = strconv.FormatFloat(seconds, 'f', 3, 64)
		}
		b = append(b, "<"+tag+">"+html.EscapeString(text)...)
	}
	return append(b, '\n')
}
