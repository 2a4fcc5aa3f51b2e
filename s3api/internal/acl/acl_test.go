// Goal: a list means after it was kept what it meant before, and what is read from
// outside is a list or an error. Method: identity of writing and reading, tables of
// S3's pages, fuzz targets.
package acl_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/internal/acl"
)

func TestCannedListsAreKept(t *testing.T) {
	for _, name := range []string{"private", "public-read", "public-read-write", "authenticated-read", "log-delivery-write", "bucket-owner-read", "bucket-owner-full-control", "aws-exec-read"} {
		list, err := acl.Canned(name, "owner", "bucket's owner")
		require.NoError(t, err)
		data, err := list.Encode()
		require.NoError(t, err)
		again, err := acl.Decode(data)
		require.NoError(t, err)
		require.Equal(t, list, again, name)
		require.Equal(t, acl.ToCaller, list.To("owner", acl.WriteACP, false), name)
		require.Equal(t, acl.ToNobody, list.To("stranger", acl.WriteACP, false), name)
		require.Equal(t, list.Public(), list.To("stranger", acl.Read, false) == acl.ToGroup, name)
		require.Equal(t, acl.ToNobody, list.To("stranger", acl.Read, true), name)
	}
	_, err := acl.Canned("public", "owner", "owner")
	require.ErrorIs(t, err, acl.ErrCanned)
}

func TestListsThatAreDamaged(t *testing.T) {
	for _, text := range []string{
		"", "{", "[]", `{"owner":"a","grants":[{"permission":1}]}`, `{"owner":"a","grants":[{"id":"b","group":"c","permission":1}]}`,
		`{"owner":"a","grants":[{"id":"b","permission":0}]}`, `{"owner":"a","grants":[{"id":"b","permission":16}]}`,
	} {
		_, err := acl.Decode([]byte(text))
		require.ErrorIs(t, err, acl.ErrDamaged, text)
	}
}

func TestNobodyIsNoGrantee(t *testing.T) {
	list := acl.List{Owner: "", Grants: []acl.Grant{{Group: acl.AuthenticatedUsers, Permission: acl.Read}, {ID: "a", Permission: acl.Read}}}
	require.Equal(t, acl.ToNobody, list.To("", acl.Read, false))
	require.Equal(t, acl.ToNobody, acl.Private("").To("", acl.Read, false), "a list without an owner is not everybody's")
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"owner":"a","grants":[{"id":"b","permission":15},{"group":"http://acs.amazonaws.com/groups/global/AllUsers","permission":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := acl.Decode(data)
		if err != nil {
			return
		}
		for _, p := range acl.Permissions() {
			if list.To("", p, true) != acl.ToNobody {
				t.Fatal("nobody was granted something without a group")
			}
			if !list.Public() && list.To("", p, false) != acl.ToNobody {
				t.Fatal("a list that is not public grants to nobody")
			}
		}
		again, err := list.Encode()
		require.NoError(t, err)
		same, err := acl.Decode(again)
		require.NoError(t, err)
		require.Equal(t, list.Owner, same.Owner)
		require.Len(t, same.Grants, len(list.Grants))
	})
}

func FuzzParseGrantees(f *testing.F) {
	f.Add(`id="a", uri="b",emailAddress=c`)
	f.Fuzz(func(t *testing.T, header string) {
		grantees, ok := acl.ParseGrantees(header)
		if !ok {
			return
		}
		for _, g := range grantees {
			set := 0
			for _, text := range []string{g.ID, g.URI, g.Email} {
				if text != "" {
					set++
				}
			}
			if set != 1 {
				t.Fatalf("%q: %+v", header, g)
			}
		}
	})
}
