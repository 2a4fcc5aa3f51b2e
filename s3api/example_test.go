// Goal: show how a handler is made and reached without a port. Method: an example
// with output.
package s3api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
)

func ExampleNew() {
	store, err := sherd.NewMemory(4, nil)
	if err != nil {
		panic(err)
	}
	defer store.Close()
	keys, err := s3api.NewCredentials(s3api.Credential{AccessKey: "somebody", SecretKey: "only he knows", Access: s3api.FullAccess})
	if err != nil {
		panic(err)
	}
	handler, err := s3api.New(store, &s3api.Options{Authenticator: s3api.NewSigV4(keys, ""), Authorizer: keys})
	if err != nil {
		panic(err)
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil)) // not signed
	fmt.Println(answer.Code)
	// Output: 403
}
