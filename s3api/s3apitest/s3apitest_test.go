// Goal: the handler behaves as S3 does, however it is reached. Method: all cases of
// the kit against a store in memory for three accounts, through each way of
// carrying requests and of naming buckets. The page about S3 has the result as a
// table: SHERD_WRITE=1 writes it there.
package s3apitest_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/inprocess"
	s3keys "github.com/sherd-storage/sherd/s3api/keys"
	"github.com/sherd-storage/sherd/s3api/s3apitest"
)

const (
	domain = "s3.test"
	below  = "/mounted/at"

	partBytes = 1 << 10
)

func identity(name, account string) s3apitest.Identity {
	return s3apitest.Identity{
		AccessKey: name + "-access-key", SecretKey: name + "-secret-key", ID: name + "-canonical-id", Account: account, User: name, DisplayName: name,
	}
}

// handler is one over an empty store, for three accounts.
func handler(t *testing.T, target *s3apitest.Target, prefix string, counted *asked) http.Handler {
	t.Helper()
	store, err := sherd.NewMemory(1, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	target.Main, target.Alt, target.Tenant = identity("main", "111111111111"), identity("alt", "222222222222"), identity("tenant", "333333333333")
	target.Region, target.MinPartBytes = s3api.DefaultRegion, partBytes
	var list []s3api.Credential
	for _, who := range []s3apitest.Identity{target.Main, target.Alt, target.Tenant} {
		list = append(list, s3api.Credential{
			AccessKey: who.AccessKey, SecretKey: who.SecretKey, Access: s3api.FullAccess,
			Identity: s3api.Identity{ID: who.ID, Account: who.Account, DisplayName: who.DisplayName},
		})
	}
	keys, err := s3api.NewCredentials(list...)
	require.NoError(t, err)
	target.KeyID = "master"
	masters, err := s3keys.New(target.KeyID, map[string][s3keys.Bytes]byte{target.KeyID: {1}})
	require.NoError(t, err)
	made, err := s3api.New(store, &s3api.Options{
		Keys:          masters,
		Authenticator: s3api.NewSignatures(keys, s3api.DefaultRegion), Authorizer: keys, Prefix: prefix, Domains: []string{domain},
		Limits: s3api.Limits{MinPartBytes: partBytes}, Observe: counted.observe,
	})
	require.NoError(t, err)
	return counted.over(made)
}

// ways are those of reaching a handler.
func ways(counted *asked) map[string]func(t *testing.T, target *s3apitest.Target) {
	inProcess := func(prefix string, inHost bool) func(*testing.T, *s3apitest.Target) {
		return func(t *testing.T, target *s3apitest.Target) {
			target.Transport = inprocess.New(handler(t, target, prefix, counted))
			target.Endpoint, target.VirtualHost = "http://"+domain+prefix, inHost
		}
	}
	serve := func(inHost bool, start func(*httptest.Server)) func(*testing.T, *s3apitest.Target) {
		return func(t *testing.T, target *s3apitest.Target) {
			server := httptest.NewUnstartedServer(handler(t, target, "", counted))
			start(server)
			t.Cleanup(server.Close)
			target.Transport, target.Endpoint = server.Client().Transport, server.URL
			target.VirtualHost, target.Domain = inHost, domain
			if server.EnableHTTP2 {
				target.Transport = overHTTP2{target.Transport}
			}
		}
	}
	secure := func(s *httptest.Server) {
		s.EnableHTTP2 = true
		s.StartTLS()
	}
	return map[string]func(*testing.T, *s3apitest.Target){
		"in process":               inProcess("", false),
		"in process, hosts":        inProcess("", true),
		"in process, below a path": inProcess(below, false),
		"HTTP 1.1":                 serve(false, (*httptest.Server).Start),
		"HTTP 1.1, hosts":          serve(true, (*httptest.Server).Start),
		"HTTP 2 and TLS":           serve(false, secure),
	}
}

func TestCases(t *testing.T) {
	for name := range ways(newAsked()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counted := newAsked()
			way := ways(counted)[name]
			target := s3apitest.Target{}
			way(t, &target)
			target.Lacks = lacks()
			report := s3apitest.Run(t, target, &s3apitest.Options{Known: known()})
			require.Len(t, report.Lines, len(s3apitest.Cases()))
			if name == tabled && !t.Failed() {
				checkPage(t, report)
				counted.checkTables(t)
			}
		})
	}
}

const (
	tabled     = "in process" // the way whose report the page has
	page       = "../../docs/S3.md"
	tableBegin = "<!-- written from the report of s3api/s3apitest by its test -->\n"
	tableEnd   = "<!-- to here -->\n"
)

// checkPage compares the table of the page with a report.
func checkPage(t *testing.T, report *s3apitest.Report) {
	t.Helper()
	var table strings.Builder
	require.NoError(t, report.Markdown(&table))
	data, err := os.ReadFile(page)
	require.NoError(t, err)
	before, rest, begins := strings.Cut(string(data), tableBegin)
	found, after, ends := strings.Cut(rest, tableEnd)
	require.True(t, begins && ends, "the page has no place for the table")
	if os.Getenv("SHERD_WRITE") != "" {
		require.NoError(t, os.WriteFile(page, []byte(before+tableBegin+"\n"+table.String()+"\n"+tableEnd+after), 0o644))
		return
	}
	require.Equal(t, "\n"+table.String()+"\n", found, "SHERD_WRITE=1 go test ./s3api/s3apitest brings the page up to date")
}

// TestCasesAreWellFormed: names are unique, every case says what it checks and where
// S3 says so, and there are as many as the page claims.
func TestCasesAreWellFormed(t *testing.T) {
	names := map[string]bool{}
	for _, one := range s3apitest.Cases() {
		require.False(t, names[one.Name], one.Name)
		names[one.Name] = true
		require.Regexp(t, "^[a-z-]+/[A-Za-z0-9._-]+$", one.Name)
		require.NotEmpty(t, one.Rule, one.Name)
		require.NotEmpty(t, one.Page, one.Name)
	}
	require.Greater(t, len(names), 800)
}

// TestCasesFailWhereTheyShould: an endpoint that answers everything with 200 passes
// hardly any case, so cases do look at answers.
func TestCasesFailWhereTheyShould(t *testing.T) {
	yes := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	known := map[string]string{}
	for _, one := range s3apitest.Cases() {
		known[one.Name] = "it says yes to everything"
	}
	for _, passing := range []string{ // what S3 answers with 200 and nothing else
		"acl/access-time", "acl/concurrent", "acl/grant-none", "acl/recreate", "bucket/create-twice", "bucket/location",
		"bucket/name-good-dashes", "bucket/name-good-digits", "bucket/name-good-dots", "bucket/name-good-long",
		"lifecycle/expiration-disabled", "list/v1-distinct", "list/v2-checksum", "list/v2-restore-status", "metadata/replaced",
		"multipart/complete-empty-part", "object/aws-chunked-only", "object/aws-chunked-twice", "policy/actions-forms",
		"policy/condition-address", "policy/condition-time", "policy/condition-version", "policy/wildcards", "presigned/second",
		"signature/clock-header-14-minutes-early", "signature/clock-header-14-minutes-late",
		"signature/clock-header-v2-14-minutes-early", "signature/clock-header-v2-14-minutes-late", "signature/payload-chunks-empty",
		"signature/payload-chunks-trailer-empty", "signature/payload-unsigned-empty", "signature/payload-unsigned-trailer-empty",
		"tagging/limit-none", "tagging/object-keeps", "versioning/mfa-disabled",
	} {
		delete(known, passing)
	}
	server := httptest.NewServer(yes)
	defer server.Close()
	report := s3apitest.Run(t, s3apitest.Target{
		Endpoint: server.URL, Region: s3api.DefaultRegion, MinPartBytes: partBytes, Main: identity("main", "1"), Alt: identity("alt", "2"), Tenant: identity("tenant", "3"),
	}, &s3apitest.Options{Known: known})
	require.Less(t, report.Count("", s3apitest.Passed), 40)
}

// lacks are the groups of cases whose operations are not built.
func lacks() map[string]string {
	groups := map[string]string{
		"PutBucketAcl": "acl", "PutBucketPolicy": "policy", "PutBucketOwnershipControls": "ownership", "PutPublicAccessBlock": "public-access",
		"PutBucketCors": "cors", "PostObject": "form", "PutBucketLifecycleConfiguration": "lifecycle", "AppendObject": "append", "RenameObject": "rename",
	}
	lacks := map[string]string{}
	for _, o := range s3api.Operations() {
		if group, ok := groups[o.Name]; ok && !o.Built {
			lacks[group] = o.Name + " is not built"
		}
	}
	return lacks
}

// known are the cases that the handler does not pass, and why.
func known() map[string]string {
	return map[string]string{}
}
