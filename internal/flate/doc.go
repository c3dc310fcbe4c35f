// Package flate is a DEFLATE codec (RFC 1951) made for many small messages on many connections: what compress/flate
// and its relatives are to files.
//
// # Decoding
//
// A Decoder is fed with pieces and keeps its place between any two bytes, so it needs neither a reader that blocks nor
// a goroutine. It writes straight into the caller's slice. Matches reach back into that slice first and then into a
// Window, which holds the end of everything before the slice; a message that is inflated in one go into one slice
// touches no window at all. Code tables take 7 KiB: two levels, 10 bits at once for literals and lengths, 8 for distances.
//
// # Encoding
//
// An Encoder is the memory of one direction of one connection: the last few KiB of plain text, and a hash table of
// where its four-byte strings stand. Positions are kept modulo 65536: no entry ever has to be moved or cleared when
// the text slides, because a candidate only counts when it lies inside the history and its bytes are equal.
//
// Each Append is a run of whole blocks and ends on a byte boundary. One pass finds matches and leaves tokens in pooled scratch
// memory; then the block is priced as stored, with the fixed codes and with codes of its own, and the cheapest is written.
// Nothing is estimated, so output is never more than 5 bytes a block larger than the text.
package flate
