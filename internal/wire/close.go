package wire

import (
	"encoding/binary"
	"unicode/utf8"
)

// Close codes that this package's errors carry (RFC 6455 7.4.1).
const (
	codeProtocol    = 1002
	codeInvalidData = 1007
	codePolicy      = 1008
	codeTooBig      = 1009
)

// NoStatus is what ParseClose reports for an empty payload; it never goes on
// the wire (RFC 6455 7.1.5).
const NoStatus = 1005

// ValidCode reports whether a close frame may carry code: the registered ones
// that may be sent (RFC 6455 7.4.1 and the IANA registry up to 1014), and
// 3000-4999 for libraries and applications (7.4.2).
func ValidCode(code uint16) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014:
		return true
	}
	return code >= 3000 && code <= 4999
}

// ParseClose reads a close frame's payload (RFC 6455 5.5.1). The reason shares
// no memory with p.
func ParseClose(p []byte) (code uint16, reason string, err *Error) {
	if len(p) == 0 {
		return NoStatus, "", nil
	}
	if len(p) == 1 {
		return 0, "", errCloseLength
	}
	code = binary.BigEndian.Uint16(p)
	if !ValidCode(code) {
		return 0, "", errCloseCode
	}
	if !utf8.Valid(p[2:]) {
		return 0, "", errCloseUTF8
	}
	return code, string(p[2:]), nil
}

// AppendClose appends a close frame's payload. A reason that does not fit into
// a control frame is cut on a rune boundary; NoStatus gives an empty payload.
func AppendClose(b []byte, code uint16, reason string) []byte {
	if code == NoStatus {
		return b
	}
	b = binary.BigEndian.AppendUint16(b, code)
	return append(b, cutReason(reason)...)
}

func cutReason(s string) string {
	const most = MaxControl - 2
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
