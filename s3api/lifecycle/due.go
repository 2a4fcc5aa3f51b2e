package lifecycle

import (
	"sync"
	"time"
)

// Object is what the rules look at: a version of an object.
type Object struct {
	Key      string
	Size     int64
	Tags     map[string]string
	Modified time.Time
}

// Due is what a rule wants, and when.
type Due struct {
	Rule string // its ID
	At   time.Time
}

// first keeps the one that is due first.
func (d *Due) first(rule string, at time.Time) {
	if d.Rule == "" || at.Before(d.At) {
		*d = Due{rule, at}
	}
}

// Clock counts days. The zero Clock counts as S3 does: days of 24 hours, that end
// at the next midnight UTC.
type Clock struct {
	// Day is the length of a day, for tests that can not wait; days then end when
	// they end, and not at midnight. 0: 24 hours.
	Day time.Duration
}

// After is the end of so many days from a time on.
func (c Clock) After(from time.Time, days int) time.Time {
	if c.Day > 0 {
		return from.Add(time.Duration(days) * c.Day)
	}
	from = from.UTC()
	return time.Date(from.Year(), from.Month(), from.Day()+days+1, 0, 0, 0, 0, time.UTC)
}

// Expiry says when the current version of an object expires: it is deleted, or in
// a bucket with versions covered by a delete marker. ok is false if no rule that is
// enabled says so.
func (c *Configuration) Expiry(o *Object, clock Clock) (due Due, ok bool) {
	for i := range c.Rules {
		r := &c.Rules[i]
		if r.Expiration == nil || r.Expiration.Marker != nil || !r.concerns(o) {
			continue
		}
		due.first(r.ID, r.Expiration.at(o.Modified, clock))
	}
	return due, due.Rule != ""
}

func (e *Expiration) at(from time.Time, clock Clock) time.Time {
	if e.Days != nil {
		return clock.After(from, *e.Days)
	}
	date, _ := midnight(e.Date) // was read when the rule was checked
	return date
}

// MarkerExpiry says when a delete marker goes that is the only version of its key:
// at once under ExpiredObjectDeleteMarker, or when an object would expire.
func (c *Configuration) MarkerExpiry(o *Object, clock Clock) (due Due, ok bool) {
	for i := range c.Rules {
		r := &c.Rules[i]
		switch {
		case r.Expiration == nil || !r.concerns(o):
		case r.Expiration.Marker == nil:
			due.first(r.ID, r.Expiration.at(o.Modified, clock))
		case *r.Expiration.Marker:
			due.first(r.ID, o.Modified)
		}
	}
	return due, due.Rule != ""
}

// NoncurrentExpiry says when a version is destroyed that another one took the place
// of, at since; newer counts the noncurrent versions of its key that are newer.
func (c *Configuration) NoncurrentExpiry(o *Object, since time.Time, newer int, clock Clock) (due Due, ok bool) {
	for i := range c.Rules {
		r := &c.Rules[i]
		if r.Noncurrent == nil || !r.concerns(o) || r.Noncurrent.Newer != nil && newer < *r.Noncurrent.Newer {
			continue
		}
		due.first(r.ID, clock.After(since, *r.Noncurrent.Days))
	}
	return due, due.Rule != ""
}

// UploadExpiry says when an upload of a key is aborted that began at a time.
func (c *Configuration) UploadExpiry(key string, begun time.Time, clock Clock) (due Due, ok bool) {
	o := &Object{Key: key}
	for i := range c.Rules {
		r := &c.Rules[i]
		if r.Abort == nil || !r.concerns(o) {
			continue
		}
		due.first(r.ID, clock.After(begun, *r.Abort.Days))
	}
	return due, due.Rule != ""
}

// needs says what must be known of a bucket for the rules that are enabled.
func (c *Configuration) needs() (versions, tags, uploads bool) {
	for i := range c.Rules {
		r := &c.Rules[i]
		if r.Status != Enabled {
			continue
		}
		versions = versions || r.Expiration != nil || r.Noncurrent != nil
		tags = tags || len(r.tags()) > 0
		uploads = uploads || r.Abort != nil
	}
	return versions, tags, uploads
}

// prefix is what the keys of all rules that are enabled begin with.
func (c *Configuration) prefix() string {
	common, first := "", true
	for i := range c.Rules {
		r := &c.Rules[i]
		if r.Status != Enabled {
			continue
		}
		of := r.Prefixed()
		if first {
			common, first = of, false
			continue
		}
		n := 0
		for n < len(common) && n < len(of) && common[n] == of[n] {
			n++
		}
		common = common[:n]
	}
	return common
}

// maxCached bounds the buckets whose rules are remembered.
const maxCached = 1000

// Cache remembers the rules of buckets, so that a request does not read them anew.
// The zero Cache is empty. It is safe for concurrent use.
type Cache struct {
	mu    sync.Mutex
	known map[string]remembered // by bucket
}

type remembered struct {
	revision uint64
	rules    *Configuration
}

// Of gives the rules of a bucket as they are in a revision of it ([sherd.BucketInfo]);
// nil where it has none. read gives their document, or nil, where it is not known;
// its errors are not remembered. Revision 0 is always read.
func (c *Cache) Of(bucket string, revision uint64, read func() ([]byte, error)) (*Configuration, error) {
	c.mu.Lock()
	have, ok := c.known[bucket]
	c.mu.Unlock()
	if ok && revision != 0 && have.revision == revision {
		return have.rules, nil
	}
	document, err := read()
	if err != nil {
		return nil, err
	}
	var rules *Configuration
	if document != nil {
		if rules, err = Parse(document); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxCached {
		c.known = map[string]remembered{}
	}
	c.known[bucket] = remembered{revision, rules}
	return rules, nil
}
