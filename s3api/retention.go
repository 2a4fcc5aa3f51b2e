package s3api

import (
	"context"
	"net/http"
	"time"

	"github.com/sherd-storage/sherd/lock"
	"github.com/sherd-storage/sherd/s3api/internal/wire"
)

// Locker is a store with object lock.
type Locker interface {
	ObjectLock(ctx context.Context, bucket string) (lock.Configuration, error)
	SetObjectLock(ctx context.Context, bucket string, c lock.Configuration) error
	SetRetention(ctx context.Context, bucket, key, versionID string, retention lock.Retention, bypass bool) error
	SetLegalHold(ctx context.Context, bucket, key, versionID string, on bool) error
}

func (c *call) locker() (Locker, error) {
	locker, ok := c.store.(Locker)
	if !ok {
		return nil, fail("NotImplemented").saying("The store has no object lock.")
	}
	return locker, nil
}

func (c *call) getObjectLock() error {
	locker, err := c.locker()
	if err != nil {
		return err
	}
	configuration, err := locker.ObjectLock(c.ctx(), c.bucket)
	if err != nil {
		return err
	}
	if !configuration.Enabled {
		return fail("ObjectLockConfigurationNotFoundError").with("BucketName", c.bucket)
	}
	out := &wire.ObjectLockConfiguration{Namespace: wire.Namespace, Enabled: "Enabled"}
	if d := configuration.Default; d.Mode != lock.None {
		out.Rule = &wire.LockRule{Default: &wire.DefaultRetention{Mode: d.Mode.String()}}
		if d.Days > 0 {
			out.Rule.Default.Days = &d.Days
		} else {
			out.Rule.Default.Years = &d.Years
		}
	}
	return c.answer(out)
}

func (c *call) putObjectLock() error {
	locker, err := c.locker()
	if err != nil {
		return err
	}
	var wanted wire.ObjectLockConfiguration
	if err := c.document(&wanted); err != nil {
		return err
	}
	configuration := lock.Configuration{Enabled: true}
	if wanted.Enabled != "Enabled" {
		return fail("MalformedXML")
	}
	if wanted.Rule != nil {
		if configuration.Default, err = defaultRetention(wanted.Rule.Default); err != nil {
			return err
		}
	}
	if err := locker.SetObjectLock(c.ctx(), c.bucket, configuration); err != nil {
		return err
	}
	return c.empty(http.StatusOK)
}

func defaultRetention(d *wire.DefaultRetention) (lock.DefaultRetention, error) {
	var out lock.DefaultRetention
	if d == nil || (d.Days == nil) == (d.Years == nil) {
		return out, fail("MalformedXML")
	}
	var err error
	if out.Mode, err = lock.ParseMode(d.Mode); err != nil {
		return out, fail("MalformedXML").because(err)
	}
	period, most := d.Days, lock.MaxDays
	if d.Days == nil {
		period, most = d.Years, lock.MaxYears
		out.Years = *period
	} else {
		out.Days = *period
	}
	switch {
	case *period < 1:
		return out, fail("InvalidArgument").saying("Default retention period must be a positive integer value.")
	case *period > most:
		return out, fail("InvalidArgument").saying("Default retention period too large.")
	}
	return out, nil
}

// lockedBucket refuses what concerns locks in a bucket without object lock.
func (c *call) lockedBucket() (Locker, error) {
	locker, err := c.locker()
	if err != nil {
		return nil, err
	}
	configuration, err := locker.ObjectLock(c.ctx(), c.bucket)
	if err == nil && !configuration.Enabled {
		err = lock.ErrNotEnabled
	}
	return locker, err
}

func (c *call) getRetention() error {
	if _, err := c.lockedBucket(); err != nil {
		return err
	}
	info, err := c.version()
	if err != nil {
		return err
	}
	if info.Retention.Mode == lock.None {
		return fail("NoSuchObjectLockConfiguration")
	}
	return c.answer(&wire.Retention{
		Namespace: wire.Namespace, Mode: info.Retention.Mode.String(), Until: wire.Stamp(untilDate(info.Retention.Until)),
	})
}

// putRetention sets a retention, or removes it where the document has none.
func (c *call) putRetention() error {
	locker, err := c.lockedBucket()
	if err != nil {
		return err
	}
	var wanted wire.Retention
	if err := c.document(&wanted); err != nil {
		return err
	}
	bypass, err := c.flag("X-Amz-Bypass-Governance-Retention")
	if err != nil {
		return err
	}
	retention, err := c.retention(&wanted)
	if err != nil {
		return err
	}
	info, err := c.version()
	if err != nil {
		return err
	}
	if err := locker.SetRetention(c.ctx(), c.bucket, c.key, info.VersionID, retention, bypass); err != nil {
		return err
	}
	return c.empty(http.StatusOK)
}

func (c *call) retention(d *wire.Retention) (lock.Retention, error) {
	var out lock.Retention
	if d.Mode == "" && d.Until == "" {
		return out, nil
	}
	var err error
	if out.Mode, err = lock.ParseMode(d.Mode); err != nil {
		return out, fail("MalformedXML").because(err)
	}
	var ok bool
	if out.Until, ok = wire.ParseStamp(d.Until); !ok {
		return out, fail("MalformedXML")
	}
	if !out.Until.After(c.opt.Clock()) {
		return out, fail("InvalidArgument").saying("The retain until date must be in the future!")
	}
	out.Until = untilDate(out.Until)
	return out, nil
}

// untilDate is the end of a retention in whole milliseconds, as documents have it.
// It is never before the end itself: what a client reads and sets again does not
// shorten it.
func untilDate(t time.Time) time.Time {
	if whole := t.Truncate(time.Millisecond); whole.Before(t) {
		return whole.Add(time.Millisecond)
	}
	return t
}

func (c *call) getLegalHold() error {
	if _, err := c.lockedBucket(); err != nil {
		return err
	}
	info, err := c.version()
	if err != nil {
		return err
	}
	out := &wire.LegalHold{Namespace: wire.Namespace, Status: "OFF"}
	if info.LegalHold {
		out.Status = "ON"
	}
	return c.answer(out)
}

func (c *call) putLegalHold() error {
	locker, err := c.lockedBucket()
	if err != nil {
		return err
	}
	var wanted wire.LegalHold
	if err := c.document(&wanted); err != nil {
		return err
	}
	if wanted.Status != "ON" && wanted.Status != "OFF" {
		return fail("MalformedXML")
	}
	info, err := c.version()
	if err != nil {
		return err
	}
	if err := locker.SetLegalHold(c.ctx(), c.bucket, c.key, info.VersionID, wanted.Status == "ON"); err != nil {
		return err
	}
	return c.empty(http.StatusOK)
}
