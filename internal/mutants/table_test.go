// Goal: what durability and safety rest on is written down, a line of code each, with the
// tests that are to notice when it is gone. Method: mutants_test.go breaks them in turn.
package mutants

// table is what is broken, by package from the bottom up.
var table = []mutant{
	{
		"a frame's sum is not compared", "bitrot/sealer.go",
		`if !bytes.Equal(sum, s.sum(id, frame, last, payload)) {`, `if false {`,
		"./bitrot", ".",
	}, {
		"a batch of the index is not synced", "layout/disk.go",
		`b.Commit(pebble.Sync)`, `b.Commit(pebble.NoSync)`,
		"./layout", "Crash",
	}, {
		"a sync that failed is believed", "layout/disk.go",
		"		d.latch.Trip(err)\n	}\n	if err := d.latch.Err(); err != nil {", "		d.latch.Trip(err)\n	}\n	if err := error(nil); err != nil {",
		"./layout", "NoCommitIsBelieved",
	}, {
		"a shard file is not synced", "layout/shards.go",
		`if err := w.file.SyncData(); err != nil {`, `if err := error(nil); err != nil {`,
		"./layout", "Crash",
	}, {
		"a shard file's name is not synced", "layout/shards.go",
		`return problem(w.s.syncDir(w.header.Data))`, `return nil`,
		"./layout", "Crash",
	}, {
		"the names above a drive are not synced", "layout/format.go",
		"if err := syncAbove(p.fs, dir); err != nil {\n			return err\n		}\n		if err := p.relock()", "if err := p.relock()",
		"./layout", "Crash",
	}, {
		"the promise is not looked at", "layout/disk.go",
		`if p != d.held.Promise {`, `if false {`,
		"./layout", "Conformance",
	}, {
		"a promise goes back", "layout/disk.go",
		`p.Epoch <= held.Epoch && p.Owner != held.Owner`, `false`,
		"./layout", "Conformance",
	}, {
		"a state goes back", "layout/apply.go",
		`if s.Compare(c.next.State) <= 0 {`, `if false {`,
		"./layout", "Conformance",
	}, {
		"what is stable is undone", "layout/apply.go",
		`u.To < floor.Position ||`, ``,
		"./layout", "Conformance",
	}, {
		"an entry of another log is taken", "layout/apply.go",
		`if e.Chain != c.next.Last.Chain.Next(e.Owner, e.Digest) {`, `if false {`,
		"./layout", "Conformance",
	}, {
		"removal goes above the stable mark", "layout/remove.go",
		`min(r.Upto, h.Stable.Position)`, `r.Upto`,
		"./layout", "Conformance|Crashes",
	}, {
		"the index is not asked who the drive is", "layout/format.go",
		`err != nil || bytes.Equal(stored, want) {`, `err != nil || bytes.Equal(stored, want) || len(want) > 0 {`,
		"./layout", "WrongBit|Format|Place|Index",
	}, {
		"an acknowledgement waits for all drives but one", "internal/driveset/tenure.go",
		`for slot := range t.need.All() {
		limit`, `for slot := range (t.need &^ quorum.One(t.need.First())).All() {
		limit`,
		"./internal/driveset", "CrashAnywhere/2",
	}, {
		"the newest proposal alone is needed", "internal/driveset/tenure.go",
		`t.need |= target`, `t.need = target`,
		"./internal/driveset", "WhichSets",
	}, {
		"shards of drives that left count", "internal/driveset/tenure.go",
		`} else if (e.holders & t.inSync).Count() < e.needed {
			break`, `} else if e.holders.Count() < e.needed {
			break`,
		"./internal/driveset", "WhatMayBe",
	}, {
		"what is aborted shows before its abort", "internal/driveset/tenure.go",
		`		if p >= until {`, `		if until >= 0 {`,
		"./internal/driveset", "WhatMayBe",
	}, {
		"a state counts that was accepted late", "internal/driveset/tenure.go",
		`p.state.Generation != generation ||`, ``,
		"./internal/driveset", "WhichSets",
	}, {
		"an acknowledgement needs one shard", "internal/driveset/commit.go",
		`p.needed = quorum.Shards(len(st.add.Drives), st.add.DataShards())`, `p.needed = 1`,
		"./internal/driveset", "TooFewShards",
	}, {
		"shards count that a replaced drive had", "internal/driveset/commit.go",
		`p.holders = st.holders & t.laidOut(st)`, `p.holders = st.holders`,
		"./internal/driveset", "ShardsOfDrives",
	}, {
		"an eviction is not written", "internal/driveset/link.go",
		`	t.propose(rest)
}`, `	t.inSync, t.need = rest, rest
	t.set.decided(t)
	t.abortUnreachable()
	t.advance()
}`,
		"./internal/driveset", "FailedSync|Return|DriveGoes|Opening",
	}, {
		"a drive that is behind gets the state before the log", "internal/driveset/settle.go",
		`	if err := o.each(ctx, o.v.Behind, func(c *candidate) error { return o.bringBehind(ctx, c) }); err != nil {`,
		`	early := layout.State{Owner: o.owner, InSync: t.ids(o.v.InSync), Names: names}
	if err := o.each(ctx, o.v.Behind, func(c *candidate) error {
		err := c.drive.Apply(ctx, c.promise, layout.Batch{State: &early, Seal: &layout.Seal{Epoch: o.owner.Epoch, Position: c.held.Last.Position}, Reserve: true})
		return errors.Join(err, o.bringBehind(ctx, c))
	}); err != nil {`,
		"./internal/driveset", "WhileADriveIsBroughtBack",
	}, {
		"an opening cuts the log at what is stable", "internal/driveset/settle.go",
		`keep := min(o.effective(c), o.v.End)`, `keep := o.v.Stable`,
		"./internal/driveset", "CrashAnywhere/[24]",
	}, {
		"a drive that is behind gets no shards", "internal/driveset/settle.go",
		`if e.Position > o.v.Stable {
				break // it was given its shard files before
			}`, `if true {
				break
			}`,
		"./internal/driveset", "BroughtItsShards",
	}, {
		"a drive that learns gets no shards", "internal/driveset/link.go",
		`		for _, e := range entries {
			if err := t.set.supply(ctx, c, e); err != nil {
				return err
			}
		}
`, ``,
		"./internal/driveset", "OldImage|Return|LearnsIs",
	}, {
		"what is not settled can be read", "internal/driveset/commit.go",
		`	w.left = true
	t.block(w.writes, w)`, `	w.left = true`,
		"./internal/driveset", "UnknownOutcome",
	}, {
		"a data id is used twice", "internal/driveset/stage.go",
		`Counter: t.data.Add(1)}`, `Counter: 1 + t.data.Add(1)%2}`,
		"./internal/driveset", "PutGet",
	}, {
		"a new drive has the id of the one before", "internal/driveset/vacancy.go",
		`	_, _ = rand.Read(n.id[:]) // never fails`, `	n.id = names[slot].Drive`,
		"./internal/driveset", "EmptyPlace|Replaced",
	}, {
		"half the operator's word is enough", "internal/driveset/vacancy.go",
		`	if lacking {`, `	if lacking && word == 0 {`,
		"./internal/driveset", "Operators",
	}, {
		"an unmounted place is filled", "internal/driveset/vacancy.go",
		`	if shared {`, `	if false {`,
		"./internal/driveset", "Unmounted",
	}, {
		"a format file is believed before its index", "internal/driveset/place.go",
		`if err != nil && s.belied() {`, `if false && s.belied() {`,
		"./internal/pools", "FormatFile",
	}, {
		"an old image owes nothing", "internal/driveset/copy.go",
		`if verdict.Counted(c.held.State, c.drive.Identity().Drive) {`, `if false && verdict.Counted(c.held.State, c.drive.Identity().Drive) {`,
		"./internal/driveset", "OldImage",
	}, {
		"a copy brings what is newer than its beginning", "internal/driveset/copy.go",
		`if item.Position <= y.base {`, `if item.Position > 0 {`,
		"./internal/driveset", "Copy",
	}, {
		"parts that nobody owns are copied", "internal/driveset/copy.go",
		`		} else if dead {
			continue
		}`, `		} else if dead {
			_ = dead
		}`,
		"./internal/driveset", "CopyLeavesOut",
	}, {
		"what this owner just wrote is garbage", "internal/driveset/heal.go",
		`if data.Epoch >= t.owner.Epoch {`, `if false {`,
		"./internal/driveset", "Garbage",
	}, {
		"who uses what is mended is not asked again", "internal/driveset/heal.go",
		`if _, err := h.user(ctx, d.Place.Data); !errors.Is(err, heal.ErrNobody) {`, `if _, err := h.user(ctx, d.Place.Data); err != nil || true {`,
		"./internal/driveset", "Meanwhile",
	}, {
		"what could not be mended is forgotten", "internal/heal/scrub.go",
		`h.keep(ctx, func(n *notes) { n.Wounded = now })`, ``,
		"./internal/driveset", "OutlivesTheProcess",
	}, {
		"a lock is not looked at", "delete.go",
		`return lock.Check(s.Now(), state, intent)`, `_ = lock.Check(s.Now(), state, intent)
	return nil`,
		".", "Lock",
	}, {
		"conditions of a write are not looked at", "put.go",
		`if err := conditions.forWrite(c.latest); err != nil {`, `if err := conditions.forWrite(c.latest); err != nil && false {`,
		".", "EachKeyIsOneRegister|Condition",
	}, {
		"a key has several writers", "internal/keylock/keylock.go",
		`func (e *entry) take(shared bool) bool {`, `func (e *entry) take(shared bool) bool {
	shared = true`,
		".", "EachKeyIsOneRegister",
	}, {
		"a signature is not compared", "s3api/internal/sigv4/sign.go",
		`return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1`, `return subtle.ConstantTimeCompare([]byte(a), []byte(b)) <= 1`,
		"./s3api", "MatrixOfOperations",
	}, {
		"a chunk's signature is not compared", "s3api/internal/chunked/reader.go",
		`if subtle.ConstantTimeCompare([]byte(wanted), claimed) != 1 {`, `if subtle.ConstantTimeCompare([]byte(wanted), claimed) > 1 {`,
		"./s3api", "ChangedChunks",
	}, {
		"a denial does not win", "s3api/policy/evaluate.go",
		`			if s.effect == Deny {
				return decision
			}`, `			if s.effect == Allow {
				return decision
			}`,
		"./s3api/policy", ".",
	},
}
