// Package flate is a DEFLATE codec (RFC 1951) made for many small messages on many connections: what compress/flate
// and its relatives are to files.
//
// # Decoding
//
// A Decoder is fed with pieces and keeps its place between any two bytes, so it needs neither a reader that blocks nor
// a goroutine. It writes straight into the caller's slice. Matches reach back into that slice first and then into a
// Window, which holds the end of everything before the slice; a message that is inflated in one go into one slice
// touches no window until it is done. Code tables take 7 KiB: two levels, 10 bits at once for literals and lengths, 8 for
// distances. A loop that is sure of its input and room decodes in bulk; its slow twin, one symbol at a time, does the rest.
//
// # Encoding
//
// There are two ways to look for matches, and one way to write them down.
//
// An Encoder is the memory of one direction of one connection: the last few KiB of text, and a hash table of where its
// strings stand, two places an entry, packed into a word: a new one pushes the oldest out with one shift. Places are kept modulo
// 65536, and nothing is cleared or moved when the text slides, because a candidate only counts when it lies inside the history
// and its bytes are equal.
//
// AppendOnce has no memory, and one place an entry, in a table from a pool. Places grow from one text to the next, so those
// of earlier texts are too far away to count, and the table isn't cleared either. Long texts on an Encoder go this way too, behind
// a copy of the history.
//
// Both leave tokens in pooled scratch memory, each a run of literals and a match. The literals stay in the text, so that a run is
// counted and written in loops that don't ask what comes next. Then a block is priced as stored, with the fixed codes and with
// codes of its own, and written in the cheapest way. Nothing is estimated (but that codes of their own can't pay below 90
// bytes), so output is never longer than the text by more than the headers of stored blocks.
package flate
