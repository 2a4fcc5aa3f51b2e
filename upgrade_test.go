// Goal: a store that an earlier release wrote opens, reads as it did, and goes on.
// Method: stores that the first release wrote lie in testdata, once closed and once
// as a kill leaves them, with all that the release said of them; the same is
// done to a store of today's, so that it is known to be all.
package sherd_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/versioning"
)

// The store of the first release: written by it with SHERD_WRITE_RELEASE set to
// a directory, and never again.
const (
	firstRelease  = "testdata/release1"
	storesArchive = "stores.tar.gz"
	storeManifest = "manifest.txt"
)

// herd writes a store of four drives with all that one can hold, and gives what
// is in it. The directories killed/d… and closed/d… are its drives before and
// after it was closed.
func herd(t *testing.T, dir string) string {
	t.Helper()
	var drives []string
	for i := range 4 {
		drives = append(drives, filepath.Join(dir, "closed", fmt.Sprint("d", i)))
	}
	w := &writer{t: t, o: &sherd.Options{ReserveBytes: -1, Clock: newClock(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)).Now}}
	w.open(drives)
	w.plain()
	w.versions()
	w.locked()
	w.uploads()
	require.NoError(t, w.Close())
	w.open(drives[1:]) // one is away
	w.put("plain", "written while one was away", 9_000, nil)
	w.put("plain", "written while one was away, large", 200_000, nil)
	w.delete("plain", "deleted while one was away", "")
	require.NoError(t, w.Close())
	w.open(drives)
	require.Eventually(t, func() bool { return well(w.Store) }, time.Minute, time.Millisecond)
	w.put("plain", "written after it was back", 9_000, nil)
	text := inventory(t, w.Store)
	require.NoError(t, os.CopyFS(filepath.Join(dir, "killed"), os.DirFS(filepath.Join(dir, "closed"))))
	require.NoError(t, w.Close())
	return text
}

// writer writes a store, content by content.
type writer struct {
	*sherd.Store
	t    *testing.T
	o    *sherd.Options
	seed uint64
}

func (w *writer) open(drives []string) {
	var err error
	w.Store, err = sherd.Open(w.t.Context(), drives, w.o)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = w.Close() })
}

// content is bytes of its own that compress well.
func (w *writer) content(size int) *bytes.Reader {
	w.seed++
	return bytes.NewReader(bytes.Repeat(sized(w.seed, 64), size/64+1)[:size])
}

func (w *writer) put(bucket, key string, size int, o *sherd.PutOptions) sherd.ObjectInfo {
	info, err := w.Put(w.t.Context(), bucket, key, w.content(size), int64(size), o)
	require.NoError(w.t, err)
	return info
}

func (w *writer) delete(bucket, key, version string) {
	_, err := w.Delete(w.t.Context(), bucket, key, &sherd.DeleteOptions{VersionID: version})
	require.NoError(w.t, err)
}

func (w *writer) copy(bucket, from, to string, o *sherd.CopyOptions) {
	_, err := w.Copy(w.t.Context(), sherd.Source{Bucket: bucket, Key: from}, bucket, to, o)
	require.NoError(w.t, err)
}

func (w *writer) bucket(name string, o *sherd.BucketOptions) {
	_, err := w.CreateBucket(w.t.Context(), name, o)
	require.NoError(w.t, err)
}

func (w *writer) plain() {
	none, most := 0, 2
	w.bucket("plain", &sherd.BucketOptions{Owner: "owner", Region: "eu-west-1"})
	w.bucket("gone", nil)
	require.NoError(w.t, w.DeleteBucket(w.t.Context(), "gone"))
	w.bucket("empty", nil)
	require.NoError(w.t, w.PutDocument(w.t.Context(), "plain", "policy", []byte("{}")))
	w.put("plain", "nothing in it", 0, nil)
	w.put("plain", "small", 1000, &sherd.PutOptions{
		ContentType: "text/plain", MD5: true, Owner: "somebody", StorageClass: 2,
		Headers: map[string]string{"cache-control": "no-store"}, Metadata: map[string]string{"colour": "grün"}, Tags: map[string]string{"a": "1", "b": ""},
		Checksum: &sherd.ChecksumRequest{Algorithms: []sherd.ChecksumAlgorithm{sherd.CRC32, sherd.CRC32C, sherd.CRC64NVME, sherd.SHA1, sherd.SHA256}},
	})
	w.put("plain", "inline", 100_000, &sherd.PutOptions{MD5: true})
	w.put("plain", "large", 300_001, &sherd.PutOptions{MD5: true})
	w.put("plain", "without parity", 200_000, &sherd.PutOptions{Parity: &none})
	w.put("plain", "with all parity", 200_000, &sherd.PutOptions{Parity: &most})
	for _, key := range []string{"a", "a/", "a/b", "a//b", "\x00", "\xff\xfe", strings.Repeat("k", 1024), "ä", "a\u0308"} {
		w.put("plain", key, 10, nil)
	}
	w.put("plain", "overwritten", 200_000, nil)
	w.put("plain", "overwritten", 150_000, nil)
	w.put("plain", "deleted", 200_000, nil)
	w.delete("plain", "deleted", "")
	w.put("plain", "deleted while one was away", 200_000, nil)
	w.copy("plain", "large", "a copy of it", &sherd.CopyOptions{ReplaceMetadata: true, PutOptions: sherd.PutOptions{ContentType: "image/png"}})
	w.copy("plain", "inline", "a copy of that", nil)
	w.put("plain", "source", 180_000, nil)
	w.copy("plain", "source", "a copy whose source is gone", nil)
	w.delete("plain", "source", "")
}

func (w *writer) versions() {
	ctx := w.t.Context()
	w.bucket("versions", nil)
	w.put("versions", "from before", 100, nil)
	require.NoError(w.t, w.SetVersioning(ctx, "versions", versioning.Enabled))
	for size := range 3 {
		w.put("versions", "from before", 1000+size, nil)
		w.put("versions", "large ones", 150_000+size, nil)
	}
	destroyed := w.put("versions", "one was destroyed", 2000, nil)
	w.put("versions", "one was destroyed", 2001, nil)
	w.delete("versions", "one was destroyed", destroyed.VersionID)
	w.put("versions", "deleted", 10, nil)
	w.delete("versions", "deleted", "")
	w.delete("versions", "never there", "")
	require.NoError(w.t, w.SetVersioning(ctx, "versions", versioning.Suspended))
	w.put("versions", "from before", 5, nil)
	w.put("versions", "from before", 6, nil)
	w.put("versions", "null", 7, nil)
	w.delete("versions", "null", "")
	w.bucket("enabled-again", nil)
	for _, status := range []versioning.Status{versioning.Enabled, versioning.Suspended, versioning.Enabled} {
		require.NoError(w.t, w.SetVersioning(ctx, "enabled-again", status))
		w.put("enabled-again", "k", 50, nil)
	}
	require.NoError(w.t, w.SetTags(ctx, "enabled-again", "k", sherd.NullVersionID, map[string]string{"of": "null"}))
}

func (w *writer) locked() {
	ctx, until := w.t.Context(), time.Date(2090, 1, 2, 3, 4, 5, 0, time.UTC)
	w.bucket("locked", &sherd.BucketOptions{ObjectLock: true})
	require.NoError(w.t, w.SetObjectLock(ctx, "locked", lock.Configuration{Enabled: true, Default: lock.DefaultRetention{Mode: lock.Governance, Years: 80}}))
	w.put("locked", "by default", 10, nil)
	w.put("locked", "compliance", 10, &sherd.PutOptions{Retention: lock.Retention{Mode: lock.Compliance, Until: until}})
	w.put("locked", "held", 10, &sherd.PutOptions{LegalHold: true})
	w.put("locked", "held later", 10, nil)
	require.NoError(w.t, w.SetLegalHold(ctx, "locked", "held later", "", true))
	w.put("locked", "marked", 10, nil)
	w.delete("locked", "marked", "")
}

func (w *writer) upload(key string, o *sherd.UploadOptions, sizes ...int) (string, []sherd.CompletedPart) {
	u, err := w.CreateUpload(w.t.Context(), "plain", key, o)
	require.NoError(w.t, err)
	var parts []sherd.CompletedPart
	for i, size := range sizes {
		part, err := w.PutPart(w.t.Context(), "plain", key, u.ID, 2*i+1, w.content(size), int64(size), &sherd.PartOptions{MD5: true})
		require.NoError(w.t, err)
		parts = append(parts, sherd.CompletedPart{Number: part.Number, ETag: part.ETag})
	}
	return u.ID, parts
}

func (w *writer) uploads() {
	id, parts := w.upload("of parts", &sherd.UploadOptions{ContentType: "video/mp4", Tags: map[string]string{"a": "b"}}, 150_000, 1000, 0, 200_000)
	info, err := w.CompleteUpload(w.t.Context(), "plain", "of parts", id, append(parts[:1:1], parts[1], parts[3]), nil)
	require.NoError(w.t, err)
	require.Equal(w.t, 3, info.Parts)
	w.copy("plain", "of parts", "a copy of parts", nil)
	w.upload("under way", &sherd.UploadOptions{ContentType: "text/html", Metadata: map[string]string{"m": "1"}}, 150_000, 1000)
	w.upload("begun", nil)
	id, _ = w.upload("aborted", nil, 150_000)
	require.NoError(w.t, w.AbortUpload(w.t.Context(), "plain", "aborted", id))
}

// inventory is all that a store tells of what it holds, as lines of text.
func inventory(t *testing.T, s *sherd.Store) string {
	t.Helper()
	ctx, out := t.Context(), &strings.Builder{}
	for b, err := range s.ListBuckets(ctx, nil) {
		require.NoError(t, err)
		config, err := s.ObjectLock(ctx, b.Name)
		require.NoError(t, err)
		document, err := s.Document(ctx, b.Name, "policy")
		if err != nil {
			require.ErrorIs(t, err, sherd.ErrNoSuchDocument)
		}
		fmt.Fprintf(out, "bucket %q id %d, created %v, versioning %v, lock %t %+v, owner %q, region %q, policy %q\n",
			b.Name, b.ID, b.Created, b.Versioning, b.ObjectLock, config, b.Owner, b.Region, document)
		for v, err := range s.ListVersions(ctx, b.Name, &sherd.ListVersionsOptions{Details: true}) {
			require.NoError(t, err)
			fmt.Fprintf(out, "  %q version %q latest %t marker %t, %d bytes, etag %s %t, %v, class %d, type %q, headers %v, metadata %v, tags %v, checksums %v, %v hold %t, owner %q\n",
				v.Key, v.VersionID, v.Latest, v.DeleteMarker, v.Size, v.ETag, v.ETagIsMD5, v.Modified, v.StorageClass,
				v.ContentType, v.Headers, v.Metadata, v.Tags, v.Checksums, v.Retention, v.LegalHold, v.Owner)
			if !v.DeleteMarker {
				inventoryBytes(t, s, v, out)
			}
		}
		for u, err := range s.ListUploads(ctx, b.Name, nil) {
			require.NoError(t, err)
			u, err = s.StatUpload(ctx, b.Name, u.Key, u.ID)
			require.NoError(t, err)
			fmt.Fprintf(out, "  upload of %q %s, %v, type %q, metadata %v\n", u.Key, u.ID, u.Begun, u.ContentType, u.Metadata)
			for p, err := range s.ListParts(ctx, b.Name, u.Key, u.ID, 0) {
				require.NoError(t, err)
				fmt.Fprintf(out, "    part %d, %d bytes, etag %s, %v\n", p.Number, p.Size, p.ETag, p.Modified)
			}
		}
	}
	return out.String()
}

func inventoryBytes(t *testing.T, s *sherd.Store, v sherd.ObjectInfo, out io.Writer) {
	t.Helper()
	o := &sherd.GetOptions{VersionID: v.VersionID}
	object, err := s.Get(t.Context(), v.Bucket, v.Key, o)
	require.NoError(t, err, "%q", v.Key)
	h := sha256.New()
	n, err := io.Copy(h, object)
	require.NoError(t, err, "%q", v.Key)
	require.NoError(t, object.Close())
	fmt.Fprintf(out, "    %d bytes read, sha256 %x\n", n, h.Sum(nil))
	parts, err := s.ObjectParts(t.Context(), v.Bucket, v.Key, o)
	require.NoError(t, err)
	for _, p := range parts {
		fmt.Fprintf(out, "    part %d, %d bytes, etag %s\n", p.Number, p.Size, p.ETag)
	}
}

// pack writes a directory as an archive that is the same for the same content.
func pack(t *testing.T, dir, archive string) {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	require.NoError(t, err)
	a := tar.NewWriter(z)
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return a.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: filepath.ToSlash(name) + "/", Mode: 0o700})
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := a.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: filepath.ToSlash(name), Mode: 0o600, Size: int64(len(content))}); err != nil {
			return err
		}
		_, err = a.Write(content)
		return err
	}))
	require.NoError(t, a.Close())
	require.NoError(t, z.Close())
	require.NoError(t, os.WriteFile(archive, b.Bytes(), 0o600))
}

// unpack takes one of the stores of an archive out of it, and gives its drives.
func unpack(t *testing.T, archive, ended, dir string) []string {
	t.Helper()
	f, err := os.Open(archive)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	for a := tar.NewReader(z); ; {
		h, err := a.Next()
		if err == io.EOF {
			return drivesIn(t, filepath.Join(dir, ended))
		}
		require.NoError(t, err)
		if !strings.HasPrefix(h.Name, ended+"/") {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			require.NoError(t, os.Mkdir(path, 0o700))
			continue
		}
		content, err := io.ReadAll(a)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, content, 0o600))
	}
}

// TestWriteRelease writes the stores of a release where it is told to; otherwise
// it only shows that all of it is there.
func TestWriteRelease(t *testing.T) {
	to, stores := os.Getenv("SHERD_WRITE_RELEASE"), t.TempDir()
	if to == "" {
		to = t.TempDir()
	}
	text := herd(t, stores)
	require.NoError(t, os.WriteFile(filepath.Join(to, storeManifest), []byte(text), 0o600))
	pack(t, stores, filepath.Join(to, storesArchive))
	again := t.TempDir()
	goesOn(t, unpack(t, filepath.Join(to, storesArchive), "closed", again), text)
}

func drivesIn(t *testing.T, dir string) []string {
	t.Helper()
	drives, err := filepath.Glob(filepath.Join(dir, "d*"))
	require.NoError(t, err)
	require.Len(t, drives, 4)
	return drives
}

func TestStoresOfTheFirstRelease(t *testing.T) {
	manifest, err := os.ReadFile(filepath.Join(firstRelease, storeManifest))
	require.NoError(t, err)
	archive, want := filepath.Join(firstRelease, storesArchive), string(manifest)
	t.Run("are read where nothing may be written", func(t *testing.T) {
		dir := t.TempDir()
		drives := unpack(t, archive, "closed", dir)
		before := tree(t, dir)
		s, err := sherd.OpenReadOnly(t.Context(), drives, nil)
		require.NoError(t, err)
		require.Equal(t, want, inventory(t, s))
		requireNothingWrong(t, s)
		require.NoError(t, s.Close())
		require.Equal(t, before, tree(t, dir))
	})
	for i, ended := range []string{"closed", "killed"} {
		t.Run(ended+" go on", func(t *testing.T) { goesOn(t, unpack(t, archive, ended, t.TempDir()), want) })
		for away := range 4 {
			if away%2 != i && !long() {
				continue
			}
			t.Run(fmt.Sprint(ended, " are read without drive ", away), func(t *testing.T) {
				drives := unpack(t, archive, ended, t.TempDir())
				s, err := sherd.Open(t.Context(), slices.Delete(drives, away, away+1), nil)
				require.NoError(t, err)
				defer s.Close()
				require.Equal(t, want, withoutParity(t, s, want))
				put(t, s, "plain", "new", "written without it")
				require.Equal(t, "written without it", get(t, s, "plain", "new", nil))
			})
		}
	}
}

// withoutParity is the inventory of a store that misses a drive: the object
// without parity is then not to be read, and is taken as it was.
func withoutParity(t *testing.T, s *sherd.Store, want string) string {
	t.Helper()
	_, err := s.Delete(t.Context(), "plain", "without parity", nil)
	require.NoError(t, err)
	got := inventory(t, s)
	at := strings.Index(want, `  "without parity"`)
	end := at
	for range 2 {
		end += strings.IndexByte(want[end:], '\n') + 1
	}
	return got[:at] + want[at:end] + got[at:]
}

// goesOn opens a store, which has all that is wanted, and works with it.
func goesOn(t *testing.T, drives []string, want string) {
	t.Helper()
	s, err := sherd.Open(t.Context(), drives, &sherd.Options{ReserveBytes: -1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	require.Equal(t, want, inventory(t, s))
	requireNothingWrong(t, s)

	put(t, s, "plain", "new", "written later")
	put(t, s, "plain", "overwritten", "anew")
	put(t, s, "versions", "from before", "anew")
	_, err = s.Delete(t.Context(), "plain", "of parts", nil)
	require.NoError(t, err)
	for name, key := range map[string]string{"compliance": "locked", "held": "locked"} {
		for v, err := range s.ListVersions(t.Context(), key, &sherd.ListVersionsOptions{Prefix: name}) {
			require.NoError(t, err)
			_, err = s.Delete(t.Context(), key, v.Key, &sherd.DeleteOptions{VersionID: v.VersionID, Bypass: true})
			require.ErrorIs(t, err, sherd.ErrLocked)
		}
	}
	for u, err := range s.ListUploads(t.Context(), "plain", &sherd.ListUploadsOptions{Prefix: "under way"}) {
		require.NoError(t, err)
		_, err = s.CompleteUpload(t.Context(), "plain", u.Key, u.ID, []sherd.CompletedPart{{Number: 1}, {Number: 3}}, nil)
		require.NoError(t, err)
	}
	requireNothingWrong(t, s)
	later := inventory(t, s)
	require.NotEqual(t, want, later)
	require.NoError(t, s.Close())
	s, err = sherd.Open(t.Context(), drives, &sherd.Options{ReserveBytes: -1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	require.Equal(t, later, inventory(t, s))
	requireNothingWrong(t, s)
	require.NoError(t, s.Close())
}
