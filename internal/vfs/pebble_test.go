// Goal: keep the index library's behaviour under faults known, and prove that behind a latch it never ends the process,
// never hangs, and never loses what was acknowledged. Method: each kind of operation fails by itself, then every operation in turn,
// then the machine crashes before every operation, under every policy; each time the index is opened again from what is
// on the disk. A commit counts as acknowledged when it returned nil and the latch said so afterwards.
package vfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/crashfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/latch"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

const (
	indexDir   = "/drive/index"
	indexKeys  = 40
	valueBytes = 4000
	patience   = 20 * time.Second // a hang, on a busy machine
)

// indexLogger counts what the library would end the process for. Fatalf returns.
type indexLogger struct {
	fatal atomic.Int64
	mu    sync.Mutex
	text  bytes.Buffer
}

func (l *indexLogger) Infof(format string, args ...any)  { l.line(format, args) }
func (l *indexLogger) Errorf(format string, args ...any) { l.line(format, args) }
func (l *indexLogger) Fatalf(format string, args ...any) {
	l.fatal.Add(1)
	l.line(format, args)
}

func (l *indexLogger) line(format string, args []any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(&l.text, format+"\n", args...)
}

func (l *indexLogger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func indexOptions(fs vfs.FS, logger pebble.Logger) *pebble.Options {
	opts := &pebble.Options{
		FS: fs, Logger: logger, FormatMajorVersion: pebble.FormatNewest,
		MemTableSize: 48 << 10, L0CompactionThreshold: 2, MaxManifestFileSize: 1,
		EventListener: &pebble.EventListener{BackgroundError: func(error) {}},
	}
	// The default scheduler has a goroutine, which an Open that fails near its end leaves behind.
	opts.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	return opts
}

func indexKey(i int) []byte   { return fmt.Appendf(nil, "key %04d", i) }
func indexValue(i int) []byte { return bytes.Repeat([]byte{byte(i + 1)}, valueBytes) }

// indexRun opens an index, commits keys, and closes it, on the index view of l. It goes on after the drive has latched, as
// an engine that did not notice would. It returns how many commits are acknowledged, and the error of opening.
func indexRun(t *testing.T, l *latch.Latch, logger *indexLogger) (acked int, openErr error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		db, err := pebble.Open(indexDir, indexOptions(l.Index(), logger))
		if err != nil {
			openErr = err
			done <- nil
			return
		}
		for i := range indexKeys {
			err := db.Set(indexKey(i), indexValue(i), pebble.Sync)
			if err == nil && l.Err() == nil {
				acked = i + 1
			}
		}
		done <- db.Close()
	}()
	select {
	case err := <-done:
		if l.Err() == nil {
			require.NoError(t, err, logger)
		}
	case <-time.After(patience):
		require.Fail(t, "the index hangs", "%v\n%s", l.Err(), logger)
	}
	require.Zero(t, logger.fatal.Load(), logger)
	return acked, openErr
}

// requireIndex opens the index that a failure left and requires that nothing acknowledged is missing, and that no value
// is wrong.
func requireIndex(t *testing.T, fs vfs.FS, acked int, why string) {
	t.Helper()
	logger := &indexLogger{}
	db, err := pebble.Open(indexDir, indexOptions(fs, logger))
	require.NoError(t, err, why)
	for i := range indexKeys {
		value, closer, err := db.Get(indexKey(i))
		if errors.Is(err, pebble.ErrNotFound) {
			require.GreaterOrEqual(t, i, acked, "%s: acknowledged key %d of %d is lost", why, i, acked)
			continue
		}
		require.NoError(t, err, why)
		require.Equal(t, indexValue(i), value, why)
		require.NoError(t, closer.Close())
	}
	require.NoError(t, db.Close(), why)
	require.Zero(t, logger.fatal.Load(), "%s: %s", why, logger)
}

// Each kind of operation on each kind of file fails once, at an early and at a later moment.
func TestIndexSurvivesEachKindOfFault(t *testing.T) {
	cases := []struct {
		kind  op.Kind
		class op.Class
	}{
		{op.Write, op.WAL}, {op.SyncData, op.WAL}, {op.Create, op.WAL}, {op.Reuse, op.WAL}, {op.Close, op.WAL},
		{op.FileStat, op.WAL}, {op.Write, op.Manifest}, {op.Sync, op.Manifest}, {op.Create, op.Manifest},
		{op.Write, op.Table}, {op.SyncData, op.Table}, {op.Create, op.Table}, {op.Close, op.Table},
		{op.Create, op.Marker}, {op.Write, op.Temp}, {op.Sync, op.Temp}, {op.Create, op.Temp},
		{op.Rename, op.Options}, {op.SyncDir, op.Other},
	}
	for _, c := range cases {
		for _, skip := range []int{0, 1, 3} {
			t.Run(fmt.Sprintf("%v %v %d", c.kind, c.class, skip), func(t *testing.T) {
				mem, faults := vfs.Mem(0), faultfs.New()
				rule := faults.Add(faultfs.Rule{
					Kinds: []op.Kind{c.kind}, Classes: []op.Class{c.class}, Skip: skip, Times: 1, Do: faultfs.Fail(syscall.EIO),
				})
				l, logger := latch.New(faults.Wrap(mem), latch.Options{}), &indexLogger{}
				acked, _ := indexRun(t, l, logger)
				if skip == 0 {
					require.Positive(t, rule.Fired(), "the library does not do this any more")
				}
				if rule.Fired() > 0 {
					require.ErrorIs(t, l.Err(), syscall.EIO)
					require.ErrorIs(t, l.Err(), latch.ErrLatched)
				}
				requireIndex(t, mem, acked, t.Name())
			})
		}
	}
}

// Every operation fails in turn, with each kind of error, until there is none left to fail.
func TestIndexSurvivesTheNthFault(t *testing.T) {
	actions := map[string]faultfs.Action{
		"EIO": faultfs.Fail(syscall.EIO), "no files": faultfs.Fail(syscall.EMFILE), "short": faultfs.Short(7, syscall.EIO),
		"no space": faultfs.Fail(syscall.ENOSPC), "read-only": faultfs.Fail(syscall.EROFS),
	}
	for name, action := range actions {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n += step(3) {
				mem, faults := vfs.Mem(0), faultfs.New()
				var harmful atomic.Int64 // failures that put something in doubt
				rule := faults.Add(faultfs.Rule{Skip: n - 1, Match: func(c *vfs.Call) bool {
					return c.Kind.Mutates() || c.Kind.Durable()
				}, Do: func(c *vfs.Call, next func() error) error {
					err := action(c, next)
					if err != nil && c.Kind != op.Remove && c.Kind != op.RemoveAll && c.Kind != op.Preallocate {
						harmful.Add(1)
					}
					return err
				}})
				l := latch.New(faults.Wrap(mem), latch.Options{})
				acked, err := indexRun(t, l, &indexLogger{})
				if rule.Fired() == 0 {
					require.NoError(t, err)
					require.Greater(t, n, 50)
					require.Equal(t, indexKeys, acked)
					break
				}
				why := fmt.Sprintf("%s at operation %d: %v", name, n, l.Err())
				require.Equal(t, harmful.Load() > 0, l.Err() != nil || err != nil, why)
				requireIndex(t, mem, acked, why)
			}
		})
	}
}

// The machine crashes before each operation; what is on the disk then is drawn by each policy.
func TestIndexSurvivesCrashes(t *testing.T) {
	type crash struct {
		disk  *crashfs.FS
		acked int
		why   string
	}
	var acked atomic.Int64
	var crashes []crash
	disk := crashfs.New()
	next := 1
	disk.OnOperation(func(n int, kind op.Kind, name string) {
		if n < next {
			return
		}
		next = n + step(4)
		sure := int(acked.Load()) // before the image is drawn: the disk can only hold more
		for policy := range crashfs.Policies {
			why := fmt.Sprintf("%v before operation %d, %v %s", policy, n, kind, name)
			crashes = append(crashes, crash{disk.Crash(policy, uint64(n)), sure, why})
		}
	})
	db, err := pebble.Open(indexDir, indexOptions(oneAtATime(disk), &indexLogger{}))
	require.NoError(t, err)
	for i := range indexKeys {
		require.NoError(t, db.Set(indexKey(i), indexValue(i), pebble.Sync))
		acked.Store(int64(i + 1))
	}
	require.NoError(t, db.Close())
	require.Greater(t, len(crashes), 50)
	for _, c := range crashes {
		requireIndex(t, c.disk, c.acked, c.why)
	}
	for seed := range uint64(10) {
		requireIndex(t, disk.Crash(crashfs.Subset, seed), indexKeys, "after the close")
	}
}

// A crash in the middle of a run that then fails; the old process goes on against the dead machine, and ends.
func TestIndexEndsAfterCrash(t *testing.T) {
	for n := 5; ; n += step(40) {
		disk := crashfs.New()
		disk.CrashAt(n)
		l := latch.New(disk, latch.Options{})
		acked, err := indexRun(t, l, &indexLogger{})
		if !disk.Crashed() {
			break
		}
		require.ErrorIs(t, errors.Join(err, l.Err()), crashfs.ErrCrashed)
		requireIndex(t, disk.Crash(crashfs.Subset, uint64(n)), acked, fmt.Sprintf("crash at operation %d", n))
	}
}

// An fsync that fails once and then succeeds: the bytes are lost, and what came later must not be believed.
func TestIndexBelievesNothingAfterFailedSync(t *testing.T) {
	disk, faults := crashfs.New(), faultfs.New()
	rule := faults.Add(faultfs.Rule{
		Kinds: []op.Kind{op.SyncData}, Classes: []op.Class{op.WAL}, Skip: 5, Times: 1, Do: faultfs.LoseSync(syscall.EIO),
	})
	l := latch.New(faults.Wrap(disk), latch.Options{})
	acked, err := indexRun(t, l, &indexLogger{})
	require.NoError(t, err)
	require.Equal(t, 1, rule.Fired())
	require.Less(t, acked, indexKeys)
	for policy := range crashfs.Policies {
		requireIndex(t, disk.Crash(policy, 1), acked, policy.String())
	}
}

// A full disk: the reserve is freed once and the index goes on; when it is full again, the drive latches.
func TestIndexFreesReserveWhenFull(t *testing.T) {
	mem := vfs.Mem(256 << 10)
	require.NoError(t, mem.MkdirAll("/drive", 0o700))
	f, err := mem.Create("/drive/reserve", vfs.Unspecified)
	require.NoError(t, err)
	_, err = f.Write(make([]byte, 64<<10))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	freed := 0
	l := latch.New(mem, latch.Options{OnFull: func() bool {
		freed++
		return mem.Remove("/drive/reserve") == nil
	}})
	acked, i := 0, 0
	db, err := pebble.Open(indexDir, indexOptions(l.Index(), &indexLogger{}))
	require.NoError(t, err)
	for ; l.Err() == nil; i++ {
		require.NoError(t, db.Set(indexKey(i), indexValue(i), pebble.Sync))
		if l.Err() == nil {
			acked = i + 1
		}
	}
	require.NoError(t, db.Close())
	require.ErrorIs(t, l.Err(), syscall.ENOSPC)
	require.Equal(t, 2, freed, "once with a reserve, once without")
	require.Greater(t, acked, 10)
}

// What the library says goes to the logger of its options, and nothing to the standard one.
func TestIndexLogsNothingElsewhere(t *testing.T) {
	var standard bytes.Buffer
	old := log.Writer()
	log.SetOutput(&standard)
	defer log.SetOutput(old)
	logger := &indexLogger{}
	_, err := indexRun(t, latch.New(vfs.Mem(0), latch.Options{}), logger)
	require.NoError(t, err)
	require.Contains(t, logger.String(), "Found 0 WALs")
	require.Empty(t, standard.String())
}

// A sync that hangs is seen while it hangs; tripped, the drive refuses work; when the sync returns, the index closes.
func TestIndexStall(t *testing.T) {
	defer goleak.VerifyNone(t)
	faults, gate := faultfs.New(), faultfs.NewGate()
	l := latch.New(faults.Wrap(vfs.Mem(0)), latch.Options{})
	db, err := pebble.Open(indexDir, indexOptions(l.Index(), &indexLogger{}))
	require.NoError(t, err)
	faults.Add(faultfs.Rule{Kinds: []op.Kind{op.SyncData}, Classes: []op.Class{op.WAL}, Times: 1, Do: faultfs.Stall(gate)})
	require.Zero(t, l.Oldest())
	before := time.Now()
	committed := make(chan error, 1)
	go func() { committed <- db.Set(indexKey(0), indexValue(0), pebble.Sync) }()
	<-gate.Entered()
	require.False(t, l.Oldest().Before(before))
	l.Trip(errors.New("hangs"))
	gate.Open()
	require.NoError(t, <-committed, "the library knows nothing; the latch does")
	require.ErrorIs(t, l.Err(), latch.ErrLatched)
	require.NoError(t, db.Close())
	require.Zero(t, l.Oldest())
}

// Many goroutines commit when the drive latches: all come back, and what each believes is there.
func TestIndexConcurrentCommits(t *testing.T) {
	disk, faults := crashfs.New(), faultfs.New()
	faults.Add(faultfs.Rule{
		Kinds: []op.Kind{op.SyncData}, Classes: []op.Class{op.WAL}, Skip: 10, Times: 1, Do: faultfs.LoseSync(syscall.EIO),
	})
	l := latch.New(faults.Wrap(disk), latch.Options{})
	db, err := pebble.Open(indexDir, indexOptions(l.Index(), &indexLogger{}))
	require.NoError(t, err)
	var believed [indexKeys]atomic.Bool
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := g; i < indexKeys; i += 8 {
				if db.Set(indexKey(i), indexValue(i), pebble.Sync) == nil && l.Err() == nil {
					believed[i].Store(true)
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, db.Close())
	require.ErrorIs(t, l.Err(), syscall.EIO)
	db, err = pebble.Open(indexDir, indexOptions(disk.Crash(crashfs.SyncedOnly, 0), &indexLogger{}))
	require.NoError(t, err)
	for i := range indexKeys {
		if !believed[i].Load() {
			continue
		}
		_, closer, err := db.Get(indexKey(i))
		require.NoError(t, err, "key %d", i)
		require.NoError(t, closer.Close())
	}
	require.NoError(t, db.Close())
}

// What the library tells of a log that was damaged at rest. Damage near its end, and anywhere in the first log of
// a new index, looks to it like a crash: it opens without error and what followed is gone. So an engine must know by
// other means up to where its log went; and a new index is to be closed and opened once before its first use. This test
// fails when the library learns to do better.
func TestIndexLogDamage(t *testing.T) {
	cases := []struct {
		name     string
		reopened bool
		at       func(size int64) int64
		detected bool
	}{
		{"first log of a new index", false, func(int64) int64 { return 100 }, false},
		{"start of a later log", true, func(int64) int64 { return 100 }, true},
		{"end of a later log", true, func(size int64) int64 { return size - 100 }, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			disk := crashfs.New()
			opts := indexOptions(disk, &indexLogger{})
			opts.MemTableSize = 4 << 20 // one log
			db, err := pebble.Open(indexDir, opts)
			require.NoError(t, err)
			if c.reopened {
				require.NoError(t, db.Close())
				db, err = pebble.Open(indexDir, opts)
				require.NoError(t, err)
			}
			for i := range indexKeys {
				require.NoError(t, db.Set(indexKey(i), indexValue(i), pebble.Sync))
			}
			image := disk.Crash(crashfs.SyncedOnly, 0)
			require.NoError(t, db.Close())
			damageLog(t, image, c.at)
			db, err = pebble.Open(indexDir, indexOptions(image, &indexLogger{}))
			if c.detected {
				require.True(t, pebble.IsCorruptionError(err), err)
				return
			}
			require.NoError(t, err)
			_, _, err = db.Get(indexKey(indexKeys - 1))
			require.ErrorIs(t, err, pebble.ErrNotFound)
			require.NoError(t, db.Close())
		})
	}
}

// damageLog flips a bit of the newest log.
func damageLog(t *testing.T, fs vfs.FS, at func(size int64) int64) {
	t.Helper()
	names, err := fs.List(indexDir)
	require.NoError(t, err)
	var newest string
	for _, name := range names {
		if op.ClassOf(name) == op.WAL {
			newest = max(newest, fs.PathJoin(indexDir, name))
		}
	}
	f, err := fs.OpenReadWrite(newest, vfs.Unspecified)
	require.NoError(t, err)
	fi, err := f.Stat()
	require.NoError(t, err)
	p, off := make([]byte, 1), at(fi.Size())
	_, err = f.ReadAt(p, off)
	require.NoError(t, err)
	p[0] ^= 4
	_, err = f.WriteAt(p, off)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// Damage of a table is told to the DataCorruption listener; without one, the library would end the process.
func TestIndexTableDamage(t *testing.T) {
	mem, faults := vfs.Mem(0), faultfs.New()
	_, err := indexRun(t, latch.New(mem, latch.Options{}), &indexLogger{})
	require.NoError(t, err)
	var told atomic.Int64
	logger := &indexLogger{}
	opts := indexOptions(faults.Wrap(mem), logger)
	opts.EventListener.DataCorruption = func(pebble.DataCorruptionInfo) { told.Add(1) }
	faults.Add(faultfs.Rule{Kinds: []op.Kind{op.ReadAt}, Classes: []op.Class{op.Table}, Do: faultfs.Flip(5, 3)})
	db, err := pebble.Open(indexDir, opts)
	require.NoError(t, err)
	_, _, err = db.Get(indexKey(0))
	require.True(t, pebble.IsCorruptionError(err), err)
	require.NoError(t, db.Close())
	require.Positive(t, told.Load())
	require.Zero(t, logger.fatal.Load())
}

// oneAtATime lets no two operations run at once, so that each crash image is of one moment.
func oneAtATime(fs vfs.FS) vfs.FS {
	var mu sync.Mutex
	return vfs.Intercept(fs, func(_ *vfs.Call, next func() error) error {
		mu.Lock()
		defer mu.Unlock()
		return next()
	})
}

// step makes a long loop shorter where tests are to be short.
func step(short int) int {
	if testing.Short() || raceEnabled {
		return 4 * short
	}
	return short
}
