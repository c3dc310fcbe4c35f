package conformance

import (
	"fmt"
	"strings"
)

// notUTF8Text is valid up to its 12th byte, where an encoded surrogate begins.
const notUTF8Text = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"

// closeCases are about the closing handshake (7), always begun by the suite.
func closeCases() []*Case {
	const handshake, payload, codes = "5.5.1", "5.5.1", "7.4"
	const cleanly, refusal = "Clean close with the normal code.", "Clean close with 1002, or a dropped TCP connection."
	const hello = "Hello World!"
	end := closeWith(1000, "")
	fragment, rest := text("fragment1").more(), cont("fragment2")
	cs := []*Case{
		one("7.1.1", handshake, "Send a message, then a close frame.", "The message is echoed; clean close with the normal code.",
			script{phases: once(text(hello)), want: []outcome{ok(gotText(hello))}, close: normally, limit: 1, kill: true, codeMatters: true}),
		one("7.1.2", handshake, "Send two close frames.", "Clean close with the normal code; the second frame is ignored.",
			closes([]uint16{1000}, true, end, frame{op: opClose, fin: true})),
		one("7.1.3", handshake, "Send a close frame, then a ping.", "Clean close with the normal code, no pong.",
			closes([]uint16{1000}, true, end, ping(""))),
		one("7.1.4", handshake, "Send a close frame, then a text message.", "Clean close with the normal code, no echo.",
			closes([]uint16{1000}, true, end, text(hello))),
		one("7.1.5", handshake, "Send a fragment of a text message, a close frame, and the last fragment.", cleanly,
			closes([]uint16{1000}, true, fragment, end, rest)),
		one("7.1.6", handshake, "Send a text message of 256 KiB, a short one, a close frame and a ping.",
			"Informational: are the messages answered before the close frame?", burstBeforeClose()),
		one("7.3.1", payload, "Send a close frame without payload.", cleanly, closes([]uint16{1000}, true, frame{op: opClose, fin: true})),
		one("7.3.2", payload, "Send a close frame with a payload of one byte.", refusal,
			closes([]uint16{1002}, false, frame{op: opClose, fin: true, payload: []byte("a")})),
		one("7.3.3", payload, "Send a close frame with a status code.", cleanly, closes([]uint16{1000}, true, end)),
		one("7.3.4", payload, "Send a close frame with a status code and a reason.", cleanly,
			closes([]uint16{1000}, true, closeWith(1000, hello))),
		one("7.3.5", payload, "Send a close frame with a reason of 123 bytes, the longest possible.", cleanly,
			closes([]uint16{1000}, true, closeWith(1000, strings.Repeat("*", 123)))),
		one("7.3.6", payload, "Send a close frame with a reason of 124 bytes, which makes the frame too long.", refusal,
			closes([]uint16{1002}, false, closeWith(1000, strings.Repeat("*", 124)))),
		one("7.5.1", "8.1", "Send a close frame with a reason that is no UTF-8.",
			"Clean close with 1002 or 1007, or a dropped TCP connection.", closes([]uint16{1002, 1007}, false, closeWith(1000, notUTF8Text))),
	}
	for i, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		cs = append(cs, one(fmt.Sprintf("7.7.%d", i+1), codes, fmt.Sprintf("Send a close frame with the valid code %d.", code),
			"Clean close with the normal or the same code.", closes([]uint16{1000, code}, true, closeWith(code, ""))))
	}
	for i, code := range []uint16{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999} {
		cs = append(cs, one(fmt.Sprintf("7.9.%d", i+1), codes, fmt.Sprintf("Send a close frame with the invalid code %d.", code),
			refusal, closes([]uint16{1002}, false, closeWith(code, ""))))
	}
	for i, code := range []uint16{5000, 65535} {
		sc := closes([]uint16{1000, code, 1002}, false, closeWith(code, ""))
		sc.informational = true
		cs = append(cs, one(fmt.Sprintf("7.13.%d", i+1), codes, fmt.Sprintf("Send a close frame with code %d.", code),
			"Informational: the RFC leaves it open.", sc))
	}
	return cs
}

// closes is a script with a close frame in it, after which nothing may come but the peer's.
func closes(codes []uint16, clean bool, fs ...frame) script {
	return script{phases: once(fs...), want: []outcome{ok()}, close: closing{byUs: true, codes: codes, clean: clean},
		hold: true, limit: 1, kill: true, codeMatters: true}
}

func burstBeforeClose() script {
	const last = "Hello World!"
	long := strings.Repeat("BAsd7&jh23", 256<<10/10+1)[:256<<10]
	return script{phases: once(text(long), text(last), closeWith(1000, ""), ping("")),
		want: []outcome{ok(gotText(long), gotText(last))}, close: normally, hold: true, limit: 1, kill: true, informational: true}
}
