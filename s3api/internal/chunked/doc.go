// Package chunked reads bodies in the aws-chunked encoding: chunks with or
// without signatures, then trailers with or without one, as the payload modes
// STREAMING-AWS4-HMAC-SHA256-PAYLOAD, the same with -TRAILER, and
// STREAMING-UNSIGNED-PAYLOAD-TRAILER have them.
//
//	hex(n) [";chunk-signature=" 64 hex] CRLF  n bytes CRLF      any number of times
//	"0"    [";chunk-signature=" 64 hex] CRLF
//	name ":" value CRLF                                         trailers, if the mode has them
//	["x-amz-trailer-signature:" 64 hex CRLF]                    if the mode signs
//	CRLF, and then nothing
//
// Some clients end the lines of trailers with a bare LF and follow the last of
// them with CRLF, which is the form that the service documents; that is
// accepted too.
//
// A [Reader] guarantees that it gives io.EOF only after the whole body was
// right: every signature, the announced number of decoded bytes, exactly the
// trailers that were declared, nothing behind the end. Bytes are given before
// the signature of their chunk was seen, so who stores them must wait for
// io.EOF before he keeps them. It holds a few KiB whatever the size of a chunk.
//
// A Reader is not safe for concurrent use.
package chunked
