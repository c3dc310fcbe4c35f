package conformance

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const greek = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5" // κόσμε

// utf8Cases are valid and invalid text messages (6).
func utf8Cases() []*Case {
	const c = "8.1"
	const refusal = "The connection is failed at once (1007)."
	const mixed = "Hello-µ@ßöäüàá-UTF-8!!"
	middle := "middle frame payload"
	cs := []*Case{
		one("6.1.1", c, "Send an empty text message.", echoExpected, echoes(gotText(""), 1, text(""))),
		one("6.1.2", c, "Send an empty text message in three fragments.", echoExpected,
			echoes(gotText(""), 1, text("").more(), cont("").more(), cont(""))),
		one("6.1.3", c, "Send a text message in three fragments of which only the second has a payload.", echoExpected,
			echoes(gotText(middle), 1, text("").more(), cont(middle).more(), cont(""))),
		one("6.2.1", c, "Send a valid text message.", echoExpected, echoes(gotText(mixed), 1, text(mixed))),
		one("6.2.2", c, "Send a valid text message in two fragments, cut between characters.", echoExpected,
			echoes(gotText(mixed), 1, text("Hello-µ@ßöä").more(), cont("üàá-UTF-8!!"))),
		one("6.2.3", c, "Send a valid text message in fragments of one byte.", echoExpected,
			echoes(gotText(mixed), 1, fragments(opText, 0, []byte(mixed), 1)...)),
		one("6.2.4", c, "Send a valid text message of Greek letters in fragments of one byte.", echoExpected,
			echoes(gotText(greek), 1, fragments(opText, 0, []byte(greek), 1)...)),
		one("6.3.1", c, "Send a text message with an encoded surrogate.", refusal, refusesUTF8(1, text(notUTF8Text))),
		one("6.3.2", c, "Send a text message with an encoded surrogate in fragments of one byte.", refusal,
			refusesUTF8(1, fragments(opText, 0, []byte(notUTF8Text), 1)...)),
	}
	return append(append(cs, failFastCases()...), sequenceCases()...)
}

func refusesUTF8(limit seconds, fs ...frame) script {
	return script{phases: once(fs...), want: []outcome{ok()}, close: notUTF8, limit: limit, kill: true}
}

// failFastCases send a message whose 13th byte makes it invalid, in three steps with pauses between (6.4). Refusing it
// after the second step is what the RFC asks for, after the third one is tolerated.
func failFastCases() []*Case {
	const tooBig = "\xf4\x90\x80\x80" // U+110000
	const message = greek + tooBig + "edited"
	const expect = "The first part is accepted. The second one is refused at once (1007), at the latest the whole message is."
	cutAfter, cutAt := [2]int{len(greek), len(greek) + len(tooBig)}, [2]int{12, 13}
	frames := func(cut [2]int) [3]frame {
		return [3]frame{text(message[:cut[0]]).more(), cont(message[cut[0]:cut[1]]).more(), cont(message[cut[1]:])}
	}
	parts := func(cut [2]int) [3]frame {
		f := text(message)
		return [3]frame{f.part(0, cut[0]), f.part(cut[0], cut[1]), f.part(cut[1], len(message))}
	}
	const c = "8.1"
	return []*Case{
		one("6.4.1", c, "Send a text message in three fragments, the second of which makes it invalid, with pauses between.", expect,
			failFast(frames(cutAfter))),
		one("6.4.2", c, "The same as 6.4.1, the second fragment being the very byte that makes the message invalid.", expect,
			failFast(frames(cutAt))),
		one("6.4.3", c, "The same as 6.4.1 in one frame, written in three pieces.", expect, failFast(parts(cutAfter))),
		one("6.4.4", c, "The same as 6.4.2 in one frame, written in three pieces.", expect, failFast(parts(cutAt))),
	}
}

func failFast(parts [3]frame) script {
	return script{
		phases: []phase{
			{send: parts[:1], wait: 1, mark: "first part"},
			{send: parts[1:2], wait: 1, mark: "second part", reaction: true},
			{send: parts[2:]},
		},
		want:  []outcome{ok(survived("first part")), loose(survived("first part"), survived("second part"))},
		close: notUTF8, limit: 1, kill: true,
	}
}

// sequenceCases are single messages (6.5 to 6.23), along the lines of Markus Kuhn's decoder stress test.
func sequenceCases() []*Case {
	var cs []*Case
	for i, group := range utf8Sequences() {
		for j, payload := range group.payloads {
			id := fmt.Sprintf("6.%d.%d", i+5, j+1)
			if utf8.ValidString(payload) {
				sc := echoes(gotText(payload), 0.5, text(payload))
				sc.kill = true
				cs = append(cs, one(id, "8.1", fmt.Sprintf("%s: send the valid text message %x.", group.name, payload), echoExpected, sc))
				continue
			}
			cs = append(cs, one(id, "8.1", fmt.Sprintf("%s: send the invalid text message %x.", group.name, payload),
				"The connection is failed at once (1007).", refusesUTF8(0.5, text(payload))))
		}
	}
	return cs
}

type utf8Group struct {
	name     string
	payloads []string
}

func utf8Sequences() []utf8Group {
	truncated := []string{
		"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xfc\x80\x80\x80\x80",
		"\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf",
	}
	return []utf8Group{
		{"valid sequences", []string{"hello$world", "hello\u00a2world", "hello\u20acworld", "hello\U00024b62world", greek}},
		{"prefixes of a valid text", prefixes(greek)},
		{"first sequence of a length", []string{"\x00", "\u0080", "\u0800", "\U00010000"}},
		{"first sequence of five or six bytes", []string{"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80"}},
		{"last sequence of a length", []string{"\x7f", "\u07ff", "\uffff", "\U0010ffff"}},
		{"last sequence of four, five or six bytes", []string{"\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf"}},
		{"boundaries", []string{"\ud7ff", "\ue000", "\ufffd", "\U0010ffff", "\xf4\x90\x80\x80"}},
		{"unexpected continuation bytes", []string{"\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80", "\x80\xbf\x80\xbf",
			"\x80\xbf\x80\xbf\x80", "\x80\xbf\x80\xbf\x80\xbf", byteRange(0x80, 0xbe, "")}},
		{"lonely start bytes", []string{byteRange(0xc0, 0xde, " "), byteRange(0xe0, 0xee, " "), byteRange(0xf0, 0xf6, " "),
			byteRange(0xf8, 0xfa, " "), byteRange(0xfc, 0xfc, " ")}},
		{"last continuation byte missing", truncated},
		{"incomplete sequences in a row", []string{strings.Join(truncated, "")}},
		{"impossible bytes", []string{"\xfe", "\xff", "\xfe\xfe\xff\xff"}},
		{"overlong slash", []string{"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf"}},
		{"longest overlong sequences", []string{"\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf", "\xfc\x83\xbf\xbf\xbf\xbf"}},
		{"overlong NUL", []string{"\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80"}},
		{"single surrogates", []string{"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf"}},
		{"paired surrogates", surrogatePairs()},
		{"non-characters, which are valid", nonCharacters()},
		{"specials", []string{"\ufff9", "\ufffa", "\ufffb", "\ufffc", "\ufffd", "\ufffe", "\uffff"}},
	}
}

func prefixes(s string) []string {
	var all []string
	for i := range len(s) {
		all = append(all, s[:i+1])
	}
	return all
}

// byteRange is the bytes from first to last, each followed by sep.
func byteRange(first, last byte, sep string) string {
	var b strings.Builder
	for c := first; c <= last; c++ {
		b.WriteByte(c)
		b.WriteString(sep)
	}
	return b.String()
}

func surrogatePairs() []string {
	var all []string
	for _, high := range []string{"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf"} {
		for _, low := range []string{"\xed\xb0\x80", "\xed\xbf\xbf"} {
			all = append(all, high+low)
		}
	}
	return all
}

// nonCharacters are the last two code points of each plane.
func nonCharacters() []string {
	var all []string
	for plane := rune(0); plane <= 16; plane++ {
		all = append(all, string(plane<<16|0xfffe), string(plane<<16|0xffff))
	}
	return all
}
