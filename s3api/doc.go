// Package s3api speaks the S3 protocol over a store: [New] gives an
// http.Handler that opens no port, has no credentials of its own and logs only
// to the logger that it is given.
//
//	keys, err := s3api.NewCredentials(s3api.Credential{AccessKey: key, SecretKey: secret, Access: s3api.FullAccess})
//	handler, err := s3api.New(store, &s3api.Options{
//		Authenticator: s3api.NewSigV4(keys, ""),
//		Authorizer:    keys,
//	})
//
// # How a request passes
//
// Every request goes one way: it is routed by one table ([Operations]),
// authenticated, authorized, decoded, given to the store, and answered. One
// place authenticates: what comes out of it is a [Verified] request, and nothing
// behind it looks at a signature or at the encoding of a body. Permission is
// asked for before anything of the store is, so that an answer to somebody who
// may not do a thing says nothing about what exists. An operation of S3 that is
// not built answers NotImplemented, after authentication and authorization.
//
// # What is guaranteed
//
//   - Without an [Authenticator] and an [Authorizer] there is no handler, and
//     what nobody allowed is denied.
//   - A body that is not the one that was signed, announced or summed up never
//     becomes an object or a part, and replaces none. Bodies are read once, in
//     bounded memory, whatever their size and that of their chunks.
//   - Every header that begins with x-amz-, and Content-MD5, Content-Type and
//     Host, must be signed where it is present, in presigned requests too.
//   - A header that would change how an object is stored is obeyed or refused,
//     never ignored.
//   - A read that fails after its answer began ends the connection, so that no
//     client takes a part for the whole.
//   - Secrets are in no answer, no error and no log.
//
// # What is not
//
// Names of buckets are expected in the path, not in the host. There are no
// policies, no access control lists and no encryption on the server yet; what
// asks for them is refused. Limits on time belong to the http.Server. The path
// must reach the handler as it was sent: http.ServeMux redirects paths with "//"
// or "..", which are good keys here, so mount the handler as the server's own,
// or below a prefix with something that does not clean paths.
//
// # Concurrency
//
// A [Handler] may be used by any number of goroutines, and several handlers may
// share a store.
package s3api
