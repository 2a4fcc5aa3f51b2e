package main

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
)

// newHandler is S3 over a store, for the identities that keys knows. masters may be nil:
// then nothing is encrypted with master keys.
func newHandler(store *sherd.Store, c *config, keys *s3api.Credentials, masters s3api.KeyService, log *slog.Logger) (http.Handler, error) {
	signatures := s3api.NewSigV4(keys, c.region)
	if c.signature2 {
		signatures = s3api.NewSignatures(keys, c.region)
	}
	return s3api.New(store, &s3api.Options{
		Authenticator:  signatures,
		Authorizer:     keys,
		Keys:           masters,
		Region:         c.region,
		Domains:        c.domains,
		Ownership:      c.ownership,
		TrustedProxies: c.proxies,
		Patience:       c.patience,
		Logger:         log,
		Observe:        requestLog(log, c.logRequests),
	})
}

// requestLog writes a line for every request. Headers and queries are never in it:
// a presigned URL is a secret while it is valid.
func requestLog(log *slog.Logger, always bool) func(s3api.Exchange) {
	level := slog.LevelDebug
	if always {
		level = slog.LevelInfo
	}
	return func(e s3api.Exchange) {
		log.LogAttrs(context.Background(), level, "request",
			slog.String("request", e.RequestID), slog.String("remote", e.Remote), slog.String("access_key", e.AccessKey),
			slog.String("method", e.Method), slog.String("operation", e.Operation), slog.String("bucket", e.Bucket), slog.String("key", e.Key),
			slog.Int("status", e.Status), slog.String("code", e.Code),
			slog.Int64("in", e.In), slog.Int64("out", e.Out), slog.Duration("duration", e.Duration))
	}
}
