// Package bench measures sherd, in process and over HTTP, beside a floor taken
// in the same run. It lives in a module of its own, so that the peers and the
// clients it needs reach nobody who only embeds the store.
package bench
