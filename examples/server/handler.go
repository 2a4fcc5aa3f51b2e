package main

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
)

// owner is the account that all identities act for: what one creates belongs to
// all of them.
const owner = "sherd"

// newHandler is S3 over a store, for these identities.
func newHandler(store *sherd.Store, c *config, identities []identity, log *slog.Logger) (http.Handler, error) {
	list := make([]s3api.Credential, 0, len(identities))
	for _, i := range identities {
		may := s3api.ReadOnly
		if i.Access == accessFull {
			may = s3api.FullAccess
		}
		list = append(list, s3api.Credential{
			AccessKey: i.AccessKey, SecretKey: string(i.SecretKey), Access: may,
			Identity: s3api.Identity{ID: owner, Account: owner, DisplayName: i.Name},
		})
	}
	credentials, err := s3api.NewCredentials(list...)
	if err != nil {
		return nil, err
	}
	signatures := s3api.NewSigV4(credentials, c.region)
	if c.signature2 {
		signatures = s3api.NewSignatures(credentials, c.region)
	}
	return s3api.New(store, &s3api.Options{
		Authenticator: signatures,
		Authorizer:    credentials,
		Region:        c.region,
		Domains:       c.domains,
		Patience:      c.patience,
		Logger:        log,
		Observe:       requestLog(log, c.logRequests),
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
