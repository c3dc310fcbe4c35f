package ws_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/conn"
)

func TestStats(t *testing.T) {
	bubbles(t, func(t *testing.T, handler func(onMessage) *ws.Handler) {
		h := handler(echoMessage)
		s := inMemory(t, h)
		a, b := s.dial(), s.dial()
		roundTrip(t, a, "hello")
		roundTrip(t, b, "hi")
		if _, _, err := s.try("Origin", "null"); err == nil {
			t.Error("not refused")
		}
		both := ws.Traffic{Messages: 2, Bytes: 7}
		if got := h.Stats(); got.Live != 2 || got.Opened != 2 || got.Refused != 1 || got.In != both || got.Out != both || len(got.Closed) > 0 {
			t.Errorf("live: %+v", got)
		}
		time.Sleep(3 * time.Second)
		if err := a.Close(t.Context(), ws.StatusNormal, ""); err != nil {
			t.Error(err)
		}
		b.CloseNow()
		synctest.Wait()
		got := h.Stats()
		if got.Live != 0 || got.Opened != 2 || got.In != both || got.Out != both || got.Draining {
			t.Errorf("ended: %+v", got)
		}
		if want := map[string]int64{"close_1000": 1, "close_1006": 1}; !maps.Equal(got.Closed, want) {
			t.Errorf("closed %v, want %v", got.Closed, want)
		}
		if len(got.Last) != 2 || got.Last[0].Age != 3*time.Second || got.Last[1].Cause == nil || got.Last[0].Remote == got.Last[1].Remote {
			t.Errorf("last: %+v", got.Last)
		}
	})
}

// TestStatsLast checks that the latest are kept, and that they come first.
func TestStatsLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g ws.Group
		s := inMemory(t, &ws.Handler{Serve: echo, Options: ws.Options{Group: &g}})
		for i := range 20 {
			if err := s.dial().Close(t.Context(), 4000+ws.StatusCode(i), ""); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		last := g.Stats().Last
		for i, l := range last {
			if got := ws.CloseStatus(l.Cause); got != 4019-ws.StatusCode(i) {
				t.Errorf("number %d has code %d", i, got)
			}
		}
		if len(last) != 16 {
			t.Errorf("%d are kept", len(last))
		}
	})
}

func TestCauseLabel(t *testing.T) {
	for want, err := range map[string]error{
		"idle":            fmt.Errorf("wrapped: %w", conn.ErrIdle),
		"shutdown":        conn.ErrShutdown,
		"rate_limit":      conn.ErrRateLimit,
		"protocol":        &ws.ProtocolError{Code: ws.StatusInvalidData},
		"close_1000":      &ws.CloseError{Code: ws.StatusNormal},
		"close_1006":      &ws.CloseError{Code: ws.StatusAbnormal, Err: io.EOF},
		"close_timeout":   &ws.CloseError{Code: ws.StatusAbnormal, Err: conn.ErrCloseTimeout},
		"close_3000":      &ws.CloseError{Code: 3000},
		"close_3xxx":      &ws.CloseError{Code: 3999},
		"close_4xxx":      &ws.CloseError{Code: 4321},
		"close_other":     &ws.CloseError{Code: 2000},
		"other":           errors.New("dog ate it"),
		"message_timeout": conn.ErrMessageTimeout,
	} {
		if got := ws.CauseLabel(err); got != want {
			t.Errorf("%v: got %s, want %s", err, got, want)
		}
	}
}

func TestDebugJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &ws.Handler{Serve: echo, Options: ws.Options{Subprotocols: []string{"chat"}, Compression: ws.CompressionNoTakeover}}
		s := inMemory(t, h)
		s.options.Subprotocols, s.options.Compression = []string{"chat"}, ws.CompressionNoTakeover
		old := s.dial()
		time.Sleep(2 * time.Second)
		c := s.dial()
		roundTrip(t, c, "hello")
		s.dial().Close(t.Context(), 4001, "<b>")
		synctest.Wait()

		var got struct {
			Live        int
			Closed      map[string]int
			Last        []struct{ Cause string }
			Connections []struct {
				Remote, Subprotocol string
				Compression         bool
				Age                 float64
				In, Out             struct{ Messages, Bytes int }
			}
		}
		w := httptest.NewRecorder()
		h.Debug().ServeHTTP(w, httptest.NewRequest("GET", "/?json", nil))
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err, w.Body)
		}
		if got.Live != 2 || got.Closed["close_4xxx"] != 1 || len(got.Last) != 1 || !strings.Contains(got.Last[0].Cause, "4001") || len(got.Connections) != 2 {
			t.Fatalf("got %s", w.Body)
		}
		first, second := got.Connections[0], got.Connections[1]
		if first.Age != 2 || second.Age != 0 || first.Remote == second.Remote || first.In.Messages != 0 ||
			second.In.Bytes != 5 || second.Out.Messages != 1 || second.Subprotocol != "chat" || !second.Compression {
			t.Errorf("got %s", w.Body)
		}
		old.CloseNow()

		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", "application/json")
		w = httptest.NewRecorder()
		h.Debug().ServeHTTP(w, r)
		if ct := w.Header().Get("Content-Type"); ct != "application/json" || !json.Valid(w.Body.Bytes()) {
			t.Errorf("by Accept: %s %s", ct, w.Body)
		}
	})
}

func TestDebugPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &ws.Handler{Serve: echo}
		s := inMemory(t, h)
		roundTrip(t, s.dial(), "hello")
		s.dial().Close(t.Context(), 4001, "<script>")
		synctest.Wait()
		w := httptest.NewRecorder()
		h.Debug().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		page := w.Body.String()
		for _, want := range []string{"1 websockets", "<td>192.0.2.2:1", "close_4xxx", "&lt;script&gt;"} {
			if !strings.Contains(page, want) {
				t.Errorf("no %q in %s", want, page)
			}
		}
		if strings.Contains(page, "<script>") || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("got %v %s", w.Header(), page)
		}
	})
}

// TestOptionsChecked: a handler whose options can't be meant says so at its first use, and from then on.
func TestOptionsChecked(t *testing.T) {
	for want, h := range map[string]*ws.Handler{
		"Options.Origins":      {Serve: echo, Options: ws.Options{Origins: []string{"example.com"}}},
		"Options.Subprotocols": {Serve: echo, Options: ws.Options{Subprotocols: []string{"a b"}}},
		"Options.Header":       {Serve: echo, Options: ws.Options{Header: http.Header{"Upgrade": {"x"}}}},
	} {
		for range 2 {
			var log logbook
			h.Options.Logger = log.logger()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), "GET", "/", nil))
			if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "Options") {
				t.Errorf("%s: got %d %s", want, w.Code, w.Body)
			}
			log.expect(t, want)
		}
	}
}
