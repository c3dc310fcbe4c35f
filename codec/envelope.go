package codec

// Envelope is what stands around the payload of a typed message. As JSON it is
// one of
//
//	{"id":7,"type":"chat.post","timeout_ms":5000,"data":...}    a request
//	{"type":"chat.typing","data":...}                           an event
//	{"id":7,"data":...}  {"id":7,"error":{...}}                 the reply
//	{"id":7,"more":true,"data":...}                             an item of a streamed reply
//	{"type":"$cancel","id":7}                                   "I don't need the reply any more"
//	{"room":"lobby","pos":[17,"e"],"type":"chat.said",...}      an event that was published in a room
type Envelope struct {
	Type      []byte // nil: none, so this is a reply
	Data      []byte // the payload, encoded; nil: none
	ID        uint64 // below 2^53
	HasID     bool
	More      bool
	TimeoutMS uint64   // 0: none
	Error     *Error   // nil: none
	Room      []byte   // of an event: where it was published; nil: in no room
	Pos       Position // of an event: its place in the room's history; zero: it has none
	// Ref is the id as it was received where it is not a number: JSON-RPC has
	// strings too. A reply needs it back.
	Ref []byte
}

// Error is a failed request's reply, as it is sent.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message,omitempty"`
	Details any    `json:"details,omitempty"`
	RetryMS uint64 `json:"retry_ms,omitempty"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Enveloper is what package router needs of a codec beyond Codec. A text codec
// without it is put into JSON envelopes.
type Enveloper interface {
	// ScanEnvelope fills in e, which is the zero Envelope, from a message. Its
	// slices lie in p. On an error e has the id, if there was one to be read;
	// an error of type *Error is the reply to be made, others mean bad_envelope.
	ScanEnvelope(p []byte, e *Envelope) error
	// AppendEnvelope appends an envelope with v as its data: none if v is nil,
	// and e.Data is not looked at. On an error b comes back as it was.
	AppendEnvelope(b []byte, e *Envelope, v any) ([]byte, error)
}

// Placer is what package hub needs of an Enveloper beyond that, for events in
// rooms: they are encoded before their places in the history are known.
type Placer interface {
	// AppendPlaced appends an envelope that AppendEnvelope has made, without Room
	// and Pos, with these: none if they are zero.
	AppendPlaced(b, envelope []byte, room string, pos Position) []byte
}

// MaxID is the largest id: all integers up to it are exact in JavaScript.
const MaxID = 1<<53 - 1
