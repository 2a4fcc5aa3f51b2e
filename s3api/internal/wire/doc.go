// Package wire holds the words of the S3 protocol: the XML documents that are
// read and written, the headers that have a grammar of their own (Range,
// x-amz-copy-source, entity tags), and the escapes of keys in listings.
//
// It guarantees that reading is bounded and strict: a document has a limit of
// bytes, elements and depth, nothing behind its end, no document type and no
// entities of its own; whatever is given to a parser it answers with a value
// or an error. It neither knows a store nor decides anything about a request.
//
// Everything here is safe for concurrent use.
package wire
