package upgrade_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/internal/upgrade"
)

// journal notes what hooks were told, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) expect(t *testing.T, want ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if !slices.Equal(j.lines, want) {
		t.Errorf("got %q, want %q", j.lines, want)
	}
}

// layer is a middleware that notes what it is told under its name.
func (j *journal) layer(name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrade.Serve(next, w, r, upgrade.Hooks{
			Opened: func(o upgrade.Opening) { j.add("%s opened %s", name, o.Subprotocol) },
			Done: func(e upgrade.End) {
				refused := ""
				if e.Refused != nil {
					refused = e.Refused.By
				}
				j.add("%s done upgraded=%v cause=%v refused=%s in=%d", name, e.Upgraded, e.Cause, refused, e.In.Messages)
			},
		})
		j.add("%s returned", name)
	})
}

func serve(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return w
}

var errGone = errors.New("gone")

// TestConnectionEndsInsideServeHTTP is ws.Handler's Serve mode.
func TestConnectionEndsInsideServeHTTP(t *testing.T) {
	var j journal
	serve(j.layer("outer", j.layer("inner", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		rec := upgrade.From(r.Context())
		if !rec.Open(upgrade.Opening{Subprotocol: "chat"}, nil) {
			t.Error("not opened")
		}
		rec.End(upgrade.End{Cause: errGone, In: upgrade.Traffic{Messages: 3}})
	}))))
	j.expect(t, "outer opened chat", "inner opened chat",
		"inner done upgraded=true cause=gone refused= in=3", "outer done upgraded=true cause=gone refused= in=3",
		"inner returned", "outer returned")
}

// TestConnectionOutlivesServeHTTP is ws.Handler's Events mode.
func TestConnectionOutlivesServeHTTP(t *testing.T) {
	var j journal
	var rec *upgrade.Record
	serve(j.layer("outer", j.layer("inner", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		rec = upgrade.From(r.Context())
		rec.Open(upgrade.Opening{}, nil)
	}))))
	j.expect(t, "outer opened ", "inner opened ", "inner returned", "outer returned")
	j.lines = nil
	rec.End(upgrade.End{})
	rec.End(upgrade.End{Cause: errGone})
	j.expect(t, "inner done upgraded=true cause=<nil> refused= in=0", "outer done upgraded=true cause=<nil> refused= in=0")
}

func TestNoUpgrade(t *testing.T) {
	var j journal
	serve(j.layer("outer", j.layer("inner", http.NotFoundHandler())))
	j.expect(t, "inner done upgraded=false cause=<nil> refused= in=0", "inner returned",
		"outer done upgraded=false cause=<nil> refused= in=0", "outer returned")
}

func TestPanicBeforeTheUpgrade(t *testing.T) {
	var j journal
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("recovered %v", v)
		}
		j.expect(t, "outer done upgraded=false cause=<nil> refused= in=0")
	}()
	serve(j.layer("outer", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })))
}

func TestDonePanics(t *testing.T) {
	var j journal
	var rec *upgrade.Record
	serve(j.layer("outer", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		open := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			rec = upgrade.From(r.Context())
			rec.Open(upgrade.Opening{}, nil)
		})
		upgrade.Serve(open, w, r, upgrade.Hooks{Done: func(upgrade.End) { panic("oops") }})
	})))
	j.lines = nil
	defer func() {
		if v := recover(); v != "oops" {
			t.Errorf("recovered %v", v)
		}
		j.expect(t, "outer done upgraded=true cause=<nil> refused= in=0")
	}()
	rec.End(upgrade.End{})
}

// TestOuterReturnsFirst is what http.TimeoutHandler does between two layers.
func TestOuterReturnsFirst(t *testing.T) {
	var j journal
	entered, leave, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	inner := j.layer("inner", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-leave
	}))
	serve(j.layer("outer", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		go func() {
			defer close(left)
			inner.ServeHTTP(w, r)
		}()
		<-entered
	})))
	close(leave)
	<-left
	j.expect(t, "outer done upgraded=false cause=<nil> refused= in=0", "outer returned",
		"inner done upgraded=false cause=<nil> refused= in=0", "inner returned")
}

func TestRefuse(t *testing.T) {
	var j journal
	w := serve(j.layer("log", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrade.Refuse(w, r, upgrade.Refusal{By: "rate limit", Status: 429, Text: "too many", RetryAfter: 1500 * time.Millisecond,
			Header: http.Header{"X-Limit": {"5"}}})
		upgrade.Refuse(httptest.NewRecorder(), r, upgrade.Refusal{By: "second", Status: 500})
	})))
	if w.Code != 429 || w.Body.String() != "too many\n" || w.Header().Get("Retry-After") != "2" || w.Header().Get("X-Limit") != "5" {
		t.Errorf("got %d %q %v", w.Code, w.Body, w.Header())
	}
	j.expect(t, "log done upgraded=false cause=<nil> refused=rate limit in=0", "log returned")
}

func TestRefuseWithoutRecord(t *testing.T) {
	w := httptest.NewRecorder()
	upgrade.Refuse(w, httptest.NewRequest("GET", "/", nil), upgrade.Refusal{Status: 403, Text: "no"})
	if w.Code != 403 || w.Header().Get("Retry-After") != "" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
}

func TestInstall(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	rec, r1 := upgrade.Install(r)
	if rec == nil || upgrade.From(r1.Context()) != rec || upgrade.From(r.Context()) != nil {
		t.Fatal("not installed in the new request alone")
	}
	if again, r2 := upgrade.Install(r1); again != rec || r2 != r1 {
		t.Error("installed twice")
	}
	rec.Open(upgrade.Opening{}, nil)
	if other, _ := upgrade.Install(r1); other == rec {
		t.Error("took an open connection's record for that of a new request")
	}
	if rec.Open(upgrade.Opening{}, nil) {
		t.Error("opened twice")
	}
	if upgrade.From(upgrade.NewContext(context.Background(), rec)) != rec {
		t.Error("not in a context of its own")
	}
}

func TestOriginAndPrincipal(t *testing.T) {
	rec, _ := upgrade.Install(httptest.NewRequest("GET", "/", nil))
	if rec.OriginAllowed() || rec.Principal() != nil {
		t.Error("a new record knows something")
	}
	rec.AllowOrigin()
	rec.SetPrincipal("alice", time.Time{})
	if !rec.OriginAllowed() || rec.Principal() != "alice" {
		t.Error("forgotten")
	}
}

func TestNilRecord(t *testing.T) {
	rec := upgrade.From(context.Background())
	if rec != nil || rec.OriginAllowed() || rec.Principal() != nil || rec.Renew(time.Time{}) || !rec.Open(upgrade.Opening{}, nil) {
		t.Error("a nil record knows something")
	}
	rec.End(upgrade.End{})
}

// TestExpiry says for each course of events after how many minutes the connection expires, -1 for never.
func TestExpiry(t *testing.T) {
	in := func(minutes int) time.Time { return time.Now().Add(time.Duration(minutes) * time.Minute) }
	tests := []struct {
		name string
		run  func(t *testing.T, rec *upgrade.Record, open func())
		want int
	}{
		{"no principal", func(_ *testing.T, _ *upgrade.Record, open func()) { open() }, -1},
		{"never", func(_ *testing.T, rec *upgrade.Record, open func()) { rec.SetPrincipal("a", time.Time{}); open() }, -1},
		{"in time", func(_ *testing.T, rec *upgrade.Record, open func()) { rec.SetPrincipal("a", in(10)); open() }, 10},
		{"not while asking", func(_ *testing.T, rec *upgrade.Record, open func()) {
			rec.SetPrincipal("a", in(10))
			time.Sleep(20 * time.Minute)
			open()
		}, 20},
		{"renewed", func(t *testing.T, rec *upgrade.Record, open func()) {
			rec.SetPrincipal("a", in(10))
			open()
			time.Sleep(5 * time.Minute)
			renew(t, rec, in(10), true)
		}, 15},
		{"renewed before it opened", func(t *testing.T, rec *upgrade.Record, open func()) {
			rec.SetPrincipal("a", in(10))
			renew(t, rec, in(20), true)
			open()
		}, 20},
		{"renewed for ever", func(t *testing.T, rec *upgrade.Record, open func()) {
			rec.SetPrincipal("a", in(10))
			open()
			renew(t, rec, time.Time{}, true)
		}, -1},
		{"limited later", func(t *testing.T, rec *upgrade.Record, open func()) {
			open()
			renew(t, rec, in(10), true)
		}, 10},
		{"revoked", func(t *testing.T, rec *upgrade.Record, open func()) {
			rec.SetPrincipal("a", in(10))
			open()
			renew(t, rec, in(-1), true)
		}, 0},
		{"renewed too late", func(t *testing.T, rec *upgrade.Record, open func()) {
			rec.SetPrincipal("a", in(10))
			open()
			time.Sleep(11 * time.Minute)
			renew(t, rec, in(10), false)
		}, 10},
		{"ended before", func(t *testing.T, rec *upgrade.Record, open func()) {
			rec.SetPrincipal("a", in(10))
			open()
			rec.End(upgrade.End{})
			renew(t, rec, in(10), false)
		}, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				fired := []int{}
				rec := new(upgrade.Record)
				tt.run(t, rec, func() {
					rec.Open(upgrade.Opening{}, func() { fired = append(fired, int(time.Since(start).Minutes())) })
				})
				time.Sleep(time.Hour)
				synctest.Wait()
				if want := []int{tt.want}; !slices.Equal(fired, want) && (tt.want >= 0 || len(fired) > 0) {
					t.Errorf("expired at minutes %v, want %v", fired, want)
				}
			})
		})
	}
}

func renew(t *testing.T, rec *upgrade.Record, expiry time.Time, want bool) {
	t.Helper()
	if got := rec.Renew(expiry); got != want {
		t.Errorf("Renew gave %v", got)
	}
}

// TestRaces lets everything happen at once; Done must still run, and once.
func TestRaces(t *testing.T) {
	for range 200 {
		done := make(chan struct{}, 2)
		var wg sync.WaitGroup
		end := func(rec *upgrade.Record) func() { return func() { rec.End(upgrade.End{}) } }
		open := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			rec := upgrade.From(r.Context())
			rec.SetPrincipal("a", time.Now())
			rec.Open(upgrade.Opening{}, end(rec))
			wg.Go(end(rec))
			wg.Go(end(rec))
			wg.Go(func() { rec.Renew(time.Now()) })
			wg.Go(func() { rec.Principal() })
		})
		upgrade.Serve(open, httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), upgrade.Hooks{
			Done: func(upgrade.End) { done <- struct{}{} },
		})
		wg.Wait()
		<-done // perhaps the expiry's, which nobody waits for
		if len(done) > 0 {
			t.Fatal("Done ran twice")
		}
	}
}
