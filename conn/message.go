package conn

import "strconv"

// MessageType says how a message's payload is to be read (RFC 6455 5.6).
type MessageType byte

const (
	// Text messages are UTF-8; the connection checks what arrives, not what is sent.
	Text MessageType = 1
	// Binary messages are any bytes.
	Binary MessageType = 2
)

func (t MessageType) String() string {
	switch t {
	case Text:
		return "text"
	case Binary:
		return "binary"
	}
	return "MessageType(" + strconv.Itoa(int(t)) + ")"
}

// Message is one message.
//
// In this order it is four words long, which the compiler keeps in registers.
type Message struct {
	Type MessageType
	// NoCompress sends the message as it is on a connection that compresses:
	// for payloads that are compressed already, and for secrets beside text
	// that an attacker can choose (the CRIME and BREACH attacks).
	NoCompress bool
	Data       []byte
}

// StatusCode is a close code (RFC 6455 7.4).
type StatusCode uint16

// The registered close codes. NoStatus, Abnormal and TLSHandshake are only
// ever reported, never sent (RFC 6455 7.4.1).
const (
	StatusNormal          StatusCode = 1000
	StatusGoingAway       StatusCode = 1001
	StatusProtocolError   StatusCode = 1002
	StatusUnsupportedData StatusCode = 1003
	StatusNoStatus        StatusCode = 1005 // the peer's close frame was empty
	StatusAbnormal        StatusCode = 1006 // the connection ended without a close frame
	StatusInvalidData     StatusCode = 1007
	StatusPolicyViolation StatusCode = 1008
	StatusTooBig          StatusCode = 1009
	StatusMandatoryExt    StatusCode = 1010
	StatusInternalError   StatusCode = 1011
	StatusServiceRestart  StatusCode = 1012
	StatusTryAgainLater   StatusCode = 1013
	StatusBadGateway      StatusCode = 1014
	StatusTLSHandshake    StatusCode = 1015
)

func (s StatusCode) String() string {
	if name := statusNames[s]; name != "" {
		return strconv.Itoa(int(s)) + " (" + name + ")"
	}
	return strconv.Itoa(int(s))
}

var statusNames = map[StatusCode]string{
	StatusNormal:          "normal closure",
	StatusGoingAway:       "going away",
	StatusProtocolError:   "protocol error",
	StatusUnsupportedData: "unsupported data",
	StatusNoStatus:        "no status",
	StatusAbnormal:        "no close frame",
	StatusInvalidData:     "invalid data",
	StatusPolicyViolation: "policy violation",
	StatusTooBig:          "message too big",
	StatusMandatoryExt:    "mandatory extension",
	StatusInternalError:   "internal error",
	StatusServiceRestart:  "service restart",
	StatusTryAgainLater:   "try again later",
	StatusBadGateway:      "bad gateway",
	StatusTLSHandshake:    "TLS handshake",
}
