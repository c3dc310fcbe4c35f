package deflate

// Params is what two ends have agreed on (RFC 7692 7.1). The own end's window may be smaller still, as its Policy says.
type Params struct {
	ServerNoContextTakeover bool
	ClientNoContextTakeover bool
	ServerMaxWindowBits     int // 8 to 15
	ClientMaxWindowBits     int // 8 to 15
}

// Direction is how one end's messages are compressed.
type Direction struct {
	Takeover   bool // a message may refer to the ones before it
	WindowBits int  // how far back it may refer is 1<<WindowBits bytes; 8 to 15
}

// Server returns how the server compresses.
func (p Params) Server() Direction {
	return Direction{Takeover: !p.ServerNoContextTakeover, WindowBits: p.ServerMaxWindowBits}
}

// Client returns how the client compresses.
func (p Params) Client() Direction {
	return Direction{Takeover: !p.ClientNoContextTakeover, WindowBits: p.ClientMaxWindowBits}
}

// Mode is how far an end goes with compression.
type Mode uint8

const (
	Off        Mode = iota // neither offered nor accepted
	NoTakeover             // each message for itself: no memory between two messages
	Takeover               // messages refer to earlier ones, in either direction, as far as the peer agrees
)

// Limits of window bits (RFC 7692 7.1.2).
const (
	MinWindowBits = 8
	MaxWindowBits = 15
)

// Policy is what an end wants. Its zero value turns compression off.
type Policy struct {
	Mode Mode
	// SendBits limits this end's own window, and so what a peer has to keep; 0 means 15.
	SendBits int
	// ReceiveBits is the window that this end would like the peer to keep to, and so what it has to keep; 0 means 15.
	// A client that doesn't let a server limit its window (RFC 7692 7.1.2.2), or a server that doesn't know
	// the parameter, is taken as it is.
	ReceiveBits int
}

// withDefaults returns the policy with its bits brought into range.
func (p Policy) withDefaults() Policy {
	for _, bits := range []*int{&p.SendBits, &p.ReceiveBits} {
		if *bits == 0 {
			*bits = MaxWindowBits
		}
		*bits = min(max(*bits, MinWindowBits), MaxWindowBits)
	}
	return p
}
