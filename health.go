package sherd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/sherd-storage/sherd/internal/audit"
	"github.com/sherd-storage/sherd/internal/driveset"
	"github.com/sherd-storage/sherd/internal/quorum"
	"github.com/sherd-storage/sherd/layout"
)

// Mode is what a store can do now.
type Mode = driveset.Mode

// The modes.
const (
	Closed   = driveset.Closed
	ReadOnly = driveset.ReadOnly
	Serving  = driveset.Serving
)

// DriveStatus is how a drive stands to the store.
type DriveStatus = driveset.DriveStatus

// Health is what a store knows of itself. Of a store of several sets the flat
// fields are a summary: it serves if all sets do, and is read-only if some do not
// and the first can be read.
type Health struct {
	Mode     Mode
	Reason   string // of ReadOnly
	Degraded bool   // fewer drives than there are hold everything
	Needed   int    // drives in-sync that writing needs, in the first set
	Drives   []DriveHealth
	Sets     []SetHealth // pool by pool
	Work     []Work      // that is under way beside the calls, the oldest first
	Damage   []Finding   // found by reads and scrubs, the newest last, a bounded number
	Margin   Margin
}

// Margin is how far objects are from harm: how many more drives each may lose and
// still be read. A copy by reference counts as an object, and so does each part
// of an object that was completed from parts.
type Margin struct {
	Known   bool          // they were counted
	Counted time.Time     // when all were last counted; what was written and deleted since is in it
	Objects []MarginCount // ascending
}

// MarginCount is so many objects that survive the loss of so many more drives;
// −1: they can not be read with the drives that are in reach.
type MarginCount struct {
	Losses  int
	Objects uint64
}

// add counts the objects of another set; all are known and counted as those that
// are so least.
func (m *Margin) add(other driveset.Margin, first bool) {
	m.Known = other.Known && (first || m.Known)
	if first || other.Counted.Before(m.Counted) {
		m.Counted = other.Counted
	}
	for _, c := range other.Objects {
		at, ok := slices.BinarySearchFunc(m.Objects, c.Losses, func(have MarginCount, losses int) int { return cmp.Compare(have.Losses, losses) })
		if !ok {
			m.Objects = slices.Insert(m.Objects, at, MarginCount{Losses: c.Losses})
		}
		m.Objects[at].Objects += c.Objects
	}
}

// SetHealth is what a store knows of one of its sets. Each key lives in one of
// them: while a set is closed its keys are unavailable, and with them listings.
type SetHealth struct {
	Pool, Set int
	Mode      Mode
	Reason    string // of ReadOnly, and of Closed
	Degraded  bool
	Needed    int
	Drives    []DriveHealth
}

// DriveHealth is what a store knows of a drive.
type DriveHealth struct {
	Pool   int
	Set    int
	Path   string
	ID     string // hex, "" not known
	Slot   int    // −1 not known
	Status DriveStatus
	Err    error // why it is not in-sync
	Since  time.Time
	Total  uint64 // bytes
	Free   uint64 // bytes that writes may still take
}

// WorkKind says what is being done.
type WorkKind = driveset.WorkKind

// The kinds of work.
const (
	WorkCopy     = driveset.WorkCopy     // an index is copied to a drive
	WorkLearn    = driveset.WorkLearn    // a drive that returned takes the log
	WorkShards   = driveset.WorkShards   // shards that a drive lacks are rebuilt
	WorkScrub    = driveset.WorkScrub    // all that drives hold is read and verified
	WorkRelayout = driveset.WorkRelayout // objects are laid out over all drives again
)

// Work is something that a store does by itself and that takes long.
type Work struct {
	Kind              WorkKind
	Drive             string // path of the drive that it is done for; "" all
	Begun             time.Time
	Items, TotalItems uint64 // records or shards; total 0: not known
	Bytes, TotalBytes uint64
	ItemsPerSecond    float64 // of late
	BytesPerSecond    float64
	Left              time.Duration // below 0: not known
}

// NoticeKind says what happened.
type NoticeKind = driveset.NoticeKind

// The kinds of notices.
const (
	NoticeLeft     = driveset.NoticeLeft     // a drive left the in-sync set, or is not in reach
	NoticeLearning = driveset.NoticeLearning // a drive returned and takes what it missed
	NoticeReturned = driveset.NoticeReturned // a drive counts again
	NoticeCopying  = driveset.NoticeCopying  // an index is being copied to a drive
	NoticeCopied   = driveset.NoticeCopied   // all of an index was copied
	NoticeNamed    = driveset.NoticeNamed    // a new drive was named for a slot
	NoticeRefused  = driveset.NoticeRefused  // what is at a place can not be used as it is
	NoticeOperator = driveset.NoticeOperator // the store needs the operator's word: see Options.Replace
	NoticeDamage   = driveset.NoticeDamage   // something was found that is not as it should be
	NoticeHealed   = driveset.NoticeHealed   // damage was mended
	NoticeMode     = driveset.NoticeMode     // the store serves, or is open for reading only
)

// Notice is something that happened to a store and that people may want to know.
type Notice struct {
	Time  time.Time
	Kind  NoticeKind
	Drive string // path; "" where it is not about one drive
	Slot  int    // −1 where it is not known
	Text  string
	Err   error
}

// Finding is something that is not as it should be. Whatever could be served
// was served.
type Finding struct {
	Kind   string // drive, shard, record or log
	Path   string // of the drive, "" where it is none
	Key    string // "" not known
	Text   string
	Lost   bool // can not be read at all with the drives that are there
	Healed bool // and mended since
}

// Capacity is space for objects, in their bytes: parity is counted.
type Capacity struct{ Total, Free, Used uint64 }

// Health tells how the store is, without asking the drives.
func (s *Store) Health() Health {
	var out Health
	for i, m := range s.pools.Table().Members() {
		h, set := m.Health(), SetHealth{Pool: m.Pool, Set: m.Set}
		set.Mode, set.Reason, set.Degraded, set.Needed = h.Mode, h.Reason, h.Degraded, h.Needed
		for _, d := range h.Drives {
			drive := DriveHealth{Pool: m.Pool, Set: m.Set, Path: d.Path, Slot: d.Slot, Status: d.Status, Err: d.Err, Since: d.Since,
				Total: d.Usage.Total, Free: d.Usage.Free}
			if !d.ID.IsZero() {
				drive.ID = d.ID.String()
			}
			set.Drives = append(set.Drives, drive)
		}
		if out.add(set); i == 0 {
			out.Mode, out.Reason, out.Needed = set.Mode, set.Reason, set.Needed
		} else if out.Mode == Serving && set.Mode != Serving {
			out.Mode, out.Reason = ReadOnly, fmt.Sprintf("set %d of pool %d is %s: %s", m.Set, m.Pool, set.Mode, set.Reason)
		}
		if set, err := m.Get(); err == nil {
			out.Margin.add(set.Margin(), i == 0)
		} else {
			out.Margin.Known = false
		}
		for _, w := range h.Work {
			out.Work = append(out.Work, Work(w))
		}
		for _, f := range h.Damage {
			out.Damage = append(out.Damage, finding(f))
		}
	}
	return out
}

func (h *Health) add(set SetHealth) {
	h.Sets, h.Drives = append(h.Sets, set), append(h.Drives, set.Drives...)
	h.Degraded = h.Degraded || set.Degraded
}

func finding(f driveset.Finding) Finding {
	return Finding{Kind: f.Kind.String(), Path: f.Drive, Key: f.Key, Text: f.Text, Lost: f.Lost, Healed: f.Healed}
}

// Capacity tells how much the store can hold, as the fullest drive of each set
// allows. Sets that are not open are not counted.
func (s *Store) Capacity(ctx context.Context) (c Capacity, err error) {
	op := s.begin("capacity", "", "", "")
	defer op.end(&err)
	if s.closed.Load() {
		return Capacity{}, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return Capacity{}, err
	}
	for _, set := range s.sets() {
		s.addCapacity(&c, set)
	}
	if c.Total == 0 {
		return Capacity{}, ErrUnavailable
	}
	return c, nil
}

// addCapacity adds what a set can hold, as its fullest drive allows.
func (s *Store) addCapacity(c *Capacity, set *driveset.Set) {
	var total, free uint64
	known := 0
	for _, d := range set.Health().Drives {
		if d.Usage.Total == 0 {
			continue
		}
		if known++; known == 1 || d.Usage.Free < free {
			free = d.Usage.Free
		}
		if known == 1 || d.Usage.Total < total {
			total = d.Usage.Total
		}
	}
	n := set.Drives()
	parity := quorum.DefaultParity(n)
	if s.opt.Parity != nil {
		parity = *s.opt.Parity
	}
	k := uint64(n - parity)
	c.Total, c.Free, c.Used = c.Total+k*total, c.Free+k*free, c.Used+k*(total-min(free, total))
}

// Check reads everything that the store holds and gives what is not as it
// should be, set by set. It takes as long as reading everything takes; an error
// ends it.
func (s *Store) Check(ctx context.Context) iter.Seq2[Finding, error] {
	return func(yield func(Finding, error) bool) {
		op := s.begin("check", "", "", "")
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stopped := false
		var err error
		for _, m := range s.pools.Table().Members() {
			set, e := m.Get()
			if e == nil && !stopped {
				e = set.Check(ctx, func(f driveset.Finding) {
					if !stopped && !yield(finding(f), nil) {
						stopped = true
						cancel()
					}
				})
			}
			err = errors.Join(err, e)
		}
		if stopped {
			err = nil
		}
		if op.end(&err); err != nil {
			yield(Finding{}, err)
		}
	}
}

// CheckDrives checks the drives of a store that is not open, without writing a
// byte: each by itself, its format, every block and key of its index, its log, its
// shards; and against the others. It works with fewer drives than opening needs,
// and says which of a set are missing, but nothing of a set or pool of which no drive
// is given; of a shard on a drive that is not there it speaks only where the object
// can not be read without. What was not settled when the
// store was last closed is left to [Open].
//
// Of the options TrustLocks, CacheBytes and Logger count. [ErrInUse] while the
// store is open for writing; [ErrNotExist], [ErrMixedDrives].
func CheckDrives(ctx context.Context, drives []string, o *Options) iter.Seq2[Finding, error] {
	under := &audit.Options{}
	if o != nil {
		under.Logger, under.TrustLocks, under.CacheBytes = o.Logger, o.TrustLocks, o.CacheBytes
	}
	var places []audit.Place
	for _, p := range onDisk(drives) {
		places = append(places, audit.Place(p))
	}
	return func(yield func(Finding, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stopped := false
		err := audit.Run(ctx, places, under, func(f driveset.Finding) {
			if !stopped && !yield(finding(f), nil) {
				stopped = true
				cancel()
			}
		})
		if err != nil && !stopped {
			if !endedByContext(err) {
				err = &Error{Op: "check", Err: translate(err)}
			}
			yield(Finding{}, err)
		}
	}
}

// Objects that were written while drives were away are laid out over the others.
// Once all have been in-sync for a while they are laid out anew.
const (
	widenEvery  = time.Minute
	widenAfter  = time.Minute
	widenAgain  = time.Hour // after a time that left some as they were
	widenBytes  = 32 << 20  // a second, by itself
	widenOwners = 256       // bytes that more versions share stay as they are
)

// widenAll lays out anew what can be, until the context ends.
func (s *Store) widenAll(ctx context.Context) {
	every := time.NewTicker(widenEvery)
	defer every.Stop()
	resting := map[*driveset.Set]int{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		for _, set := range s.sets() {
			if resting[set]--; resting[set] > 0 || set.Narrow() == 0 || !set.Settled(widenAfter) {
				continue
			}
			if n, err := s.widen(ctx, set, widenBytes); err != nil && ctx.Err() == nil {
				s.opt.Logger.InfoContext(ctx, "objects are laid out over all drives later", "done", n, "error", err)
			}
			if set.Narrow() > 0 {
				resting[set] = int(widenAgain / widenEvery)
			}
		}
	}
}

// errUnsettled: a drive is away again.
var errUnsettled = errors.New("not all drives are in-sync")

// widen lays out anew what is laid out over fewer drives than a set has, and says
// how many objects and parts that were. bytes bounds how many it moves in a second.
func (s *Store) widen(ctx context.Context, set *driveset.Set, bytes int64) (n uint64, err error) {
	job := set.Begin(driveset.WorkRelayout, "")
	defer job.End()
	job.Expect(set.Narrow(), 0)
	err = set.Narrowed(ctx, func(item layout.Item, place layout.Place) error {
		if !set.Settled(0) {
			return errUnsettled
		}
		done, err := s.widenOne(ctx, set, item.Slot, place)
		if err != nil && (ctx.Err() != nil || errors.Is(err, driveset.ErrReadOnly) || errors.Is(err, driveset.ErrNoSpace) || errors.Is(err, errUnsettled)) {
			return err
		}
		if err != nil {
			s.opt.Logger.DebugContext(ctx, "an object stays as it is laid out", "data", place.Data.String(), "error", err)
		}
		if !done {
			return nil
		}
		n++
		job.Done(1, uint64(place.Size))
		if bytes <= 0 {
			return nil
		}
		pause := time.NewTimer(time.Duration(float64(place.Size) / float64(bytes) * float64(time.Second)))
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		return ctx.Err()
	})
	return n, err
}

// widenOne lays bytes out anew. They are written before any lock is taken. Who uses
// them together goes on doing so: one entry names the new shards in all their
// records, so that a copy by reference does not become one of bytes.
func (s *Store) widenOne(ctx context.Context, set *driveset.Set, slot layout.Slot, place layout.Place) (bool, error) {
	before, err := usersOf(ctx, set, slot, place)
	if err != nil || before == nil {
		return false, err
	}
	free, err := s.memory(ctx, place.Size, false)
	if err != nil {
		return false, err
	}
	defer free()
	data, err := set.OpenData(ctx, place, 0, place.Size)
	if err != nil {
		return false, err
	}
	defer data.Close()
	staged, err := set.Stage(ctx, data, place.Size, before.spec)
	if err != nil {
		return false, err
	}
	defer staged.Discard()
	if len(staged.Place.Drives) <= len(place.Drives) {
		return false, errUnsettled
	}
	unlock, err := s.locks.LockEach(ctx, before.wants...)
	if err != nil {
		return false, err
	}
	h := &hold{unlock: unlock, set: set}
	defer h.release()
	now, err := usersOf(ctx, set, slot, place)
	if err != nil || now == nil || !slices.Equal(now.wants, before.wants) ||
		len(now.records) > 1 && staged.Place.Kind == layout.PlaceInline { // which nobody shares
		return false, err
	}
	err = s.commit(ctx, h, driveset.Change{Staged: staged}, func(layout.Position, layout.Owner) ([]layout.Write, error) {
		return now.writes(place, staged.Place)
	})
	return err == nil, err
}

// HealOptions of healing. Nil: none.
type HealOptions struct {
	// Found is told, by the goroutine that heals, of what is found and what came of
	// it. Nil: nobody.
	Found func(Finding)
}

// HealSummary is what came of healing.
type HealSummary struct {
	Supplied  uint64 // shards that drives owed which took another's place
	Found     uint64 // things that were not as they should be
	Healed    uint64 // of them
	Left      uint64 // of them; they are as they were
	Widened   uint64 // objects and parts laid out over all drives again
	Discarded int    // files that nobody used: they are in quarantine
}

// Heal does now, as fast as it goes and to the end, what a store does by itself in
// its time: it gives drives the shards that they owe, reads and compares everything,
// mends what is missing or damaged, puts files aside that nobody uses, and lays
// out over all drives what was written while some were away, if all are there. An
// error means that it could not go on; what could not be mended is no error.
func (s *Store) Heal(ctx context.Context, o *HealOptions) (sum HealSummary, err error) {
	op := s.begin("heal", "", "", "")
	defer op.end(&err)
	if s.closed.Load() {
		return sum, ErrClosed
	}
	for _, set := range s.sets() {
		part, err := set.Heal(ctx, func(f driveset.Finding) {
			if o != nil && o.Found != nil {
				o.Found(finding(f))
			}
		})
		sum.Supplied, sum.Found, sum.Healed = sum.Supplied+part.Supplied, sum.Found+part.Found, sum.Healed+part.Healed
		sum.Left, sum.Discarded = sum.Left+part.Left, sum.Discarded+part.Discarded
		if err != nil {
			return sum, err
		}
		if set.Narrow() == 0 || !set.Settled(0) {
			continue
		}
		n, err := s.widen(ctx, set, 0)
		if sum.Widened += n; err != nil && !errors.Is(err, errUnsettled) {
			return sum, err
		}
	}
	return sum, nil
}
