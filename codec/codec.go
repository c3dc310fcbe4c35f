// Package codec turns values into messages and back, and puts them into the
// envelopes by which package router knows what a message is.
package codec

// Codec encodes values into message payloads and decodes them. Implementations
// are safe for concurrent use.
type Codec interface {
	// Name is a short name for logs and documents, such as "json".
	Name() string
	// Binary reports whether payloads go out as binary messages; text otherwise.
	Binary() bool
	// Append appends v's encoding to b. On an error b comes back as it was.
	Append(b []byte, v any) ([]byte, error)
	// Decode decodes the whole of p into the value that v points to. It keeps
	// no reference to p.
	Decode(p []byte, v any) error
}
