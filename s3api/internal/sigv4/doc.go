// Package sigv4 computes AWS Signature Version 4 as Amazon S3 does: what a
// request claims about who signed it, the canonical request, the string to
// sign, the signing key, and the signatures of the chunks and trailers that
// follow a signed request.
//
// It guarantees that a claim that was parsed is complete and unambiguous: every
// component is there exactly once, the header names are lower case and without
// repetition and name the host, the date of the scope is that of the time, the
// service is s3, the signature is 64 hexadecimal digits. It does not
// look secrets up, has no clock and reads no body; who calls it compares the
// signatures with [Equal], which takes the same time wherever they differ.
//
// The reference is "Authenticating Requests (AWS Signature Version 4)" of the
// Amazon S3 API Reference; the documented examples are among the tests.
//
// Everything here is safe for concurrent use but a [Chain], which belongs to
// one body.
package sigv4
