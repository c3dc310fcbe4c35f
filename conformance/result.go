package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Result is what came out of one case. Its JSON form has the field names of the original suite's report.
type Result struct {
	Case          *Case         `json:"-"`
	Agent         string        `json:"-"`
	Behavior      Verdict       `json:"behavior"`
	BehaviorClose Verdict       `json:"behaviorClose"`
	Duration      time.Duration `json:"-"`

	// RemoteCloseCode is the status code in the peer's close frame; 0: it had none, or there was none.
	RemoteCloseCode   int    `json:"-"`
	RemoteCloseReason string `json:"remoteCloseReason,omitempty"`

	Why      string   `json:"result,omitempty"`      // for Behavior, if there is more to say than OK
	WhyClose string   `json:"resultClose,omitempty"` // the same for BehaviorClose
	Wanted   []string `json:"expected,omitempty"`    // the outcomes that would have been fine
	Received []string `json:"received,omitempty"`    // what came instead

	// Sent and Got are the ratios of compressed to plain bytes in sections 12 and 13; 0: nothing was compressed.
	Sent float64 `json:"compressionSent,omitempty"`
	Got  float64 `json:"compressionReceived,omitempty"`
}

// Pass reports whether both verdicts are without a blemish.
func (r Result) Pass() bool { return r.Behavior.Pass() && r.BehaviorClose.Pass() }

// judge turns what happened in s into verdicts.
func judge(c *Case, sc *script, s *session) Result {
	r := Result{Case: c, RemoteCloseCode: s.remoteCode, RemoteCloseReason: s.remoteReason}
	r.Behavior, r.Why = behavior(sc, s)
	want := sc.close
	if r.Behavior == Unimplemented || sc.tolerated && r.Behavior == NonStrict {
		want = closing{byUs: true, codes: []uint16{1000, 1001}, clean: true}
	}
	r.BehaviorClose, r.WhyClose = behaviorClose(want, s)
	switch {
	case sc.informational && s.violated == nil:
		return r.informational(sc, s)
	case want.byFatal && want.byUs != s.closedByUs:
		r.Behavior, r.Why = Failed, "the peer did not notice what it had to refuse"
	case sc.codeMatters && r.BehaviorClose == WrongCode:
		r.Behavior, r.Why = Failed, r.WhyClose
	}
	if (r.Behavior == Failed || r.Behavior == NonStrict) && sc.echo == nil {
		for _, w := range sc.want {
			r.Wanted = append(r.Wanted, describe(w.events))
		}
		r.Received = []string{describe(s.received)}
	}
	if s.codec != nil {
		r.Sent, r.Got = s.codec.ratios()
	}
	return r
}

// informational replaces the verdicts and keeps what is worth knowing.
func (r Result) informational(sc *script, s *session) Result {
	r.Why = "received " + describe(s.received)
	for _, w := range sc.want {
		if sameEvents(s.received, w.events) && len(w.events) > 0 {
			r.Why = "everything sent before the close frame was answered"
		}
	}
	r.Behavior, r.BehaviorClose = Informational, Informational
	return r
}

func behavior(sc *script, s *session) (Verdict, string) {
	if s.violated != nil {
		return Failed, s.violated.Error()
	}
	if sc.deflate != nil && s.codec == nil {
		return Unimplemented, "the peer did not agree to compress"
	}
	if sc.echo != nil {
		return sc.echo.verdict, sc.echo.why
	}
	for _, w := range sc.want {
		if sameEvents(s.received, w.events) {
			return w.verdict, ""
		}
	}
	return Failed, "what was received is none of what was expected"
}

func behaviorClose(want closing, s *session) (Verdict, string) {
	switch {
	case want.byUs && !s.closedByUs:
		return Failed, joined("the peer ended the connection first", s.endReason())
	case !want.byUs && s.closedByUs:
		return Failed, joined("the peer did not end the connection", s.endReason())
	case want.clean && !s.clean():
		return Unclean, s.endReason()
	case s.remoteCode != 0 && !slices.Contains(want.codes, uint16(s.remoteCode)):
		return WrongCode, fmt.Sprintf("closed with %d, expected one of %d or no code", s.remoteCode, want.codes)
	case s.client && s.droppedByUs:
		return FailedByClient, joined("the server should end the TCP connection", s.endReason())
	}
	return OK, ""
}

func joined(a, b string) string {
	if b == "" {
		return a
	}
	return a + ": " + b
}

func describe(es []event) string {
	if len(es) == 0 {
		return "nothing"
	}
	parts := make([]string, len(es))
	for i, e := range es {
		parts[i] = e.String()
	}
	return strings.Join(parts, ", ")
}

// notOpened is the result of a case whose opening handshake failed.
func notOpened(c *Case, err error) Result {
	return Result{Case: c, Behavior: Failed, BehaviorClose: Failed, Why: "no connection: " + err.Error(),
		WhyClose: "the opening handshake was not completed"}
}
