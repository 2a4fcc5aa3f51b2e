package main

import (
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
	return s3api.New(store, &s3api.Options{
		Authenticator: s3api.NewSigV4(credentials, c.region),
		Authorizer:    credentials,
		Region:        c.region,
		Logger:        log,
	})
}
