package conformance

import (
	"bytes"
	"fmt"
	"time"
)

const kib, mib = 1 << 10, 1 << 20

const performance = "limits and performance"

// limitCases are big messages (9.1, 9.2), many fragments (9.3, 9.4), small pieces (9.5, 9.6) and round trips (9.7, 9.8).
// Odd groups send text, even ones binary messages.
func limitCases() []*Case {
	var cs []*Case
	for i, group := range []func(id string, op opcode) []*Case{sizeCases, fragmentSizeCases, pieceSizeCases, roundTripCases} {
		cs = append(cs, group(fmt.Sprintf("9.%d", 2*i+1), opText)...)
		cs = append(cs, group(fmt.Sprintf("9.%d", 2*i+2), opBinary)...)
	}
	return cs
}

// bulk is a case of one message of size bytes, of which scale leaves less.
func bulk(id, title string, op opcode, size int, limit time.Duration, shape echoTest) *Case {
	build := func(scale int) *script {
		e := shape
		payload := pattern(op, size/scale)
		e.op, e.count, e.limit = op, 1, limit
		e.next = func() []byte { return payload }
		return &script{echo: &e, close: normally}
	}
	return &Case{ID: id, Section: performance, Title: title, Expect: echoExpected, build: build}
}

// pattern is a message of n bytes that has no short period of a power of two, so that a lost piece shows.
func pattern(op opcode, n int) []byte {
	period := []byte("BAsd7&jh23.")
	if op == opBinary {
		period = []byte{0x00, 0xfe, 0x23, 0xfa, 0xf0, 0x80, 0xc1}
	}
	return bytes.Repeat(period, n/len(period)+1)[:n]
}

func kindOf(op opcode) string {
	if op == opBinary {
		return "binary"
	}
	return "text"
}

func sizeCases(group string, op opcode) []*Case {
	var cs []*Case
	for i, size := range []int{64 * kib, 256 * kib, mib, 4 * mib, 8 * mib, 16 * mib} {
		limit := 100 * time.Second
		if size <= 256*kib {
			limit = 10 * time.Second
		}
		cs = append(cs, bulk(fmt.Sprintf("%s.%d", group, i+1),
			fmt.Sprintf("Send a %s message of %d KiB.", kindOf(op), size/kib), op, size, limit, echoTest{}))
	}
	return cs
}

func fragmentSizeCases(group string, op opcode) []*Case {
	var cs []*Case
	for i := range 9 {
		size := 64 << (2 * i)
		cs = append(cs, bulk(fmt.Sprintf("%s.%d", group, i+1),
			fmt.Sprintf("Send a %s message of 4 MiB in fragments of %d bytes.", kindOf(op), size), op, 4*mib, 100*time.Second,
			echoTest{fragment: size}))
	}
	return cs
}

func pieceSizeCases(group string, op opcode) []*Case {
	var cs []*Case
	for i := range 6 {
		size := 64 << i
		cs = append(cs, bulk(fmt.Sprintf("%s.%d", group, i+1),
			fmt.Sprintf("Send a %s message of 1 MiB in one frame, written in pieces of %d bytes.", kindOf(op), size), op, mib, 1000*time.Second,
			echoTest{chop: size}))
	}
	return cs
}

func roundTripCases(group string, op opcode) []*Case {
	var cs []*Case
	for i, size := range []int{0, 16, 64, 256, 1024, 4096} {
		limit := []time.Duration{60, 60, 60, 120, 240, 480}[i] * time.Second
		build := func(scale int) *script {
			payload := pattern(op, size)
			return &script{close: normally, echo: &echoTest{op: op, count: max(1, 1000/scale), limit: limit,
				next: func() []byte { return payload }}}
		}
		cs = append(cs, &Case{ID: fmt.Sprintf("%s.%d", group, i+1), Section: performance, Expect: "Each message is echoed; normal close.",
			Title: fmt.Sprintf("Send 1000 %s messages of %d bytes, each when the last one has been echoed.", kindOf(op), size), build: build})
	}
	return cs
}
