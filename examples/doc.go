// Package examples is the root of the programs that show what sherd's parts
// build: each folder below holds one, runnable with `go run`. They live in a
// module of their own, so that what they need beyond sherd (a client of S3, a
// metrics library) reaches nobody who only embeds the store.
package examples
