package conformance

// extraCases are rules that the original suite leaves out (X): masking and lengths (X.1), and compressed messages that
// are unusual or broken (X.2).
func extraCases() []*Case {
	wrongMask := func(f frame) frame { f.wrongMask = true; return f }
	long := func(form lengthForm, f frame) frame { f.length = form; return f }
	const mask, length = "5.1", "5.2"
	const maskExpect = "The connection is failed at once (1002): clients mask, servers don't."
	const lengthExpect = "The connection is failed at once (1002), or at least the message is echoed unharmed."
	return append([]*Case{
		one("X.1.1", mask, "Send a text message that is masked as only the other side may.", maskExpect,
			refuses(nil, wrongMask(text(hello)))),
		one("X.1.2", mask, "Send a ping that is masked as only the other side may.", maskExpect, refuses(nil, wrongMask(ping(hello)))),
		one("X.1.3", mask, "Send a text message whose second fragment is masked as only the other side may.", maskExpect,
			refuses(nil, text("fragment1").more(), wrongMask(cont("fragment2")))),
		one("X.1.4", length, "Send a short text message with a 16-bit length.", lengthExpect, tolerates(long(in16Bits, text(hello)), gotText(hello))),
		one("X.1.5", length, "Send a short text message with a 64-bit length.", lengthExpect, tolerates(long(in64Bits, text(hello)), gotText(hello))),
		one("X.1.6", length, "Send a text message with a 64-bit length whose highest bit is set.",
			"The connection is failed at once (1002 or 1009).", refusesWith([]uint16{1002, 1009}, long(topBit, text(hello)))),
		one("X.1.7", length, "Send a short ping with a 16-bit length.", "The connection is failed at once (1002), or at least there is a pong.",
			tolerates(long(in16Bits, ping(hello)), gotPong(hello))),
	}, compressionCases()...)
}

// tolerates is a script of a frame that should be refused, but may be answered.
func tolerates(f frame, answer event) script {
	sc := refuses(nil, f)
	sc.want = append(sc.want, loose(answer))
	sc.tolerated = true
	return sc
}

func refusesWith(codes []uint16, fs ...frame) script {
	sc := refuses(nil, fs...)
	sc.close.codes = codes
	return sc
}

// Forms of "Hello" from RFC 7692 7.2.3, without the tail.
const (
	helloDeflated = "\xf2\x48\xcd\xc9\xc9\x07\x00"
	helloStored   = "\x00\x05\x00\xfa\xffHello\x00"
	helloFinal    = "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"
	helloInBlocks = "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"
)

// compressionCases are single frames with permessage-deflate agreed on.
func compressionCases() []*Case {
	const brokenExpect = "The connection is failed at once (1002 or 1007)."
	packed := func(data string) frame { return text(data).withRSV(rsv1) }
	c := func(id, section, title, expect string, sc script) *Case {
		sc.deflate = &deflateTest{[]deflateWish{{}}}
		return &Case{ID: id, Section: "RFC 7692 " + section, Title: title, Expect: expect, build: fixed(sc)}
	}
	echoed := func(fs ...frame) script { return echoes(gotText("Hello"), 1, fs...) }
	interrupted := echoed(packed(helloDeflated[:3]).more(), ping("ping payload"), cont(helloDeflated[3:]))
	interrupted.want = []outcome{ok(gotPong("ping payload"), gotText("Hello"))}
	broken := func(data string) script { return refusesWith([]uint16{1002, 1007}, packed(data)) }
	surrogate := "\x00\x03\x00\xfc\xff\xed\xa0\x80\x00"
	return []*Case{
		c("X.2.1", "6", "Send a message uncompressed, though compression was agreed on.", echoExpected, echoed(text("Hello"))),
		c("X.2.2", "7.2.3.3", "Send a message in a block without compression.", echoExpected, echoed(packed(helloStored))),
		c("X.2.3", "7.2.3.4", "Send a message in a block that is marked as the final one.", echoExpected, echoed(packed(helloFinal))),
		c("X.2.4", "7.2.3.5", "Send a message in two blocks with an empty one between.", echoExpected, echoed(packed(helloInBlocks))),
		c("X.2.5", "7.2.3.6", "Send an empty message, compressed to one byte.", echoExpected, echoes(gotText(""), 1, packed("\x00"))),
		c("X.2.6", "6.1", "Send a compressed message in fragments of one byte.", echoExpected,
			echoed(fragments(opText, rsv1, []byte(helloDeflated), 1)...)),
		c("X.2.7", "6.1", "Send a compressed message in two fragments with a ping between.", "A pong, then the echo; normal close.", interrupted),
		c("X.2.8", "6.1", "Send a message in two fragments, both of which have RSV1.", refusalExpected,
			refuses(nil, packed(helloDeflated[:3]).more(), cont(helloDeflated[3:]).withRSV(rsv1))),
		c("X.2.9", "6", "Send a ping with RSV1.", refusalExpected, refuses(nil, ping("").withRSV(rsv1))),
		c("X.2.10", "6", "Send a message with RSV1 and RSV2.", refusalExpected, refuses(nil, text(helloDeflated).withRSV(rsv1|rsv2))),
		c("X.2.11", "7.2.2", "Send a block of the reserved type.", brokenExpect, broken("\x07\x00")),
		c("X.2.12", "7.2.2", "Send compressed data that end within a block.", brokenExpect, broken("\x00\x20\x00\xdf\xffHello")),
		c("X.2.13", "7.2.2", "Send a match that begins before the first message.", brokenExpect, broken("\x02\x05\x00")),
		c("X.2.14", "6.2", "Send a compressed text message with an encoded surrogate.", "The connection is failed at once (1007).",
			refusesUTF8(1, packed(surrogate))),
	}
}
