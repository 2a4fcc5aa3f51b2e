// Goal: the floor of small objects. Method: a raw index on each drive of a run, with
// one writer each, as described at rawIndexes.
package bench

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/stretchr/testify/require"
)

// What a small object leaves on a drive: a record, a shard of half its bytes
// with a sum, and an entry of the log.
const (
	recordBytes = 200
	shardBytes  = small/2 + 32
	entryBytes  = 300
	maxGroup    = 256
)

// indexes is the floor of small objects: a raw index on each drive, with one
// writer that makes one synced batch of all that waits.
type indexes struct {
	dbs    []*pebble.DB
	queues []chan *write
	next   atomic.Uint64
}

type write struct {
	at   uint64
	done chan error
}

func rawIndexes(b *testing.B) *indexes {
	x := &indexes{}
	cache := pebble.NewCache(48 << 20)
	defer cache.Unref()
	for range drives {
		o := &pebble.Options{
			Cache: cache, MemTableSize: 8 << 20, MemTableStopWritesThreshold: 4, Logger: quiet{}, FormatMajorVersion: pebble.FormatNewest,
		}
		for i := range o.Levels {
			o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		}
		db, err := pebble.Open(filepath.Join(b.TempDir(), "index"), o)
		require.NoError(b, err)
		queue := make(chan *write, maxGroup)
		x.dbs, x.queues = append(x.dbs, db), append(x.queues, queue)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			feed(db, queue)
		}()
		b.Cleanup(func() {
			close(queue)
			<-ended
			require.NoError(b, db.Close())
		})
	}
	return x
}

type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

func feed(db *pebble.DB, queue chan *write) {
	bytes := make([]byte, shardBytes)
	for w := range queue {
		batch := db.NewBatch()
		group := []*write{w}
	more:
		for len(group) < maxGroup {
			select {
			case w, ok := <-queue:
				if !ok {
					break more
				}
				group = append(group, w)
			default:
				break more
			}
		}
		var err error
		for _, w := range group {
			for _, k := range []struct {
				kind byte
				n    int
			}{{'o', recordBytes}, {'i', shardBytes}, {'l', entryBytes}} {
				if e := batch.Set(rawKey(k.kind, w.at), bytes[:k.n], nil); e != nil {
					err = e
				}
			}
		}
		if e := batch.Commit(pebble.Sync); e != nil {
			err = e
		}
		for _, w := range group {
			w.done <- err
		}
	}
}

func rawKey(kind byte, at uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind, 0, 0, 0, 0, 0, 0, 0, 1}, at)
}

func (x *indexes) put(int, int) error {
	w := &write{at: x.next.Add(1), done: make(chan error, drives)}
	for _, q := range x.queues {
		q <- w
	}
	var first error
	for range x.queues {
		if err := <-w.done; err != nil {
			first = err
		}
	}
	return first
}

func (x *indexes) filled(b *testing.B) *indexes {
	for i := range 256 {
		require.NoError(b, x.put(0, i))
	}
	return x
}

// get looks the record up on one drive, and the shards on two.
func (x *indexes) get(client, i int) error {
	at := uint64((client*31+i)%256 + 1)
	for drive, kind := range []byte{'o', 'i', 'i'} {
		_, closer, err := x.dbs[(i+drive)%drives].Get(rawKey(kind, at))
		if err != nil {
			return err
		}
		if err := closer.Close(); err != nil {
			return err
		}
	}
	return nil
}
