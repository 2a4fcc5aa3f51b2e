// Goal: a sealed key opens for the name and the context that it was sealed for, and
// for nothing else. Method: every way of asking for something else, every flipped
// byte, and a look for master keys in what is shown.
package keys_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api"
	"github.com/sherd-storage/sherd/s3api/keys"
)

var _ s3api.KeyService = (*keys.Static)(nil)

func service(t *testing.T) *keys.Static {
	t.Helper()
	s, err := keys.New("a", map[string][keys.Bytes]byte{"a": {1}, "b": {2}})
	require.NoError(t, err)
	return s
}

func TestOpensWhatItSealed(t *testing.T) {
	s := service(t)
	for _, asked := range []string{"", "a", "b"} {
		for _, about := range []map[string]string{nil, {}, {"x": "1", "y": "2"}} {
			plain, sealed, id, err := s.GenerateKey(t.Context(), asked, about)
			require.NoError(t, err)
			if asked == "" {
				require.Equal(t, "a", id)
			} else {
				require.Equal(t, asked, id)
			}
			require.NotContains(t, string(sealed), string(plain[:]))
			opened, err := s.OpenKey(t.Context(), id, sealed, about)
			require.NoError(t, err)
			require.Equal(t, plain, opened)
			again, _, _, err := s.GenerateKey(t.Context(), asked, about)
			require.NoError(t, err)
			require.NotEqual(t, plain, again)
		}
	}
}

func TestOpensNothingElse(t *testing.T) {
	s := service(t)
	_, sealed, id, err := s.GenerateKey(t.Context(), "a", map[string]string{"x": "1"})
	require.NoError(t, err)
	for _, about := range []map[string]string{nil, {"x": "2"}, {"x": "1", "y": ""}, {"y": "1"}} {
		_, err := s.OpenKey(t.Context(), id, sealed, about)
		require.ErrorIs(t, err, keys.ErrSealed)
	}
	about := map[string]string{"x": "1"}
	_, err = s.OpenKey(t.Context(), "b", sealed, about)
	require.ErrorIs(t, err, keys.ErrSealed)
	_, err = s.OpenKey(t.Context(), "c", sealed, about)
	require.ErrorIs(t, err, s3api.ErrUnknownMasterKey)
	_, _, _, err = s.GenerateKey(t.Context(), "c", nil)
	require.ErrorIs(t, err, s3api.ErrUnknownMasterKey)
	for i := range sealed {
		damaged := append([]byte(nil), sealed...)
		damaged[i] ^= 1
		_, err := s.OpenKey(t.Context(), id, damaged, about)
		require.ErrorIs(t, err, keys.ErrSealed, "byte %d", i)
		_, err = s.OpenKey(t.Context(), id, sealed[:i], about)
		require.ErrorIs(t, err, keys.ErrSealed, "%d bytes", i)
	}
	renamed, err := keys.New("z", map[string][keys.Bytes]byte{"z": {1}})
	require.NoError(t, err)
	_, err = renamed.OpenKey(t.Context(), "z", sealed, about)
	require.ErrorIs(t, err, keys.ErrSealed, "the same key under another name")
}

func TestShowsNothing(t *testing.T) {
	secret := [keys.Bytes]byte([]byte("0123456789abcdef0123456789abcdef"))
	s, err := keys.New("a", map[string][keys.Bytes]byte{"a": secret})
	require.NoError(t, err)
	shown := fmt.Sprintf("%v %+v %#v %s", s, s, s, s)
	require.Equal(t, "(keys) (keys) (keys) (keys)", shown)
}

func TestRefusesBadKeys(t *testing.T) {
	for name, masters := range map[string]map[string][keys.Bytes]byte{
		"none":          nil,
		"another first": {"b": {1}},
		"zeros":         {"a": {}},
		"no name":       {"a": {1}, "": {1}},
	} {
		_, err := keys.New("a", masters)
		require.Error(t, err, name)
	}
}
