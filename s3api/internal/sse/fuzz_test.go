// Goal: headers of encryption, and what is kept of it, never make a panic, and mean what
// they say. Method: fuzz both; what is accepted is told again and read in the same way, a
// key has its length and its sum, and a context is the one that is bound to the key.
package sse

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzHeaders(f *testing.F) {
	key := bytes.Repeat([]byte{7}, keyBytes)
	sum := md5.Sum(key)
	encode := base64.StdEncoding.EncodeToString
	f.Add("", "", "", Algorithm, encode(key), encode(sum[:]), "")
	f.Add("AES256", "", "", "", "", "", "")
	f.Add("aws:kms", "key-1", encode([]byte(`{"a":"b"}`)), "", "", "", "true")
	f.Fuzz(func(t *testing.T, algorithm, id, context, customer, text, sum, bucketKey string) {
		h := http.Header{}
		for name, value := range map[string]string{
			HeaderAlgorithm: algorithm, HeaderKeyID: id, HeaderContext: context, HeaderBucketKey: bucketKey,
			OfObject + customerAlgorithm: customer, OfObject + customerKey: text, OfObject + customerMD5: sum,
		} {
			if value != "" {
				h.Set(name, value)
			}
		}
		r, err := ParseRequest(h)
		if err != nil {
			var told *Error
			require.ErrorAs(t, err, &told, "a client is told what is wrong")
			return
		}
		require.Equal(t, r.Kind == Customer, r.Key != nil)
		require.True(t, r.Kind == KMS || r.KeyID == "" && r.Context == nil)
		if r.Key != nil {
			require.Equal(t, text, encode(r.Key.key[:]), "one spelling of a key")
			of := md5.Sum(r.Key.key[:])
			require.Equal(t, sum, encode(of[:]))
			back := http.Header{}
			r.Key.Headers(back)
			require.Equal(t, sum, back.Get(OfObject+customerMD5))
			require.NotContains(t, back, OfObject+customerKey)
			return
		}
		// What is written is kept, and read again.
		e := &Envelope{Kind: r.Kind, KeyID: r.KeyID, Context: r.Context, Sealed: key}
		if r.Kind == None {
			return
		}
		data, err := e.Marshal()
		if err != nil {
			require.ErrorIs(t, err, ErrContext)
			return
		}
		kept, err := ParseEnvelope(data)
		require.NoError(t, err)
		require.True(t, e.SameKey(kept))
		require.Equal(t, Bound(e.KeyID, e.Context), Bound(kept.KeyID, kept.Context), "or it could not be opened any more")
	})
}

func FuzzKept(f *testing.F) {
	f.Add([]byte(`{"kind":"aws:kms","key":"k","bucket_key":true,"blocked":["SSE-C"]}`))
	f.Add([]byte(`{"v":1,"kind":"AES256","key":"k","sealed":"AAAA"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := ParseRule(data); err == nil {
			all := (&Request{}).Or(r)
			require.Equal(t, r.Kind, all.Kind)
			r.Blocks()
		}
		if e, err := ParseEnvelope(data); err == nil {
			again, err := e.Marshal()
			if err != nil {
				require.ErrorIs(t, err, ErrContext)
				return
			}
			kept, err := ParseEnvelope(again)
			require.NoError(t, err)
			require.Equal(t, e, kept)
		}
	})
}
