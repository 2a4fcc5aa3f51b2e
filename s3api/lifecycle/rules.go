// Package lifecycle removes what a bucket's rules say is to be removed: objects of
// an age or from a date on, versions that are no longer current, delete markers
// that nothing lies under, and uploads that nobody completed.
//
// The rules are arithmetic over values: [Parse] reads and checks a configuration,
// and the methods of [Configuration] say what is due when, under every rule that
// is enabled; what is due first under any of them is due. [Run] goes through a
// store and does it, in the background and at a rate.
//
// The rules are those of Amazon S3, user guide: "Managing the lifecycle of
// objects". Days are of 24 hours from the moment that counts, and end at the next
// midnight UTC. Transitions are not built, and refused.
package lifecycle

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

// Document is the name of the configuration among a bucket's documents.
const Document = "lifecycle"

// Limits of a configuration, as on S3.
const (
	MaxRules  = 1000
	MaxNewer  = 100 // noncurrent versions that a rule keeps
	maxBytes  = 1 << 20
	maxID     = 255
	maxPrefix = 1024
	maxDays   = 1<<31 - 1
)

// Enabled and Disabled are what a rule's status may be.
const (
	Enabled  = "Enabled"
	Disabled = "Disabled"
)

// Error says what is wrong with a configuration that is well formed, under a code
// of S3 and in its words.
type Error struct{ Code, Message string }

// Error gives both.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

func invalid(format string, of ...any) error {
	return &Error{"InvalidArgument", fmt.Sprintf(format, of...)}
}
func refused(format string, of ...any) error {
	return &Error{"InvalidRequest", fmt.Sprintf(format, of...)}
}

// ErrMalformed: the document is not one of S3's schema.
var ErrMalformed = errors.New("malformed lifecycle configuration")

func malformed(format string, of ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, of...)...)
}

// Configuration is the rules of a bucket, as documents have them. It is not
// changed once it was parsed, and may then be used concurrently.
type Configuration struct {
	XMLName   xml.Name `xml:"LifecycleConfiguration"`
	Namespace string   `xml:"xmlns,attr,omitempty"`
	// Minimum is kept for clients: which objects are too small for transitions.
	Minimum string `xml:"minimum,attr,omitempty"`
	Rules   []Rule `xml:"Rule"`
}

// Rule is one rule: what it is for, and what is to happen to that.
type Rule struct {
	ID                    string            `xml:"ID,omitempty"`
	Prefix                *string           `xml:"Prefix"` // where there is no Filter
	Filter                *Filter           `xml:"Filter"`
	Status                string            `xml:"Status"`
	Transitions           []Transition      `xml:"Transition"`
	NoncurrentTransitions []Transition      `xml:"NoncurrentVersionTransition"`
	Expiration            *Expiration       `xml:"Expiration"`
	Noncurrent            *NoncurrentExpiry `xml:"NoncurrentVersionExpiration"`
	Abort                 *Abort            `xml:"AbortIncompleteMultipartUpload"`
}

// Filter says which objects a rule is for, by one test or by several in And; by
// none it is for all.
type Filter struct {
	Prefix      *string `xml:"Prefix"`
	Tag         *Tag    `xml:"Tag"`
	GreaterThan *int64  `xml:"ObjectSizeGreaterThan"`
	LessThan    *int64  `xml:"ObjectSizeLessThan"`
	And         *And    `xml:"And"`
}

// And holds where all its tests hold.
type And struct {
	Prefix      *string `xml:"Prefix"`
	Tags        []Tag   `xml:"Tag"`
	GreaterThan *int64  `xml:"ObjectSizeGreaterThan"`
	LessThan    *int64  `xml:"ObjectSizeLessThan"`
}

// Tag is a tag that an object must have.
type Tag struct {
	Key   string
	Value string
}

// Expiration is of current versions.
type Expiration struct {
	Date   string `xml:"Date,omitempty"`
	Days   *int   `xml:"Days"`
	Marker *bool  `xml:"ExpiredObjectDeleteMarker"`
}

// NoncurrentExpiry is of versions that another one took the place of.
type NoncurrentExpiry struct {
	Newer *int `xml:"NewerNoncurrentVersions"` // that are kept, whatever their age
	Days  *int `xml:"NoncurrentDays"`
}

// Abort is of uploads that were not completed.
type Abort struct {
	Days *int `xml:"DaysAfterInitiation"`
}

// Transition is read to be refused.
type Transition struct {
	Date string `xml:"Date"`
	Days *int   `xml:"Days"`
}

// Parse reads a configuration and checks it. An error is ErrMalformed, an [*Error],
// or one of what is too large. Rules without an ID get one.
func Parse(data []byte) (*Configuration, error) {
	c := &Configuration{}
	if err := wire.Decode(data, wire.Limits{Bytes: maxBytes, Elements: 40 * MaxRules, Depth: 6}, c); err != nil {
		if errors.Is(err, wire.ErrMalformed) {
			err = malformed("%v", err)
		}
		return nil, err
	}
	if len(c.Rules) == 0 || len(c.Rules) > MaxRules {
		return nil, malformed("%d rules, 1 to %d are possible", len(c.Rules), MaxRules)
	}
	ids := map[string]bool{}
	for i := range c.Rules {
		r := &c.Rules[i]
		if err := r.check(); err != nil {
			return nil, err
		}
		if r.ID != "" && ids[r.ID] {
			return nil, invalid("Rule ID must be unique. Found same ID for more than one rule")
		}
		ids[r.ID] = true
	}
	for i, n := 0, 1; i < len(c.Rules); i++ {
		for c.Rules[i].ID == "" {
			if id := "rule-" + strconv.Itoa(n); !ids[id] {
				c.Rules[i].ID = id
			}
			n++
		}
	}
	c.Namespace = wire.Namespace
	return c, nil
}

// Marshal writes a configuration as Parse reads it.
func (c *Configuration) Marshal() ([]byte, error) { return wire.Marshal(c) }

func (r *Rule) check() error {
	switch {
	case len(r.ID) > maxID:
		return invalid("ID length should not exceed allowed limit of %d", maxID)
	case r.Status != Enabled && r.Status != Disabled:
		return malformed("a status %q", r.Status)
	case (r.Prefix == nil) == (r.Filter == nil):
		return malformed("a rule has a filter or, of old, a prefix")
	case len(r.Prefixed()) > maxPrefix:
		return refused("The maximum size of a prefix is %d.", maxPrefix)
	}
	if err := r.Filter.check(); err != nil {
		return err
	}
	if len(r.Transitions)+len(r.NoncurrentTransitions) > 0 {
		return r.transitions()
	}
	if r.Expiration == nil && r.Noncurrent == nil && r.Abort == nil {
		return refused("At least one action needs to be specified in a rule")
	}
	return errors.Join(r.expiration(), r.noncurrent(), r.abort())
}

// transitions tells a transition that is wrong from one that is not built.
func (r *Rule) transitions() error {
	for _, t := range append(r.Transitions, r.NoncurrentTransitions...) {
		if t.Date != "" {
			if _, err := midnight(t.Date); err != nil {
				return err
			}
		}
		if t.Days != nil && *t.Days < 0 {
			return invalid("'Days' in Transition action must be nonnegative")
		}
	}
	return &Error{"NotImplemented", "There is one storage class, so that there is nothing to transition to."}
}

func (r *Rule) expiration() error {
	e := r.Expiration
	if e == nil {
		return nil
	}
	given := 0
	for _, there := range []bool{e.Date != "", e.Days != nil, e.Marker != nil} {
		if there {
			given++
		}
	}
	switch {
	case given != 1:
		return malformed("an expiration has a date, days, or concerns delete markers")
	case e.Days != nil:
		return positive(*e.Days, "'Days' for Expiration action must be a positive integer")
	case e.Marker != nil && len(r.tags()) > 0:
		return refused("ExpiredObjectDeleteMarker cannot be specified with Tags.")
	case e.Date != "":
		_, err := midnight(e.Date)
		return err
	}
	return nil
}

func (r *Rule) noncurrent() error {
	n := r.Noncurrent
	switch {
	case n == nil:
		return nil
	case n.Days == nil:
		return malformed("an expiration of noncurrent versions without days")
	case n.Newer != nil && (*n.Newer < 1 || *n.Newer > MaxNewer):
		return invalid("'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be a positive integer up to %d", MaxNewer)
	}
	return positive(*n.Days, "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer")
}

func (r *Rule) abort() error {
	switch {
	case r.Abort == nil:
		return nil
	case r.Abort.Days == nil:
		return malformed("an abort without days")
	case len(r.tags()) > 0:
		return refused("AbortIncompleteMultipartUpload cannot be specified with Tags.")
	case r.Filter != nil && r.Filter.sized():
		return refused("AbortIncompleteMultipartUpload cannot be specified with ObjectSize.")
	}
	return positive(*r.Abort.Days, "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer")
}

func positive(days int, message string) error {
	if days < 1 || days > maxDays {
		return invalid("%s", message)
	}
	return nil
}

// midnight reads a date.
func midnight(text string) (time.Time, error) {
	t, ok := wire.ParseStamp(text)
	if !ok {
		if day, err := time.Parse(time.DateOnly, text); err == nil {
			t, ok = day, true
		}
	}
	switch {
	case !ok:
		return t, malformed("a date %q", text)
	case !t.Equal(t.Truncate(24 * time.Hour)):
		return t, invalid("'Date' must be at midnight GMT")
	}
	return t.UTC(), nil
}

func (f *Filter) check() error {
	if f == nil {
		return nil
	}
	given := 0
	for _, there := range []bool{f.Prefix != nil, f.Tag != nil, f.GreaterThan != nil, f.LessThan != nil, f.And != nil} {
		if there {
			given++
		}
	}
	if given > 1 {
		return malformed("a filter has one test, or And")
	}
	if err := sizes(f.GreaterThan, f.LessThan); err != nil {
		return err
	}
	if f.Tag != nil {
		return f.Tag.check()
	}
	if f.And == nil {
		return nil
	}
	keys := map[string]bool{}
	for _, tag := range f.And.Tags {
		if err := tag.check(); err != nil {
			return err
		}
		if keys[tag.Key] {
			return refused("Duplicate Tag Keys are not allowed.")
		}
		keys[tag.Key] = true
	}
	if f.And.Prefix == nil && len(f.And.Tags) == 0 && f.And.GreaterThan == nil && f.And.LessThan == nil {
		return malformed("And without a test")
	}
	return sizes(f.And.GreaterThan, f.And.LessThan)
}

func sizes(greater, less *int64) error {
	switch {
	case greater != nil && *greater < 0, less != nil && *less < 1:
		return refused("The object size of a filter must not be negative.")
	case greater != nil && less != nil && *greater >= *less:
		return refused("'ObjectSizeLessThan' must be greater than 'ObjectSizeGreaterThan'")
	}
	return nil
}

func (t *Tag) check() error {
	if t.Key == "" || len([]rune(t.Key)) > 128 {
		return &Error{"InvalidTag", "The TagKey you have provided is invalid"}
	}
	if len([]rune(t.Value)) > 256 {
		return &Error{"InvalidTag", "The TagValue you have provided is invalid"}
	}
	return nil
}

// Prefixed is the prefix of the keys that the rule is for.
func (r *Rule) Prefixed() string {
	for _, prefix := range []*string{r.Prefix, r.Filter.prefix()} {
		if prefix != nil {
			return *prefix
		}
	}
	return ""
}

func (f *Filter) prefix() *string {
	switch {
	case f == nil:
		return nil
	case f.And != nil:
		return f.And.Prefix
	}
	return f.Prefix
}

func (f *Filter) sized() bool {
	return f.GreaterThan != nil || f.LessThan != nil || f.And != nil && (f.And.GreaterThan != nil || f.And.LessThan != nil)
}

func (r *Rule) tags() []Tag {
	switch f := r.Filter; {
	case f == nil:
		return nil
	case f.Tag != nil:
		return []Tag{*f.Tag}
	case f.And != nil:
		return f.And.Tags
	}
	return nil
}

// concerns says whether a rule that is enabled is for an object.
func (r *Rule) concerns(o *Object) bool {
	if r.Status != Enabled || !strings.HasPrefix(o.Key, r.Prefixed()) {
		return false
	}
	for _, tag := range r.tags() {
		if value, ok := o.Tags[tag.Key]; !ok || value != tag.Value {
			return false
		}
	}
	f := r.Filter
	if f == nil {
		return true
	}
	greater, less := f.GreaterThan, f.LessThan
	if f.And != nil {
		greater, less = f.And.GreaterThan, f.And.LessThan
	}
	return (greater == nil || o.Size > *greater) && (less == nil || o.Size < *less)
}
