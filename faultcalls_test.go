// Goal: the calls that the loop of faults is about, each with what stands before
// and what it makes. Method: a table.
package sherd_test

import (
	"bytes"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
)

// call is a call under test.
type call struct {
	name  string
	away  int  // drives that are gone besides those with the fault: the last ones
	opens bool // the call opens the store
	// noStall: the index library holds a mutex while it opens, and who waits for
	// one stops the virtual clock. TestHungWhileOpening (of internal/driveset) is about that.
	noStall bool
	before  func(x *trial)
	act     func(x *trial) error
}

// state is what a call changes, and what it must not.
type state struct {
	key           string
	before, after string // what look gives
	look          func(s *sherd.Store) (string, error)
	others        map[string]string // digests of objects that nobody touches
	upload        string
	parts         map[string][]byte // by digest, of the part that is looked at
	used          int
}

var (
	tiny    = sized(1, 900)
	tinyNew = sized(2, 700)
	middle  = sized(3, 300_000)
	middle2 = sized(4, 210_000)
)

// begin puts what stands in the store before the call.
func (s *state) begin(x *trial) {
	_, err := x.store.CreateBucket(x.Context(), bucketName, nil)
	require.NoError(x, err)
	s.key, s.others, s.parts = "k", map[string]string{}, map[string][]byte{}
	s.look = func(store *sherd.Store) (string, error) { return contentOf(x, store, s.key) }
	for key, content := range map[string][]byte{"a/inline": sized(5, 3000), "z/file": sized(6, 280_000)} {
		require.NoError(x, x.put(key, content))
		s.others[key] = digest(content)
	}
}

func (x *trial) put(key string, content []byte) error {
	_, err := x.store.Put(x.Context(), bucketName, key, bytes.NewReader(content), int64(len(content)), nil)
	return err
}

// has puts content at the key, before the fault.
func (x *trial) has(content []byte) {
	require.NoError(x, x.put(x.state.key, content))
	x.state.before = digest(content)
}

// use writes and reads once more: what was settled can be gone on from.
func (s *state) use(x *trial, store *sherd.Store) {
	s.used++
	key, content := fmt.Sprintf("used/%d", s.used), sized(uint64(s.used), 1500*s.used*s.used*s.used)
	_, err := store.Put(x.Context(), bucketName, key, bytes.NewReader(content), -1, nil)
	require.NoError(x, err, x.String())
	got, err := contentOf(x, store, key)
	require.NoError(x, err, x.String())
	require.Equal(x, digest(content), got, x.String())
}

func calls() []call {
	put := func(old, content []byte) (before func(*trial), act func(*trial) error) {
		return func(x *trial) {
				if old != nil {
					x.has(old)
				}
				x.state.after = digest(content)
			}, func(x *trial) error {
				return x.put(x.state.key, content)
			}
	}
	one := func(name string, old, content []byte) call {
		before, act := put(old, content)
		return call{name: name, before: before, act: act}
	}
	return append([]call{
		one("put inline", nil, tiny),
		one("put file", nil, middle),
		one("overwrite inline", tiny, tinyNew),
		one("overwrite file", middle, middle2),
		one("overwrite file with inline", middle, tiny),
		remove("delete inline", tiny),
		remove("delete file", middle),
		copyOf("copy inline", tiny, nil),
		copyOf("copy file", middle, tiny),
		appendTo("append inline", tiny, tinyNew),
		appendTo("append file", middle, middle2),
		renameTo("rename inline", tiny, middle),
		renameTo("rename file", middle, nil),
	}, slowCalls()...)
}

func remove(name string, old []byte) call {
	return call{name: name,
		before: func(x *trial) { x.has(old) },
		act: func(x *trial) error {
			_, err := x.store.Delete(x.Context(), bucketName, x.state.key, nil)
			return err
		},
	}
}

func copyOf(name string, source, old []byte) call {
	return call{name: name,
		before: func(x *trial) {
			require.NoError(x, x.put("source", source))
			x.state.others["source"] = digest(source)
			x.state.after = digest(source)
			if old != nil {
				x.has(old)
			}
		},
		act: func(x *trial) error {
			_, err := x.store.Copy(x.Context(), sherd.Source{Bucket: bucketName, Key: "source"}, bucketName, x.state.key, nil)
			return err
		},
	}
}

func appendTo(name string, old, more []byte) call {
	return call{name: name,
		before: func(x *trial) {
			x.has(old)
			x.state.after = digest(append(bytes.Clone(old), more...))
		},
		act: func(x *trial) error {
			_, err := x.store.Append(x.Context(), bucketName, x.state.key, bytes.NewReader(more), int64(len(more)), int64(len(old)), nil)
			return err
		},
	}
}

// renameTo looks at both keys at once, in a listing: nobody sees both, or neither.
func renameTo(name string, source, old []byte) call {
	return call{name: name,
		before: func(x *trial) {
			require.NoError(x, x.put("source", source))
			if old != nil {
				x.has(old)
			}
			s := &x.state
			s.before, s.after = fmt.Sprintf("k %d source %d ", len(old), len(source)), fmt.Sprintf("k %d ", len(source))
			if old == nil {
				s.before = fmt.Sprintf("source %d ", len(source))
			}
			s.look = func(store *sherd.Store) (string, error) {
				seen := ""
				for info, err := range store.List(x.Context(), bucketName, nil) {
					if err != nil {
						return "", err
					}
					if info.Key != s.key && info.Key != "source" {
						continue
					}
					seen += fmt.Sprintf("%s %d ", info.Key, info.Size)
					content, err := contentOf(x, store, info.Key)
					if err != nil {
						return "", err
					}
					if content != "" && content != digest(source) && (old == nil || content != digest(old)) {
						return "", fmt.Errorf("%s has neither content", info.Key)
					}
				}
				return seen, nil
			}
		},
		act: func(x *trial) error {
			_, err := x.store.Rename(x.Context(), bucketName, "source", x.state.key, nil)
			return err
		},
	}
}

// slowCalls are uploads, and what happens to drives and to the store itself.
func slowCalls() []call {
	file := func(x *trial) { x.has(middle); x.state.after = digest(middle2) }
	return []call{
		{name: "put part", before: func(x *trial) { x.begins(nil, middle) }, act: func(x *trial) error { return x.putPart(middle) }},
		{name: "put part again", before: func(x *trial) { x.begins(tiny, middle2) }, act: func(x *trial) error { return x.putPart(middle2) }},
		{name: "complete", before: completes, act: func(x *trial) error {
			_, err := x.store.CompleteUpload(x.Context(), bucketName, x.state.key, x.state.upload, []sherd.CompletedPart{{Number: 1}, {Number: 3}}, nil)
			return err
		}},
		{name: "abort upload", before: aborts, act: func(x *trial) error {
			return x.store.AbortUpload(x.Context(), bucketName, x.state.key, x.state.upload)
		}},
		{name: "evict", away: 1, before: file, act: func(x *trial) error {
			x.faults[x.total-1].SetGone(true)
			return x.put(x.state.key, middle2)
		}},
		{name: "return", away: 1, noStall: true, before: func(x *trial) {
			x.faults[x.total-1].SetGone(true)
			pass(time.Second)
			if x.total > 2 {
				require.NoError(x, x.put(x.state.key, tiny))
				require.NoError(x, x.put(x.state.key, middle))
				x.state.before = digest(middle)
			}
			x.state.after = digest(middle2)
		}, act: func(x *trial) error {
			x.faults[x.total-1].SetGone(false)
			pass(3 * time.Second)
			return x.put(x.state.key, middle2)
		}},
		{name: "open", opens: true, noStall: true, before: func(x *trial) {
			file(x)
			x.shut(x, x.store, "before")
			x.store, x.state.after = nil, x.state.before
		}, act: func(x *trial) (err error) {
			x.store, err = x.open(x)
			return err
		}},
		{name: "open after a crash", opens: true, noStall: true, before: func(x *trial) {
			file(x)
			x.state.after = x.state.before
			x.crashes()
		}, act: func(x *trial) (err error) {
			x.store, err = x.open(x)
			return err
		}},
	}
}

// crashes leaves the store as a power cut finds it.
func (x *trial) crashes() {
	after := x.rack.crash(0, x.seed)
	x.shut(x, x.store, "before")
	x.rack, x.store = after, nil
}

// begins an upload, whose first part the call is about.
func (x *trial) begins(old, content []byte) {
	s := &x.state
	u, err := x.store.CreateUpload(x.Context(), bucketName, s.key, nil)
	require.NoError(x, err)
	s.upload, s.before, s.after = u.ID, digest(old), digest(content)
	if old != nil {
		require.NoError(x, x.putPart(old))
	}
	s.look = func(store *sherd.Store) (string, error) {
		for p, err := range store.ListParts(x.Context(), bucketName, s.key, s.upload, 0) {
			return p.ETag, err
		}
		return "", nil
	}
}

func (x *trial) putPart(content []byte) error {
	_, err := x.store.PutPart(x.Context(), bucketName, x.state.key, x.state.upload, 1, bytes.NewReader(content), int64(len(content)), &sherd.PartOptions{MD5: true})
	return err
}

// completes begins an upload of three parts, one of which is not used.
func completes(x *trial) {
	x.has(middle2)
	before, look := x.state.before, x.state.look
	x.begins(middle, nil)
	x.state.before, x.state.look = before, look
	whole := bytes.Clone(middle)
	for number, content := range map[int][]byte{2: tinyNew, 3: tiny} {
		_, err := x.store.PutPart(x.Context(), bucketName, x.state.key, x.state.upload, number, bytes.NewReader(content), -1, nil)
		require.NoError(x, err)
	}
	x.state.after = digest(append(whole, tiny...))
}

// aborts begins an upload that is looked at through the listing of uploads.
func aborts(x *trial) {
	x.begins(middle, nil)
	s := &x.state
	s.before, s.after = s.upload, ""
	s.look = func(store *sherd.Store) (string, error) {
		for u, err := range store.ListUploads(x.Context(), bucketName, nil) {
			return u.ID, err
		}
		return "", nil
	}
}
