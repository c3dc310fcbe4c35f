package wire

// Error is a broken rule: the close code that the peer is to be told, and the
// text, with the section, for this side's logs.
type Error struct {
	Code    uint16
	Text    string
	Section string // of RFC 6455, unless it names another document
}

func (e *Error) Error() string {
	if e.Section == "" {
		return e.Text
	}
	return e.Text + " (RFC 6455 " + e.Section + ")"
}

func protocol(text, section string) *Error { return &Error{codeProtocol, text, section} }

// Limits are not rules of the RFC; these two are told apart by callers.
var (
	ErrTooBig           = &Error{codeTooBig, "message longer than the read limit", ""}
	ErrTooManyFragments = &Error{codePolicy, "message in more fragments than the limit", ""}
)

var (
	errReservedBit       = protocol("reserved bit set without an extension that defines it", "5.2")
	errOpcode            = protocol("reserved opcode", "5.2")
	errLengthForm        = protocol("payload length not in its shortest form", "5.2")
	errLengthTop         = protocol("payload length with its top bit set", "5.2")
	errControlFragmented = protocol("fragmented control frame", "5.5")
	errControlLong       = protocol("control frame with more than 125 bytes", "5.5")
	errUnmasked          = protocol("unmasked frame from a client", "5.1")
	errMasked            = protocol("masked frame from a server", "5.1")
	errContinuation      = protocol("continuation frame without a message", "5.4")
	errInterleaved       = protocol("new message before the last one was finished", "5.4")
	errCloseLength       = protocol("close frame with a payload of one byte", "5.5.1")
	errCloseCode         = protocol("close code that must not be sent", "7.4")

	// ErrUTF8 is what a text message that is not UTF-8 breaks.
	ErrUTF8      = &Error{codeInvalidData, "text message is not UTF-8", "8.1"}
	errCloseUTF8 = &Error{codeInvalidData, "close reason is not UTF-8", "8.1"}
)
