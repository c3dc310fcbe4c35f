// Package schema makes documents and clients from the Go types of typed
// messages: an AsyncAPI 3.0 document with JSON Schemas, and a client in
// TypeScript. Types are described as encoding/json encodes them.
//
// A type may have a method Enum, which takes nothing and returns a slice of its
// values, and fields may have a tag doc:"..."; both end up in everything that is made.
package schema

import "reflect"

// API is a set of typed messages, as router.Router.API describes it.
type API struct {
	Title       string // default "API"
	Version     string // default "0.0.0"
	Description string
	Messages    []Message
}

// Message is one type of message.
type Message struct {
	Type string
	Kind Kind
	Doc  string
	In   reflect.Type // what a client sends; nil for Emitted
	Out  reflect.Type // what it gets: the reply, an item of the stream, the event; nil for Event and Published
}

// Kind says who sends a message, and what comes back.
type Kind string

const (
	Event   Kind = "event"   // a client's, without a reply
	Request Kind = "request" // a client's, with one reply
	Stream  Kind = "stream"  // a client's, with many replies
	Emitted Kind = "emitted" // the server's, without a reply

	// Published is what a client publishes in a room (package hub), where it is an
	// Emitted of the same type: the data of a $publish request.
	Published Kind = "published"
)
