// Package conformance tries the S3 handler with the Go clients that people
// have: minio-go, which is also what mc and restic are made of, and
// aws-sdk-go-v2 with its transfer manager. It holds tests only, in a module of
// its own, so that the clients reach nobody who embeds sherd.
//
// Where the environment has an endpoint, with AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY, the tests run against the server there; otherwise each
// makes a handler over a store in memory. SHERD_CLIENT_MAX_MIB is the size of
// the largest file.
package conformance
