// Package deflate is permessage-deflate (RFC 7692) without a connection: negotiation over the values of header fields,
// and the two halves that turn messages into payloads and back. README.md says which encoder works when, what each costs,
// and why what is sent is legal.
package deflate
