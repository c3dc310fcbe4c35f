package conformance

import (
	"bytes"
	"fmt"
	"strings"
)

const (
	echoExpected    = "The message is echoed as it was sent; normal close."
	pongExpected    = "A pong with the ping's payload; normal close."
	refusalExpected = "The connection is failed at once (1002)."
	echoThenRefusal = "The first message is echoed, then the connection is failed (1002). No pong."
)

const hello = "Hello, world!"

var binaryBytes = []byte{0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff}

// one is a case of a fixed script.
func one(id, section, title, expect string, sc script) *Case {
	return &Case{ID: id, Section: "RFC 6455 " + section, Title: title, Expect: expect, build: fixed(sc)}
}

// echoes is a script in which fs make one message, which is echoed.
func echoes(want event, limit seconds, fs ...frame) script {
	return script{phases: once(fs...), want: []outcome{ok(want)}, close: normally, limit: limit}
}

// refuses is a script of frames of which one has to be refused; the first want is what may be answered before.
func refuses(want []event, fs ...frame) script {
	sc := script{phases: once(fs...), want: []outcome{ok(want...)}, close: refused, limit: 1, kill: true}
	if len(want) > 0 {
		sc.want = append(sc.want, loose())
	}
	return sc
}

// framingCases are messages at the edges of the length encodings (1.1 text, 1.2 binary).
func framingCases() []*Case {
	var cs []*Case
	for i, kind := range []string{"text", "binary"} {
		for j, size := range []int{0, 125, 126, 127, 128, 65535, 65536, 65536} {
			f := text(strings.Repeat("*", size))
			if kind == "binary" {
				f = bin(bytes.Repeat([]byte{0xfe}, size))
			}
			title := fmt.Sprintf("Send a %s message of %d bytes", kind, size)
			if j == 7 {
				f, title = f.chopped(997), title+", written in pieces of 997 bytes"
			}
			sc := echoes(f.message(), 1, f)
			if sc.kill = true; size > 1000 {
				sc.limit = 10
			}
			cs = append(cs, one(fmt.Sprintf("1.%d.%d", i+1, j+1), "5.2", title+".", echoExpected, sc))
		}
	}
	return cs
}

// pingCases are pings and pongs (2).
func pingCases() []*Case {
	answered := func(payload string, limit seconds, fs ...frame) script {
		return echoes(gotPong(payload), limit, fs...)
	}
	ignored := func(fs ...frame) script {
		return script{phases: once(append(fs, closeWith(1000, ""))...), want: []outcome{ok()}, close: normally, hold: true, limit: 1}
	}
	long := strings.Repeat("\xfe", 125)
	const c = "5.5.2"
	return []*Case{
		one("2.1", c, "Send a ping without payload.", pongExpected, answered("", 1, ping(""))),
		one("2.2", c, "Send a ping with a text.", pongExpected, answered(hello, 1, ping(hello))),
		one("2.3", c, "Send a ping with binary data that is no UTF-8.", pongExpected,
			answered(string(binaryBytes), 1, ping(string(binaryBytes)))),
		one("2.4", c, "Send a ping with 125 bytes.", pongExpected, answered(long, 1, ping(long))),
		one("2.5", "5.5", "Send a ping with 126 bytes.", refusalExpected, refuses(nil, ping(long+"\xfe"))),
		one("2.6", c, "Send a ping with 125 bytes, written byte by byte.", pongExpected,
			answered(long, 2, bytewise(ping(long))...)),
		one("2.7", "5.5.3", "Send a pong without payload that answers nothing.", "No reaction; normal close.", ignored(pong(""))),
		one("2.8", "5.5.3", "Send a pong with payload that answers nothing.", "No reaction; normal close.",
			ignored(pong("unsolicited pong payload"))),
		one("2.9", "5.5.3", "Send a pong that answers nothing, then a ping.", pongExpected,
			answered("ping payload", 1, pong("unsolicited pong payload"), ping("ping payload"))),
		one("2.10", c, "Send ten pings.", "Ten pongs in order; normal close.", tenPings(0)),
		one("2.11", c, "Send ten pings, written byte by byte.", "Ten pongs in order; normal close.", tenPings(1)),
	}
}

func tenPings(chop int) script {
	var send []frame
	var want []event
	for i := range 10 {
		payload := fmt.Sprintf("payload-%d", i)
		send = append(send, ping(payload).chopped(chop))
		want = append(want, gotPong(payload))
	}
	return script{phases: once(send...), want: []outcome{ok(want...)}, close: normally, limit: 3}
}

// reservedBitCases set RSV bits without an extension that would define them (3).
func reservedBitCases() []*Case {
	echoed := events(gotText(hello))
	first, second, last := text(hello), func(bits byte) frame { return text(hello).withRSV(bits) }, ping("")
	const c = "5.2"
	return []*Case{
		one("3.1", c, "Send a text message with RSV 1.", refusalExpected, refuses(nil, second(1))),
		one("3.2", c, "Send a text message, another one with RSV 2, and a ping.", echoThenRefusal,
			refuses(echoed, first, second(2), last)),
		one("3.3", c, "Send a text message, another one with RSV 3, and a ping, each written alone.", echoThenRefusal,
			refuses(echoed, framewise(first, second(3), last)...)),
		one("3.4", c, "Send a text message, another one with RSV 4, and a ping, written byte by byte.", echoThenRefusal,
			refuses(echoed, bytewise(first, second(4), last)...)),
		one("3.5", c, "Send a binary message with RSV 5.", refusalExpected, refuses(nil, bin(binaryBytes).withRSV(5))),
		one("3.6", c, "Send a binary message with RSV 6.", refusalExpected, refuses(nil, bin([]byte(hello)).withRSV(6))),
		one("3.7", c, "Send a close frame with RSV 7.", refusalExpected, refuses(nil, frame{op: opClose, fin: true, rsv: 7})),
	}
}

// opcodeCases use reserved opcodes, 4.1 for data and 4.2 for control frames.
func opcodeCases() []*Case {
	var cs []*Case
	echoed := events(gotText(hello))
	for i, base := range []opcode{3, 11} {
		section := "5.2"
		kind := []string{"data", "control"}[i]
		id := func(n int) string { return fmt.Sprintf("4.%d.%d", i+1, n) }
		title := func(format string, n opcode) string { return fmt.Sprintf(format, kind, base+n) }
		cs = append(cs,
			one(id(1), section, title("Send a %s frame with opcode %d.", 0), refusalExpected, refuses(nil, reserved(base, ""))),
			one(id(2), section, title("Send a %s frame with opcode %d and payload.", 1), refusalExpected,
				refuses(nil, reserved(base+1, "reserved opcode payload"))),
			one(id(3), section, title("Send a text message, a %s frame with opcode %d, and a ping.", 2), echoThenRefusal,
				refuses(echoed, text(hello), reserved(base+2, ""), ping(""))),
			one(id(4), section, title("Send a text message, a %s frame with opcode %d and payload, and a ping.", 3), echoThenRefusal,
				refuses(echoed, text(hello), reserved(base+3, hello), ping(""))),
			one(id(5), section, title("Send a text message, a %s frame with opcode %d and payload, and a ping, byte by byte.", 4),
				echoThenRefusal, refuses(echoed, bytewise(text(hello), reserved(base+4, hello), ping(""))...)),
		)
	}
	return cs
}

// fragmentCases are about messages in several frames, right and wrong (5).
func fragmentCases() []*Case {
	const c, control = "5.4", "5.5"
	const pingText = "ping payload"
	whole := gotText("fragment1fragment2")
	first, last := text("fragment1").more(), cont("fragment2")
	stray, message := cont("non-continuation payload"), text(hello)
	pair := func() []frame { return []frame{first, last} }
	around := func() []frame { return []frame{first, ping(pingText), last} }
	interrupted := func(fs []frame) script {
		return script{phases: once(fs...), want: []outcome{ok(gotPong(pingText), whole)}, close: normally, limit: 1}
	}
	const pongThenEcho = "The ping is answered, then the message is echoed; normal close."
	repeated := func(f frame) []frame {
		return []frame{f, text("fragment2").more(), cont("fragment3"), f, text("fragment2").more(), cont("fragment3")}
	}
	return []*Case{
		one("5.1", control, "Send a ping in two fragments.", refusalExpected, refuses(nil, ping("fragment1").more(), last)),
		one("5.2", control, "Send a pong in two fragments.", refusalExpected, refuses(nil, pong("fragment1").more(), last)),
		one("5.3", c, "Send a text message in two fragments.", echoExpected, echoes(whole, 1, pair()...)),
		one("5.4", c, "Send a text message in two fragments, each written alone.", echoExpected,
			echoes(whole, 1, framewise(pair()...)...)),
		one("5.5", c, "Send a text message in two fragments, byte by byte.", echoExpected, echoes(whole, 1, bytewise(pair()...)...)),
		one("5.6", c, "Send a text message in two fragments with a ping between them.", pongThenEcho, interrupted(around())),
		one("5.7", c, "Send a text message in two fragments with a ping between them, each frame written alone.", pongThenEcho,
			interrupted(framewise(around()...))),
		one("5.8", c, "Send a text message in two fragments with a ping between them, byte by byte.", pongThenEcho,
			interrupted(bytewise(around()...))),
		one("5.9", c, "Send a continuation with FIN where there is nothing to continue, then a text message.", refusalExpected,
			refuses(nil, stray, message)),
		one("5.10", c, "The same as 5.9, each frame written alone.", refusalExpected, refuses(nil, framewise(stray, message)...)),
		one("5.11", c, "The same as 5.9, byte by byte.", refusalExpected, refuses(nil, bytewise(stray, message)...)),
		one("5.12", c, "Send a continuation without FIN where there is nothing to continue, then a text message.", refusalExpected,
			refuses(nil, stray.more(), message)),
		one("5.13", c, "The same as 5.12, each frame written alone.", refusalExpected, refuses(nil, framewise(stray.more(), message)...)),
		one("5.14", c, "The same as 5.12, byte by byte.", refusalExpected, refuses(nil, bytewise(stray.more(), message)...)),
		one("5.15", c, "Send a text message in two fragments, a continuation without FIN, and a text message.",
			"The first message is echoed, then the connection is failed (1002).",
			refuses(events(whole), first, last, cont("fragment3").more(), text("fragment4"))),
		one("5.16", c, "Twice: a continuation without FIN where there is nothing to continue, then a text message in two fragments.",
			refusalExpected, refuses(nil, repeated(cont("fragment1").more())...)),
		one("5.17", c, "Twice: a continuation with FIN where there is nothing to continue, then a text message in two fragments.",
			refusalExpected, refuses(nil, repeated(cont("fragment1"))...)),
		one("5.18", c, "Send a text message in two fragments, both with the opcode for text.", refusalExpected,
			refuses(nil, first, text("fragment2"))),
		one("5.19", c, "Send a text message in five fragments with a ping after the second, a pause, and a ping after the fourth.",
			"The first ping is answered during the pause; then the second, then the message is echoed. Normal close.", pausedMessage(false)),
		one("5.20", c, "The same as 5.19, each frame written alone.", "As in 5.19.", pausedMessage(true)),
	}
}

func pausedMessage(alone bool) script {
	before := []frame{text("fragment1").more(), cont("fragment2").more(), ping("pongme 1!")}
	after := []frame{cont("fragment3").more(), cont("fragment4").more(), ping("pongme 2!"), cont("fragment5")}
	if alone {
		before, after = framewise(before...), framewise(after...)
	}
	return script{
		phases: []phase{{send: before, wait: 1, mark: "pause", reaction: true, answers: 1}, {send: after}},
		want: []outcome{ok(gotPong("pongme 1!"), survived("pause"), gotPong("pongme 2!"),
			gotText("fragment1fragment2fragment3fragment4fragment5"))},
		close: normally, limit: 1,
	}
}

// autoFragmentCases is the one case of section 10.
func autoFragmentCases() []*Case {
	payload := strings.Repeat("*", 65536)
	sc := echoes(gotText(payload), 10, fragments(opText, 0, []byte(payload), 1300)...)
	sc.kill = true
	return []*Case{one("10.1.1", "5.4", "Send a text message of 65536 bytes in fragments of 1300.", echoExpected, sc)}
}
