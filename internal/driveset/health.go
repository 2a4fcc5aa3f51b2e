package driveset

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sherd-storage/sherd/layout"
)

// Mode is what a set can do now.
type Mode uint8

// The modes.
const (
	Closed   Mode = iota // answers nothing
	ReadOnly             // too few drives are in-sync to write
	Serving              // reads and writes
)

// String is the mode in lower case.
func (m Mode) String() string { return [...]string{"closed", "read-only", "serving"}[m] }

// Health is what a set knows of itself without asking the drives.
type Health struct {
	Mode     Mode
	Reason   string // of ReadOnly
	Degraded bool   // fewer drives than N are in-sync, or one of them may still lack shards
	Needed   int    // in-sync drives that writing needs, Q
	Drives   []DriveHealth
	Position layout.Position // newest acknowledged entry
	Damage   []Finding       // newest last, at most damageLimit
	Work     []Work          // what goes on beside the calls, oldest first
}

// DriveHealth is what the set knows of a drive.
type DriveHealth struct {
	Path   string
	ID     layout.DriveID
	Slot   int // −1 while it is not known
	Status DriveStatus
	Err    error
	Usage  layout.Usage
	Since  time.Time // of Status
}

// Health tells how the set is. It does no I/O.
func (s *Set) Health() Health {
	h := Health{Needed: s.q}
	if t, err := s.serving(); err == nil {
		t.mu.Lock()
		h.Mode, h.Position = Serving, t.visible.Position
		if t.stuck != nil {
			h.Mode, h.Reason = ReadOnly, t.stuck.Error()
		}
		h.Degraded = t.inSync.Count() < s.n || t.proposal != nil
		t.mu.Unlock()
	}
	for _, p := range s.places {
		p.mu.Lock()
		d := DriveHealth{Path: p.Path, Slot: -1, Status: p.status, Err: p.err, Usage: p.usage, Since: p.since}
		if p.known {
			d.ID, d.Slot = p.id.Drive, p.id.Slot
		}
		p.mu.Unlock()
		h.Degraded = h.Degraded || d.Status != InSync
		h.Drives = append(h.Drives, d)
	}
	h.Degraded = h.Degraded || s.healer.Owing()
	h.Damage, h.Work = s.damage.list(), s.work.told()
	return h
}

const damageLimit = 1000

// damageLog keeps the newest findings of reading.
type damageLog struct {
	mu    sync.Mutex
	found []Finding
}

func (d *damageLog) add(f Finding) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, have := range d.found {
		if have == f {
			return
		}
	}
	if len(d.found) >= damageLimit {
		d.found = append(d.found[:0], d.found[1:]...)
	}
	d.found = append(d.found, f)
}

// forget takes out what was said of a shard before it was mended.
func (d *damageLog) forget(mended Finding) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.found = slices.DeleteFunc(d.found, func(f Finding) bool {
		return f.Kind == FindingShard && f.Data == mended.Data && f.Drive == mended.Drive
	})
}

func (d *damageLog) list() []Finding {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Finding(nil), d.found...)
}

// WorkKind says what is being done.
type WorkKind uint8

// The kinds of work.
const (
	WorkCopy     WorkKind = iota + 1 // an index is copied to a drive
	WorkLearn                        // a drive that returned takes the log
	WorkShards                       // shards that a drive lacks are rebuilt
	WorkScrub                        // all that drives hold is read and verified
	WorkRelayout                     // objects are laid out over all drives again
)

// String names the kind.
func (k WorkKind) String() string {
	return [...]string{"", "copying the index", "learning", "rebuilding shards", "scrubbing", "laying out anew"}[k]
}

// Work is something that a set does beside its calls and that takes long.
type Work struct {
	Kind              WorkKind
	Drive             string // path of the drive that it is done for; "" all
	Begun             time.Time
	Items, TotalItems uint64 // total 0: not known
	Bytes, TotalBytes uint64
	ItemsPerSecond    float64
	BytesPerSecond    float64
	Left              time.Duration // below 0: not known
}

// Job is work under way. All methods may be called at the same time.
type Job struct {
	list *jobs

	mu   sync.Mutex
	work Work
	// The rate is that since the older of two marks, which are rateWindow apart.
	marks [2]jobMark
}

type jobMark struct {
	at           time.Time // by the process's own clock
	items, bytes uint64
}

const rateWindow = 5 * time.Second

// jobs are all that is under way, oldest first.
type jobs struct {
	mu   sync.Mutex
	jobs []*Job
}

// Begin notes that work begins, which Health tells of until its End.
func (s *Set) Begin(kind WorkKind, drive string) *Job {
	now := jobMark{at: time.Now()}
	j := &Job{list: &s.work, work: Work{Kind: kind, Drive: drive, Begun: s.now()}, marks: [2]jobMark{now, now}}
	s.work.mu.Lock()
	defer s.work.mu.Unlock()
	s.work.jobs = append(s.work.jobs, j)
	return j
}

// Expect says how much there is to do altogether; 0: it is not known.
func (j *Job) Expect(items, bytes uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.work.TotalItems, j.work.TotalBytes = items, bytes
}

// Resume says how much was done before, by an earlier owner. It does not count
// for the rate.
func (j *Job) Resume(items, bytes uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.work.Items += items
	j.work.Bytes += bytes
	for i := range j.marks {
		j.marks[i].items += items
		j.marks[i].bytes += bytes
	}
}

// Done adds to what was done.
func (j *Job) Done(items, bytes uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.work.Items += items
	j.work.Bytes += bytes
	if now := time.Now(); now.Sub(j.marks[1].at) >= rateWindow {
		j.marks[0], j.marks[1] = j.marks[1], jobMark{now, j.work.Items, j.work.Bytes}
	}
}

// End takes the work from the list. Ending it twice does nothing.
func (j *Job) End() {
	j.list.mu.Lock()
	defer j.list.mu.Unlock()
	for i, other := range j.list.jobs {
		if other == j {
			j.list.jobs = append(j.list.jobs[:i:i], j.list.jobs[i+1:]...)
			return
		}
	}
}

// told gives all work with its rate as it is now.
func (l *jobs) told() []Work {
	l.mu.Lock()
	all := l.jobs
	l.mu.Unlock()
	var out []Work
	for _, j := range all {
		out = append(out, j.told(time.Now()))
	}
	return out
}

func (j *Job) told(now time.Time) Work {
	j.mu.Lock()
	defer j.mu.Unlock()
	w := j.work
	w.Left = -1
	took := now.Sub(j.marks[0].at).Seconds()
	if took <= 0 {
		return w
	}
	w.ItemsPerSecond = float64(w.Items-j.marks[0].items) / took
	w.BytesPerSecond = float64(w.Bytes-j.marks[0].bytes) / took
	done, total, rate := w.Bytes, w.TotalBytes, w.BytesPerSecond
	if total == 0 {
		done, total, rate = w.Items, w.TotalItems, w.ItemsPerSecond
	}
	if total > 0 && rate > 0 {
		w.Left = time.Duration(float64(total-min(done, total)) / rate * float64(time.Second))
	}
	return w
}

// NoticeKind says what happened.
type NoticeKind uint8

// The kinds of notices.
const (
	NoticeLeft     NoticeKind = iota + 1 // a drive left the in-sync set, or is not in reach
	NoticeLearning                       // a drive returned and takes what it missed
	NoticeReturned                       // a drive counts again
	NoticeCopying                        // an index is being copied to a drive
	NoticeCopied                         // all of an index was copied
	NoticeNamed                          // a new drive was named for a slot
	NoticeRefused                        // what is at a place can not be used as it is
	NoticeOperator                       // the set needs the operator's word
	NoticeDamage                         // something was found that is not as it should be
	NoticeHealed                         // damage was mended
	NoticeMode                           // the set serves, or is open for reading only
)

// String names the kind.
func (k NoticeKind) String() string {
	return [...]string{"", "left", "learning", "returned", "copying", "copied", "named", "refused", "operator needed", "damage", "healed", "mode"}[k]
}

// Notice is something that happened to a set and that people may want to know.
type Notice struct {
	Time  time.Time
	Kind  NoticeKind
	Drive string // path; "" where it is not about one drive
	Slot  int    // −1 where it is not known
	Text  string
	Err   error
}

// noticeLimit bounds the notices that wait to be told; the oldest give way.
const noticeLimit = 1000

// notices wait for the goroutine that tells them.
type notices struct {
	mu      sync.Mutex
	waiting []Notice
	wake    chan struct{} // a token: there may be something to tell
}

// Notify has Options.Notice told of something, soon and in order. Locks may be
// held.
func (s *Set) Notify(n Notice) {
	if s.opt.Notice == nil {
		return
	}
	if n.Time.IsZero() {
		n.Time = s.now()
	}
	l := &s.notices
	l.mu.Lock()
	if len(l.waiting) >= noticeLimit {
		l.waiting = l.waiting[1:]
	}
	l.waiting = append(l.waiting, n)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// herald tells what waits, until the set is closed.
func (s *Set) herald() {
	if s.opt.Notice == nil {
		return
	}
	for {
		select {
		case <-s.notices.wake:
		case <-s.ctx.Done():
			s.notices.tell(s.opt.Notice)
			return
		}
		s.notices.tell(s.opt.Notice)
	}
}

func (l *notices) tell(to func(Notice)) {
	l.mu.Lock()
	waiting := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	for _, n := range waiting {
		to(n)
	}
}

// Check reads everything that the set holds, on every drive that is in reach, and
// reports what is not as it should be. It changes nothing. An error means that it
// could not go on; what it found is not an error.
func (s *Set) Check(ctx context.Context, report func(Finding)) error {
	return s.healer.Check(ctx, report)
}

// Heal mends all that can be mended, now and to the end: damage that is known,
// what drives owe that took another's place, and what reading everything finds,
// which found is told of. Files that nobody uses go to quarantine.
func (s *Set) Heal(ctx context.Context, found func(Finding)) (HealSummary, error) {
	return s.healer.All(ctx, found)
}

// Margin says how far objects are from harm. It does no I/O.
func (s *Set) Margin() Margin { return s.healer.Margin() }

// Narrow is how many objects are laid out over fewer drives than there are, as far
// as they are counted. It does no I/O.
func (s *Set) Narrow() uint64 { return s.healer.Narrow(s.n) }

// Settled tells that every drive is in-sync, has been for a while, and owes
// nothing. It does no I/O.
func (s *Set) Settled(while time.Duration) bool {
	t, err := s.serving()
	if err != nil {
		return false
	}
	t.mu.Lock()
	whole := t.stuck == nil && t.proposal == nil && t.readable().Count() == s.n
	t.mu.Unlock()
	whole = whole && !s.healer.Owing()
	for _, p := range s.places {
		p.mu.Lock()
		whole = whole && p.status == InSync && s.now().Sub(p.since) >= while
		p.mu.Unlock()
	}
	return whole
}

// Narrowed gives every record of a version or part whose bytes are laid out over
// fewer drives than there are, and then counts objects anew. An error of give ends
// it.
func (s *Set) Narrowed(ctx context.Context, give func(layout.Item, layout.Place) error) error {
	return s.healer.Walk(ctx, func(slot layout.Slot, at layout.Position, place layout.Place) error {
		if len(place.Drives) >= s.n {
			return nil
		}
		return give(layout.Item{Slot: slot, Position: at}, place)
	})
}
