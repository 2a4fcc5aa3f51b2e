// Goal: a listing that writes itself is byte for byte what encoding/xml would have
// made of it, whatever its fields hold, those that are added later too. Method:
// documents with every field filled at random, by reflection, against the library.
package wire_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

func TestListingsWriteThemselves(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		for _, document := range []any{&wire.ListObjects{}, &wire.ListObjectsV2{}, &wire.ListVersions{}} {
			scribble(random, reflect.ValueOf(document).Elem())
			var want bytes.Buffer
			want.WriteString(xml.Header)
			require.NoError(t, xml.NewEncoder(&want).Encode(document))
			got, err := wire.Marshal(document)
			require.NoError(t, err)
			require.Equal(t, want.String(), string(got))
		}
	}
}

// scribble fills a value: about every second field has its zero value.
func scribble(random *rand.Rand, v reflect.Value) {
	v.SetZero()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			switch name := v.Type().Field(i).Name; {
			case name != "XMLName":
				scribble(random, v.Field(i))
			case v.Type() == reflect.TypeFor[wire.Version]():
				v.Field(i).Set(reflect.ValueOf(xml.Name{Local: []string{"Version", "DeleteMarker"}[random.IntN(2)]}))
			}
		}
		return
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), random.IntN(3), 3))
		for i := range v.Len() {
			scribble(random, v.Index(i))
		}
		return
	}
	if random.IntN(2) == 0 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		scribble(random, v.Elem())
	case reflect.String:
		v.SetString(scrawl(random))
	case reflect.Int, reflect.Int64:
		v.SetInt(random.Int64() - 1<<62)
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic(fmt.Sprintf("a field of kind %s", v.Kind()))
	}
}

func scrawl(random *rand.Rand) string {
	pieces := []string{"a", "/", " ", "<", ">", "&", "\"", "'", "\t", "\n", "\r", "\x00", "\x1f", "\x7f", "\u0085", "é",
		"\u2028", "\ufffd", "\ufffe", "\uffff", "\U0001f600", "\U0010ffff", "\xff", "\xed\xa0\x80", "\xc3"}
	var b strings.Builder
	for range random.IntN(12) {
		b.WriteString(pieces[random.IntN(len(pieces))])
	}
	return b.String()
}

func BenchmarkListing(b *testing.B) {
	page := &wire.ListObjectsV2{Namespace: wire.Namespace, Name: "bucket", MaxKeys: 1000, KeyCount: 1000}
	for i := range 1000 {
		page.Contents = append(page.Contents, wire.Object{Key: fmt.Sprintf("folder/object-%08d", i),
			LastModified: "2026-11-26T00:00:00.000Z", ETag: `"d41d8cd98f00b204e9800998ecf8427e"`, Size: 4096, StorageClass: "STANDARD"})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.Marshal(page); err != nil {
			b.Fatal(err)
		}
	}
}
