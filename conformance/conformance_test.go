package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewire/ws/wstest"
)

// The original suite has 517 cases in its present version, so many in each chapter.
func TestCaseNumbers(t *testing.T) {
	want := map[string]int{"1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145, "7": 37, "9": 54, "10": 1, "12": 90, "13": 126}
	got, total := map[string]int{}, 0
	seen := map[string]bool{}
	for _, c := range allCases() {
		if seen[c.ID] {
			t.Errorf("case %s twice", c.ID)
		}
		seen[c.ID] = true
		if c.Title == "" || c.Expect == "" || c.Section == "" {
			t.Errorf("case %s is not described", c.ID)
		}
		if c.chapter() != "X" {
			got[c.chapter()]++
			total++
		}
	}
	if !maps.Equal(got, want) || total != 517 {
		t.Errorf("%d cases: %v, want 517: %v", total, got, want)
	}
}

func TestCasePatterns(t *testing.T) {
	for _, tt := range []struct {
		cases, exclude, want string
	}{
		{"1.1.*", "1.1.[2-8]", "1.1.1"},
		{"7.13.*", "", "7.13.1 7.13.2"},
		{"10.* 2.1", "", "2.1 10.1.1"},
		{"X.1.*", "X.1.[1-6]", "X.1.7"},
	} {
		cases, err := Cases(strings.Fields(tt.cases), strings.Fields(tt.exclude))
		if err != nil {
			t.Errorf("%s: %v", tt.cases, err)
		}
		var ids []string
		for _, c := range cases {
			ids = append(ids, c.ID)
		}
		if got := strings.Join(ids, " "); got != tt.want {
			t.Errorf("%q without %q: %s, want %s", tt.cases, tt.exclude, got, tt.want)
		}
	}
	for _, p := range []string{"8.*", "1.1.9", "["} {
		if _, err := Cases([]string{p}, nil); err == nil {
			t.Errorf("%q is no error", p)
		}
	}
}

// ask connects to a server of the suite and returns the message that it sends.
func ask(t *testing.T, ln *wstest.Listener, path string) string {
	t.Helper()
	d, err := dial(t.Context(), "ws://memory"+path, nil, ln.DialContext)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	s := newSession(d.conn, true, d.early, nil, Options{}.withDefaults().clock())
	defer s.out.stop()
	defer d.conn.Close()
	s.readUntil(time.Minute, func() bool { return s.closeReceived })
	s.finish()
	if s.violated != nil || s.remoteCode != 1000 || !s.clean() {
		t.Errorf("%s: closed with %d, %v, %s", path, s.remoteCode, s.violated, s.endReason())
	}
	if len(s.received) == 0 {
		return ""
	}
	return string(s.received[0].data)
}

func TestServerProtocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := NewServer(Options{Cases: []string{"1.1.1", "6.4.1", "7.7.3"}})
		if err != nil {
			t.Fatal(err)
		}
		var updates []string
		server.OnUpdate = func(agent string) { updates = append(updates, agent) }
		ln := new(wstest.Listener)
		served := make(chan error, 1)
		go func() { served <- server.Serve(ln) }()

		if got := ask(t, ln, "/getCaseCount"); got != "3" {
			t.Errorf("count is %s", got)
		}
		var info struct{ ID, Description string }
		if err := json.Unmarshal([]byte(ask(t, ln, "/getCaseInfo?case=2")), &info); err != nil || info.ID != "6.4.1" || info.Description == "" {
			t.Errorf("info %+v, %v", info, err)
		}
		for i, want := range []Verdict{OK, NonStrict, OK} {
			q := fmt.Sprintf("?case=%d&agent=late", i+1)
			if i == 2 {
				q = "?casetuple=7.7.3&agent=late"
			}
			// A client may ask for the status while its case is running.
			status := make(chan string, 1)
			go func() { status <- ask(t, ln, "/getCaseStatus"+q) }()
			if err := dialPeer(t.Context(), "ws://memory/runCase"+q, ln.DialContext, faults{lateUTF8Check: true}); err != nil {
				t.Error(err)
			}
			if got := <-status; got != `{"behavior":"`+string(want)+`"}` {
				t.Errorf("status of case %d is %s, want %s", i+1, got, want)
			}
		}
		if got := ask(t, ln, "/updateReports?agent=late"); got != "" || !slices.Equal(updates, []string{"late"}) {
			t.Errorf("update sent %q and told %v", got, updates)
		}
		for _, path := range []string{"/", "/runCase?case=1", "/runCase?agent=x", "/runCase?case=4&agent=x", "/getCaseInfo?casetuple=1.1.2"} {
			if _, err := dial(t.Context(), "ws://memory"+path, nil, ln.DialContext); err == nil || !strings.Contains(err.Error(), "400") {
				t.Errorf("%s: %v, want 400", path, err)
			}
		}
		server.Close()
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
}

func TestClientThatNeverConnects(t *testing.T) {
	refused := errors.New("no network today")
	r, err := TestClient(t.Context(), func(context.Context, string) error { return refused },
		Options{Cases: []string{"1.1.1"}, Agent: "lazy", Listener: new(wstest.Listener)})
	if err != nil {
		t.Fatal(err)
	}
	res := r.Results("lazy")
	if len(res) != 1 || res[0].Behavior != Failed || !strings.Contains(res[0].Why, refused.Error()) {
		t.Errorf("results: %v", res)
	}
}

func TestCancelledRun(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	r, err := TestServer(ctx, "ws://127.0.0.1:1/", Options{Cases: []string{"1.*"}})
	if !errors.Is(err, why) || len(r.Agents()) != 0 {
		t.Errorf("%v, %v", r.Agents(), err)
	}
}

func TestHandshakeResponses(t *testing.T) {
	const key = "dGhlIHNhbXBsZSBub25jZQ==" // of RFC 6455 1.3, as is the answer
	good := func() *http.Response {
		return &http.Response{StatusCode: 101, Status: "101 Switching Protocols", Header: http.Header{
			"Upgrade": {"WebSocket"}, "Connection": {"keep-alive, upgrade"}, "Sec-Websocket-Accept": {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
		}}
	}
	if err := checkResponse(good(), key); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*http.Response){
		"status":      func(r *http.Response) { r.StatusCode = 200 },
		"upgrade":     func(r *http.Response) { r.Header.Set("Upgrade", "websockets") },
		"connection":  func(r *http.Response) { r.Header.Set("Connection", "keep-alive") },
		"accept":      func(r *http.Response) { r.Header.Set("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo") },
		"subprotocol": func(r *http.Response) { r.Header.Set("Sec-WebSocket-Protocol", "chat") },
	} {
		r := good()
		spoil(r)
		if checkResponse(r, key) == nil {
			t.Errorf("a wrong %s is no error", name)
		}
	}
}

func TestReport(t *testing.T) {
	cases, err := Cases([]string{"1.1.1", "1.1.2", "7.9.1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := newReport(cases)
	for i, res := range []Result{
		{Behavior: Failed, BehaviorClose: WrongCode, RemoteCloseCode: 1001, Why: "because"},
		{Behavior: OK, BehaviorClose: OK, RemoteCloseCode: 1000},
		{Behavior: OK, BehaviorClose: OK},
	} {
		res.Case, res.Agent = cases[len(cases)-1-i], "some agent"
		r.add(res, nil)
	}
	if b := r.Blemishes(); len(b) != 1 || b[0].Case.ID != "7.9.1" {
		t.Errorf("blemishes: %v", b)
	}
	var text, js bytes.Buffer
	if err := errors.Join(r.WriteText(&text), r.WriteJSON(&js)); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"some agent: 3 of 3 cases", "1.1    2      2 OK       2 OK", "7.9    1      1 FAILED   1 WRONG CODE", "because"} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("no %q in\n%s", line, &text)
		}
	}
	var parsed map[string]map[string]struct {
		Behavior, BehaviorClose string
		RemoteCloseCode         *int
		Duration                *int
	}
	if err := json.Unmarshal(js.Bytes(), &parsed); err != nil {
		t.Fatal(err)
	}
	failed, passed := parsed["some agent"]["7.9.1"], parsed["some agent"]["1.1.1"]
	if failed.Behavior != "FAILED" || failed.BehaviorClose != "WRONG CODE" || *failed.RemoteCloseCode != 1001 || failed.Duration == nil {
		t.Errorf("7.9.1 is %+v", failed)
	}
	if passed.Behavior != "OK" || passed.RemoteCloseCode != nil {
		t.Errorf("1.1.1 is %+v", passed)
	}
}
