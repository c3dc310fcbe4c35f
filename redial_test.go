package ws_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws"
)

// A scene answers upgrades in turn: with a status other than 101, and Retry-After, or with a connection that it closes.
type scene struct {
	status     int
	retryAfter string
	after      time.Duration // the connection's life
	code       ws.StatusCode // 0: it is dropped
	reason     string
}

// play serves scenes, and sends each request's Authorization to auth. The last scene goes on for ever.
func play(t *testing.T, scenes ...scene) *site {
	next := 0
	return inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sc := scenes[min(next, len(scenes)-1)]
		next++
		if sc.status != 0 {
			if sc.retryAfter != "" {
				w.Header().Set("Retry-After", sc.retryAfter)
			}
			w.WriteHeader(sc.status)
			return
		}
		h := ws.Handler{Serve: func(ctx context.Context, c *ws.Conn) error {
			select {
			case <-time.After(sc.after):
			case <-c.CloseRead(ctx).Done():
			}
			if sc.code == 0 {
				c.CloseNow()
				return nil
			}
			return ws.Status(sc.code, sc.reason)
		}}
		h.ServeHTTP(w, r)
	}))
}

// stay connects for a while and says what happened when.
func stay(t *testing.T, r *ws.Redialer, d time.Duration) (story []string, last error) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	start := time.Now()
	for c, err := range r.Conns(ctx) {
		var retry *ws.Retry
		switch {
		case err == nil:
			story = append(story, fmt.Sprintf("connected at %v", time.Since(start).Round(time.Millisecond))) // backoffs are no part of it
			_, _, _ = c.Read(ctx)
		case errors.As(err, &retry):
			story = append(story, fmt.Sprintf("failure %d", retry.Attempt))
		default:
			last = err
		}
	}
	return story, last
}

func redialer(s *site) *ws.Redialer {
	return &ws.Redialer{URL: s.url, Options: s.options, MinBackoff: time.Nanosecond, MaxBackoff: time.Nanosecond}
}

func TestRedialer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		scenes []scene
		want   string // of the story, a piece
		last   string
	}{
		{"goes on after a lost connection", []scene{{after: time.Second}, {after: 10 * time.Second}},
			"connected at 0s|failure 1|connected at 1s", "deadline"},
		{"goes on after 1012", []scene{{after: time.Second, code: ws.StatusServiceRestart}, {after: time.Second}},
			"connected at 0s|failure 1|connected at 1s|failure 1|connected at 2s", "deadline"},
		{"goes on after 503", []scene{{status: 503}, {after: 10 * time.Second}}, "failure 1|connected at 0s", "deadline"},
		{"waits as the close reason says", []scene{{code: ws.StatusServiceRestart, reason: "retry-after=2.5"}, {after: 10 * time.Second}},
			"connected at 0s|failure 1|connected at 2.5s", "deadline"},
		{"waits as Retry-After says", []scene{{status: 429, retryAfter: "3"}, {after: 10 * time.Second}}, "failure 1|connected at 3", "deadline"},
		{"waits for a date", []scene{{status: 503, retryAfter: "Sat, 01 Jan 2000 00:00:04 GMT"}, {after: 10 * time.Second}},
			"failure 1|connected at 4", "deadline"},
		{"gives up after 404", []scene{{status: 404}}, "", "404"},
		{"gives up after 401", []scene{{after: time.Second}, {status: 401}}, "connected at 0s|failure 1", "401"},
		{"gives up after 1008", []scene{{code: ws.StatusPolicyViolation}}, "connected at 0s", "1008"},
		{"goes on after 3000", []scene{{code: 3000}, {after: 10 * time.Second}}, "connected at 0s|failure 1|connected at 0s", "deadline"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := redialer(play(t, tt.scenes...))
				story, last := stay(t, r, 5*time.Second)
				if got := strings.Join(story, "|"); !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
					t.Errorf("got %s, want %s", got, tt.want)
				}
				if last == nil || !strings.Contains(last.Error(), tt.last) {
					t.Errorf("last error %v, want %s", last, tt.last)
				}
			})
		})
	}
}

// TestRedialerBackoff collects waits, which must be random parts of bounds that double.
func TestRedialerBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := redialer(play(t, scene{status: 500}))
		r.MinBackoff, r.MaxBackoff = time.Second, 8*time.Second
		bounds := []time.Duration{1 * time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 8 * time.Second, 8 * time.Second}
		var sums [6]time.Duration
		const rounds = 100
		for range rounds {
			for _, err := range r.Conns(t.Context()) {
				var retry *ws.Retry
				if !errors.As(err, &retry) {
					t.Fatal(err)
				}
				i := retry.Attempt - 1
				if retry.Wait < 0 || retry.Wait > bounds[i] {
					t.Fatalf("attempt %d waits %v", retry.Attempt, retry.Wait)
				}
				if sums[i] += retry.Wait; i == len(bounds)-1 {
					break
				}
			}
		}
		for i, sum := range sums {
			if mean := sum / rounds; mean < bounds[i]/3 || mean > bounds[i]*2/3 {
				t.Errorf("attempt %d waits %v on average, of %v at most", i+1, mean, bounds[i])
			}
		}
	})
}

// TestRedialerStartsOver checks that a connection which has lasted makes the next failure the first one.
func TestRedialerStartsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := redialer(play(t, scene{status: 500}, scene{status: 500}, scene{after: time.Minute}, scene{status: 500}, scene{after: time.Hour}))
		r.MinBackoff, r.MaxBackoff = time.Nanosecond, time.Second
		story, _ := stay(t, r, 2*time.Minute)
		story = slices.DeleteFunc(story, func(s string) bool { return strings.HasPrefix(s, "connected") })
		if got := strings.Join(story, "|"); got != "failure 1|failure 2|failure 1|failure 2" {
			t.Errorf("got %s", got)
		}
	})
}

// TestRedialerConfigure renews a credential for each attempt.
func TestRedialerConfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		r := redialer(inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen = append(seen, r.Header.Get("Authorization"))
			w.WriteHeader(http.StatusServiceUnavailable)
		})))
		r.Options.Header = http.Header{"X-App": {"1"}}
		n := 0
		r.Configure = func(_ context.Context, o *ws.DialOptions) error {
			if n++; n == 2 {
				return errors.New("no token to be had")
			}
			o.Header.Set("Authorization", fmt.Sprint("token ", n))
			return nil
		}
		var errs []error
		for _, err := range r.Conns(t.Context()) {
			if errs = append(errs, err); len(errs) == 3 {
				break
			}
		}
		if !slices.Equal(seen, []string{"token 1", "token 3"}) || !strings.Contains(errs[1].Error(), "no token to be had") {
			t.Errorf("seen %q, errors %v", seen, errs)
		}
		if len(r.Options.Header) != 1 {
			t.Errorf("Options were changed: %v", r.Options.Header)
		}
	})
}

// TestRedialerPermanent has the user decide.
func TestRedialerPermanent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := redialer(play(t, scene{status: 404}, scene{code: 4001}))
		r.Permanent = func(resp *http.Response, err error) bool { return ws.CloseStatus(err) == 4001 }
		story, last := stay(t, r, time.Minute)
		if len(story) != 2 || ws.CloseStatus(last) != 4001 {
			t.Errorf("got %q, %v", story, last)
		}
	})
}

// TestRedialerBreak checks that a connection which the body has left open is closed.
func TestRedialerBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &ws.Handler{Serve: echo}
		r := redialer(inMemory(t, h))
		for c, err := range r.Conns(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			roundTrip(t, c, "hello")
			break
		}
		synctest.Wait()
		if got := h.Stats(); got.Live != 0 || got.Closed["close_1000"] != 1 {
			t.Errorf("got %+v", got)
		}
	})
}
