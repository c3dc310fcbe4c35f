// Package conformance checks WebSocket implementations against RFC 6455 and RFC 7692 from the outside, over TCP.
//
// It performs the checks of the Autobahn test suite under that suite's case numbers (1.1.1 to 13.7.18), in both
// directions: [TestServer] is a client that tests any echo server, [Server] a server that tests any client that speaks
// the suite's little protocol (/getCaseCount, /runCase, ...), [TestClient] the same within one process. A few cases of its own, numbered X.*, cover rules
// that the suite leaves out. Frames, masking, handshakes and inflating are written here once more, so that a mistake in
// the library under test is not repeated, and thereby hidden, by its judge.
//
// Verdicts are the suite's too: one on what the peer did with the messages, one on how the connection was closed.
// Where the original compares lengths only, this one compares contents; a frame that breaks the protocol fails the case
// in which it arrives.
package conformance

import (
	"context"
	"fmt"
	"net"
	"path"
	"slices"
	"strings"
	"time"
)

// Verdict is the outcome of a case, for the peer's behaviour or for the way the connection was closed.
type Verdict string

// The verdicts. WrongCode, Unclean and FailedByClient occur only as closing verdicts, NonStrict and Unimplemented only
// as verdicts on behaviour.
const (
	OK             Verdict = "OK"
	NonStrict      Verdict = "NON-STRICT"       // conforming, but not what the RFC recommends
	Informational  Verdict = "INFORMATIONAL"    // the RFC leaves it open
	Unimplemented  Verdict = "UNIMPLEMENTED"    // the peer declined the extension that the case needs
	WrongCode      Verdict = "WRONG CODE"       // closed with another status code than expected
	Unclean        Verdict = "UNCLEAN"          // no complete closing handshake where one is required
	FailedByClient Verdict = "FAILED BY CLIENT" // the server left it to the client to drop the TCP connection
	Failed         Verdict = "FAILED"
)

// Pass reports whether v is what an implementation without a blemish gets.
func (v Verdict) Pass() bool { return v == OK || v == Informational }

// Case is one check. The exported fields describe it.
type Case struct {
	ID      string // the suite's number, as in "6.4.1"
	Section string // what it tests, as in "RFC 6455 5.5"
	Title   string // what is done to the peer
	Expect  string // what a conforming peer does

	build func(scale int) *script
}

// Options says which cases are run and how. The zero value runs all of them as the original suite does.
type Options struct {
	Cases   []string // patterns such as "1.*" or "6.4.1" (path.Match); none: all
	Exclude []string // patterns of cases to leave out

	// Agent names the peer in the report; empty: a server's Server header, or its URL. A client that comes to a Server
	// names itself.
	Agent string
	// Parallel is the number of cases that TestServer and TestClient run at a time; 0: 16. Of sections 9, 12 and 13 at
	// most two cases run at a time.
	Parallel int
	// Scale divides the message sizes of 9.1 to 9.6 and the message counts of 9.7, 9.8, 12 and 13; 0 or 1: full size.
	Scale int
	// Second is how long a second of the suite's pauses and timeouts lasts; 0: one second. A shorter one makes broken
	// peers fail faster. The limits of sections 9, 12 and 13 are not affected.
	Second time.Duration
	// Patience multiplies the time that the peer has to answer, but not the pauses; 0: 1. On a crowded machine a higher
	// one keeps sound peers from failing.
	Patience int
	// Dial connects TestServer to the host and port of the URL; nil: over TCP, and TLS for wss.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Listener is where TestClient's server listens; it closes it. nil: a free TCP port of the loopback interface.
	Listener net.Listener
	// Log is called with each result as it comes in, from one goroutine at a time; nil: no calls.
	Log func(Result)
}

func (o Options) withDefaults() Options {
	if o.Parallel <= 0 {
		o.Parallel = 16
	}
	if o.Scale <= 0 {
		o.Scale = 1
	}
	if o.Second <= 0 {
		o.Second = time.Second
	}
	if o.Patience <= 0 {
		o.Patience = 1
	}
	return o
}

// clock converts the suite's seconds.
type clock struct {
	second   time.Duration
	patience int
}

func (o Options) clock() clock { return clock{o.Second, o.Patience} }

// pause is a wait of the suite's own.
func (c clock) pause(s seconds) time.Duration { return time.Duration(float64(s) * float64(c.second)) }

// limit is a wait for the peer.
func (c clock) limit(s seconds) time.Duration { return c.pause(s) * time.Duration(c.patience) }

// handshake is the time for an opening handshake.
func (c clock) handshake() time.Duration { return max(5*time.Second, c.limit(5)) }

// Cases returns the cases that match one of the patterns (none: all) and none of exclude, in the suite's order. A
// pattern that matches nothing is an error.
func Cases(patterns, exclude []string) ([]*Case, error) {
	all := allCases()
	for _, p := range slices.Concat(patterns, exclude) {
		if !slices.ContainsFunc(all, func(c *Case) bool { return matches(c.ID, p) }) {
			return nil, fmt.Errorf("conformance: no case matches %q", p)
		}
	}
	return slices.DeleteFunc(all, func(c *Case) bool {
		in := len(patterns) == 0 || matchesAny(c.ID, patterns)
		return !in || matchesAny(c.ID, exclude)
	}), nil
}

func matches(id, pattern string) bool {
	ok, err := path.Match(pattern, id)
	return ok && err == nil
}

func matchesAny(id string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(id, p) })
}

// group is the case's section number: "1.1" for 1.1.1, "5" for 5.3.
func (c *Case) group() string {
	parts := strings.Split(c.ID, ".")
	return strings.Join(parts[:len(parts)-1], ".")
}

// chapter is the first part of the number.
func (c *Case) chapter() string {
	first, _, _ := strings.Cut(c.ID, ".")
	return first
}

// heavy reports whether the case moves so much data that only a few should run at a time.
func (c *Case) heavy() bool {
	return slices.Contains([]string{"9", "12", "13"}, c.chapter())
}

func allCases() []*Case {
	return slices.Concat(
		framingCases(), pingCases(), reservedBitCases(), opcodeCases(), fragmentCases(), utf8Cases(), closeCases(),
		limitCases(), autoFragmentCases(), deflateCases(), extraCases(),
	)
}
