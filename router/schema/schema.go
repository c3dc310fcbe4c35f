// Package schema makes documents and clients from the Go types of typed messages:
// JSON Schema, AsyncAPI 3.0 and TypeScript.
package schema

import "reflect"

// API is a set of typed messages, as router.Router.API describes it.
type API struct {
	Title, Version, Description string
	Messages                    []Message
}

// Message is one type of message.
type Message struct {
	Type string
	Kind Kind
	Doc  string
	In   reflect.Type // what a client sends; nil for Emitted
	Out  reflect.Type // what it gets: the reply, an item of the stream, the event; nil for Event
}

// Kind says who sends a message, and what comes back.
type Kind string

const (
	Event   Kind = "event"   // a client's, without a reply
	Request Kind = "request" // a client's, with one reply
	Stream  Kind = "stream"  // a client's, with many replies
	Emitted Kind = "emitted" // the server's, without a reply
)

func (a *API) AsyncAPI() ([]byte, error)   { return nil, nil }
func (a *API) TypeScript() ([]byte, error) { return nil, nil }
