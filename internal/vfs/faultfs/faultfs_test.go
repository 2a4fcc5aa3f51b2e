// Goal: faults happen where the rules say, and as they say. Method: one rule at a time on a file system in memory.
package faultfs_test

import (
	"io"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sherd-storage/sherd/internal/vfs"
	"github.com/sherd-storage/sherd/internal/vfs/faultfs"
	"github.com/sherd-storage/sherd/internal/vfs/op"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func put(fs vfs.FS, name, content string) error {
	f, err := fs.Create(name, vfs.Unspecified)
	if err != nil {
		return err
	}
	if _, err := f.Write([]byte(content)); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

func TestEachOperationInTurn(t *testing.T) {
	var failed []op.Kind
	for n := 1; ; n++ {
		faults := faultfs.New()
		rule := faults.Add(faultfs.Rule{Skip: n - 1, Times: 1, Do: func(c *vfs.Call, next func() error) error {
			failed = append(failed, c.Kind)
			return faultfs.Fail(syscall.EIO)(c, next)
		}})
		err := put(faults.Wrap(vfs.Mem(0)), "a", "x")
		if rule.Fired() == 0 {
			require.NoError(t, err)
			require.Equal(t, 4, faults.Count())
			require.Equal(t, 1, faults.Count(op.Close))
			break
		}
		require.ErrorIs(t, err, syscall.EIO)
	}
	require.Equal(t, []op.Kind{op.Create, op.Write, op.Sync}, failed)
}

func TestRuleSelects(t *testing.T) {
	faults := faultfs.New()
	fs := faults.Wrap(vfs.Mem(0))
	rule := faults.Add(faultfs.Rule{
		Kinds: []op.Kind{op.Sync}, Classes: []op.Class{op.WAL}, Path: "7", Skip: 1, Times: 1, Do: faultfs.Fail(syscall.ENOSPC),
	})
	require.NoError(t, put(fs, "000007.log", "x"))
	require.NoError(t, put(fs, "000008.log", "x"))
	require.NoError(t, put(fs, "000007.sst", "x"))
	require.ErrorIs(t, put(fs, "000007.log", "x"), syscall.ENOSPC)
	require.NoError(t, put(fs, "000007.log", "x"))
	require.Equal(t, 1, rule.Fired())
	require.Equal(t, 3, rule.Seen())
	faults.Add(faultfs.Rule{Do: faultfs.Fail(syscall.EMFILE)}).Stop()
	require.NoError(t, put(fs, "a", "x"))
}

func TestShortAndFlipped(t *testing.T) {
	faults := faultfs.New()
	fs := faults.Wrap(vfs.Mem(0))
	short := faults.Add(faultfs.Rule{Kinds: []op.Kind{op.Write}, Do: faultfs.Short(3, syscall.EIO)})
	require.ErrorIs(t, put(fs, "a", "12345"), syscall.EIO)
	short.Stop()
	f, err := fs.Open("a")
	require.NoError(t, err)
	content, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, "123", string(content), "what was written before the error is there")
	flip := faults.Add(faultfs.Rule{Kinds: []op.Kind{op.ReadAt}, Do: faultfs.Flip(1, 0)})
	p := make([]byte, 3)
	_, err = f.ReadAt(p, 0)
	require.NoError(t, err)
	require.Equal(t, "133", string(p))
	flip.Stop()
	_, err = f.ReadAt(p, 0)
	require.NoError(t, err)
	require.Equal(t, "123", string(p), "the file itself is sound")
	require.NoError(t, f.Close())
}

func TestHappensAndFails(t *testing.T) {
	faults := faultfs.New()
	fs := faults.Wrap(vfs.Mem(0))
	require.NoError(t, put(fs, "a", "1"))
	faults.Add(faultfs.Rule{Kinds: []op.Kind{op.Rename}, Do: faultfs.FailAfter(syscall.EIO)})
	require.ErrorIs(t, fs.Rename("a", "b"), syscall.EIO)
	_, err := fs.Stat("b")
	require.NoError(t, err)
}

func TestGone(t *testing.T) {
	faults := faultfs.New()
	fs := faults.Wrap(vfs.Mem(0))
	f, err := fs.Create("a", vfs.Unspecified)
	require.NoError(t, err)
	faults.SetGone(true)
	_, err = f.Write([]byte("x"))
	require.ErrorIs(t, err, faultfs.ErrGone)
	require.ErrorIs(t, err, syscall.ENXIO)
	_, err = fs.Stat("a")
	require.ErrorIs(t, err, faultfs.ErrGone)
	_, err = vfs.Identify(fs, "/")
	require.ErrorIs(t, err, faultfs.ErrGone)
	faults.SetGone(false)
	_, err = f.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestOpenHandlesAreCounted(t *testing.T) {
	faults := faultfs.New()
	fs := faults.Wrap(vfs.Mem(0))
	a, err := fs.Create("a", vfs.Unspecified)
	require.NoError(t, err)
	again, err := fs.Open("a")
	require.NoError(t, err)
	held, err := fs.Lock("lock")
	require.NoError(t, err)
	fail := faults.Add(faultfs.Rule{Kinds: []op.Kind{op.Create}, Do: faultfs.FailAfter(syscall.EIO)})
	_, err = fs.Create("b", vfs.Unspecified)
	require.ErrorIs(t, err, syscall.EIO)
	fail.Stop()
	faults.SetGone(true)
	require.Equal(t, []string{"a", "a", "lock"}, faults.Open())
	require.NoError(t, a.Close())
	require.Error(t, a.Close(), "closed twice")
	require.Equal(t, []string{"a", "lock"}, faults.Open())
	require.NoError(t, again.Close())
	require.NoError(t, held.Close())
	require.Empty(t, faults.Open())
}

func TestStall(t *testing.T) {
	faults, gate := faultfs.New(), faultfs.NewGate()
	fs := faults.Wrap(vfs.Mem(0))
	faults.Add(faultfs.Rule{Kinds: []op.Kind{op.Sync}, Do: faultfs.Stall(gate)})
	done := make(chan error, 1)
	go func() { done <- put(fs, "a", "x") }()
	<-gate.Entered()
	require.Empty(t, done)
	gate.Open()
	gate.Open()
	require.NoError(t, <-done)
	require.NoError(t, put(fs, "b", "x"), "an open gate holds nobody up")
}
