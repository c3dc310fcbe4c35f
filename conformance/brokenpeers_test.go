package conformance

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/tidewire/ws/wstest"
)

// direction runs the suite against the test peer as a server or as a client, in memory and in a bubble, where waiting
// costs no time.
type direction struct {
	name string
	run  func(t *testing.T, ln *wstest.Listener, fs faults, o Options) (*Report, error)
}

var directions = []direction{
	{"server", func(t *testing.T, ln *wstest.Listener, fs faults, o Options) (*Report, error) {
		go servePeer(ln, fs)
		o.Dial = ln.DialContext
		return TestServer(t.Context(), "ws://memory/", o)
	}},
	{"client", func(t *testing.T, ln *wstest.Listener, fs faults, o Options) (*Report, error) {
		o.Listener = ln
		return TestClient(t.Context(), func(ctx context.Context, url string) error { return dialPeer(ctx, url, ln.DialContext, fs) }, o)
	}},
}

// inMemory runs all cases at once and hands the complete report to check.
func (d direction) inMemory(t *testing.T, fs faults, o Options, check func(t *testing.T, r *Report)) {
	synctest.Test(t, func(t *testing.T) {
		ln := new(wstest.Listener)
		defer ln.Close()
		o.Agent, o.Parallel = "peer", 1000
		r, err := d.run(t, ln, fs, o)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Complete("peer") {
			t.Error("not all cases were run")
		}
		check(t, r)
	})
}

func passes(t *testing.T, r *Report) {
	for _, res := range r.Blemishes() {
		t.Errorf("%v", res)
	}
}

// longRows are the cases of sections 12 and 13 with messages of 32 KiB and more, most of the work there.
var longRows = []string{"1[23].*.8", "1[23].*.9", "1[23].*.10", "1[23].*.1[3-8]"}

func TestSoundPeerPassesEverything(t *testing.T) {
	for _, d := range directions {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			o := Options{Scale: 1000}
			if raceEnabled {
				o.Exclude = longRows
			}
			d.inMemory(t, faults{}, o, passes)
		})
	}
}

// Over TCP, real time passes, and the machine may be busy: hence the patience.
func TestSoundPeerPassesOverTCP(t *testing.T) {
	o := Options{Exclude: bulky, Patience: 30, Agent: "peer"}
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		go servePeer(ln, faults{})
		r, err := TestServer(t.Context(), "ws://"+ln.Addr().String()+"/", o)
		if err != nil {
			t.Fatal(err)
		}
		passes(t, r)
	})
	t.Run("client", func(t *testing.T) {
		t.Parallel()
		r, err := TestClient(t.Context(), func(ctx context.Context, url string) error { return dialPeer(ctx, url, nil, faults{}) }, o)
		if err != nil {
			t.Fatal(err)
		}
		passes(t, r)
	})
}

// blemish is what a broken peer gets for the cases that match the patterns, except those behind an exclamation mark.
// An empty close stands for any verdict.
type blemish struct {
	patterns        string
	behavior, close Verdict
}

// The cases in which the peer has to fail the connection, and those in which it has to echo or to answer pings and then
// takes part in a clean close. Those of section 7 are in neither.
var (
	refusals = "2.5 3.* 4.* 5.1 5.2 5.9 5.1? !5.19 6.3.* 6.4.* X.1.* X.2.8 X.2.9 X.2.1? " + sequences(false)
	services = "1.* 2.* !2.5 5.3 5.4 5.5 5.6 5.7 5.8 5.19 5.20 6.1.* 6.2.* 10.1.1 X.2.? !X.2.8 !X.2.9 " + sequences(true)
)

// sequences are the cases from 6.5 on whose text is valid, or not.
func sequences(valid bool) string {
	var ids []string
	for i, g := range utf8Sequences() {
		for j, s := range g.payloads {
			if utf8.ValidString(s) == valid {
				ids = append(ids, fmt.Sprintf("6.%d.%d", i+5, j+1))
			}
		}
	}
	return strings.Join(ids, " ")
}

// The race detector has seen the suite with a sound peer, and it has nothing else to see here.
func skipUnderRace(t *testing.T) {
	if raceEnabled {
		t.Skip("slow under the race detector")
	}
}

const (
	pings      = "2.1 2.2 2.3 2.4 2.6 2.9 2.10 2.11"
	innerPings = "5.6 5.7 5.8 5.19 5.20 X.2.7"
	cleanClose = "7.1.* !7.1.6 7.3.* !7.3.2 !7.3.6 7.7.*"
	badClose   = "7.3.2 7.5.1 7.9.*" // not 7.3.6, whose frame is too long
)

func TestBrokenPeersFail(t *testing.T) {
	skipUnderRace(t)
	none := []blemish{}
	for name, tt := range map[string]struct {
		faults faults
		want   []blemish // of the peer as a server
		client []blemish // as a client, if other than want
	}{
		"no UTF-8 check": {faults{noUTF8Check: true},
			[]blemish{{"6.3.* 6.4.* X.2.14 " + sequences(false), Failed, Failed}}, nil},
		"UTF-8 check at the end of the message": {faults{lateUTF8Check: true},
			[]blemish{{"6.4.*", NonStrict, OK}}, nil},
		// 3.7 is a close frame, which gets its answer.
		"accepts reserved bits": {faults{anyReservedBits: true},
			[]blemish{{"3.* !3.7 X.2.8 X.2.9 X.2.10", Failed, Failed}}, nil},
		// Reserved data frames are echoed, reserved control frames are ignored.
		"accepts reserved opcodes": {faults{anyOpcode: true},
			[]blemish{{"4.1.* 4.2.3 4.2.4 4.2.5", Failed, Failed}, {"4.2.1 4.2.2", OK, Failed}}, nil},
		"accepts frames that are not masked as they must be": {faults{anyMask: true},
			[]blemish{{"X.1.1 X.1.2 X.1.3", Failed, Failed}}, nil},
		"masks what it must not, or not what it must": {faults{wrongMask: true},
			[]blemish{{"*", Failed, ""}}, nil},
		"accepts long control frames": {faults{anyControlLength: true},
			[]blemish{{"2.5", Failed, Failed}, {"7.3.6", Failed, WrongCode}}, nil},
		"accepts lengths not in the shortest form": {faults{longLengths: true},
			[]blemish{{"X.1.4 X.1.5", NonStrict, OK}}, nil},
		// The pong of 5.2 leaves no trace, and what follows it is refused.
		"accepts fragmented control frames": {faults{fragmentedControl: true},
			[]blemish{{"5.1", Failed, OK}}, nil},
		"accepts continuations of nothing": {faults{strayContinuation: true},
			[]blemish{{"5.9 5.1? !5.18 !5.19", Failed, Failed}}, nil},
		"accepts a message within another": {faults{interleaved: true},
			[]blemish{{"5.18", Failed, Failed}}, nil},
		"no pong":        {faults{noPong: true}, []blemish{{pings + " " + innerPings, Failed, OK}}, nil},
		"wrong pong":     {faults{wrongPong: true}, []blemish{{pings + " " + innerPings, Failed, OK}}, nil},
		"late pong":      {faults{latePong: true}, []blemish{{innerPings, Failed, OK}}, nil},
		"answers pongs":  {faults{answersPongs: true}, []blemish{{"2.7 2.8 2.9", Failed, OK}}, nil},
		"text as binary": {faults{asBinary: true}, []blemish{{"1.1.* 3.2 3.3 3.4 4.?.3 4.?.4 4.?.5 5.3 5.4 5.5 5.6 5.7 5.8 5.15 5.19 5.20 6.1.* 6.2.* 7.1.1 10.1.1 X.2.? !X.2.8 !X.2.9 " + sequences(true), Failed, OK}}, nil},
		"loses empty messages": {faults{losesEmpty: true},
			[]blemish{{"1.?.1", Failed, WrongCode}, {"6.1.1 6.1.2 X.2.5", Failed, OK}}, nil},
		"changes long messages": {faults{flipsLast: true},
			[]blemish{{"1.?.6 1.?.7 1.?.8 10.1.1", Failed, OK}}, nil},
		"cuts 64-bit lengths": {faults{maskedLength: true},
			[]blemish{{"1.?.7 1.?.8", Failed, ""}, {"X.1.5", NonStrict, OK}, {"X.1.6", Failed, Failed}}, nil},
		"serves before it answers a close frame": {faults{echoesAfterClose: true},
			[]blemish{{"7.1.3 7.1.4 7.1.5", Failed, OK}}, nil},
		// A server ends the connection when the close frames have passed, and never sees this.
		"serves after it answered a close frame": {faults{answersAfterClose: true},
			[]blemish{{"7.1.3 7.1.4 7.1.5 7.1.6", Failed, Unclean}}, none},
		"accepts any close payload": {faults{anyClosePayload: true},
			[]blemish{{badClose, Failed, WrongCode}}, nil},
		"wrong close code": {faults{wrongCloseCode: true},
			[]blemish{{refusals, OK, WrongCode}, {badClose + " 7.3.6", Failed, WrongCode}}, nil},
		// 7.7.6 sends 1008, which is what this peer answers.
		"wrong answer to a close frame": {faults{wrongCloseAnswer: true},
			[]blemish{{services, OK, WrongCode}, {cleanClose + " !7.7.6", Failed, WrongCode}}, nil},
		"drops TCP without a close frame": {faults{noCloseFrame: true},
			[]blemish{{services + " " + cleanClose, OK, Unclean}}, nil},
		"ignores close frames": {faults{ignoresClose: true},
			[]blemish{{services + " " + cleanClose, OK, Unclean}, {"7.1.3 7.1.4 7.1.5", Failed, Unclean}, {badClose, OK, FailedByClient}},
			[]blemish{{services + " " + cleanClose, OK, Unclean}, {"7.1.3 7.1.4 7.1.5", Failed, Unclean}}},
		"keeps TCP open": {faults{keepsTCP: true},
			[]blemish{{services + " " + cleanClose, OK, Unclean}, {refusals + " 7.3.6 " + badClose, OK, FailedByClient}}, none},
		"takes RSV1 anywhere": {faults{anyCompressedFrame: true},
			[]blemish{{"X.2.8 X.2.9", Failed, Failed}}, nil},
		"no compression": {faults{noCompression: true}, []blemish{{"X.2.*", Unimplemented, OK}}, nil},
	} {
		for _, d := range directions {
			t.Run(name+"/"+d.name, func(t *testing.T) {
				t.Parallel()
				want := tt.want
				if d.name == "client" && tt.client != nil {
					want = tt.client
				}
				o := Options{Exclude: bulky}
				d.inMemory(t, tt.faults, o, func(t *testing.T, r *Report) { expect(t, r, o, want) })
			})
		}
	}
}

var bulky = []string{"9.*", "12.*", "13.*"}

func TestBrokenPeersFailInBulk(t *testing.T) {
	skipUnderRace(t)
	for name, tt := range map[string]struct {
		faults faults
		cases  string
		scale  int
		want   []blemish
	}{
		// 60,000 bytes is where the fault begins, a sixteenth of the size is what is left.
		"changes long messages": {faults{flipsLast: true}, "9.*", 16,
			[]blemish{{"9.[12].[3-6] 9.[3-6].*", Failed, OK}}},
		"keeps the context though it must not": {faults{keepsContext: true}, "12.*.4 13.*.4", 300,
			[]blemish{{"13.2.4 13.5.4 13.6.4 13.7.4", Failed, Unclean}}},
		"uses a bigger window than agreed": {faults{fullWindow: true}, "12.*.5 13.*.5", 300,
			[]blemish{{"13.3.5 13.5.5 13.7.5", Failed, Unclean}}},
		"no compression": {faults{noCompression: true}, "12.* 13.*", 1000,
			[]blemish{{"12.* 13.*", Unimplemented, OK}}},
	} {
		for _, d := range directions {
			t.Run(name+"/"+d.name, func(t *testing.T) {
				t.Parallel()
				o := Options{Cases: strings.Fields(tt.cases), Scale: tt.scale}
				d.inMemory(t, tt.faults, o, func(t *testing.T, r *Report) { expect(t, r, o, tt.want) })
			})
		}
	}
}

// expect compares the verdicts on all cases that o selects; those that want doesn't mention must pass.
func expect(t *testing.T, r *Report, o Options, want []blemish) {
	t.Helper()
	wanted := map[string]blemish{}
	for _, b := range want {
		for _, id := range resolve(t, b.patterns, o) {
			wanted[id] = b
		}
	}
	for _, res := range r.Results("peer") {
		b, fails := wanted[res.Case.ID]
		switch {
		case !fails && !res.Pass():
			t.Errorf("should pass: %v", res)
		case fails && (res.Behavior != b.behavior || b.close != "" && res.BehaviorClose != b.close):
			t.Errorf("want %s, closing %s: %v", b.behavior, b.close, res)
		}
	}
}

// resolve returns the cases that match one of the patterns, none of those behind a !, and are in o.
func resolve(t *testing.T, patterns string, o Options) []string {
	t.Helper()
	selected, err := Cases(o.Cases, o.Exclude)
	if err != nil {
		t.Fatal(err)
	}
	var include, exclude []string
	for p := range strings.FieldsSeq(patterns) {
		if rest, not := strings.CutPrefix(p, "!"); not {
			exclude = append(exclude, rest)
		} else {
			include = append(include, p)
		}
	}
	var ids []string
	for _, c := range selected {
		if matchesAny(c.ID, include) && !matchesAny(c.ID, exclude) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}
