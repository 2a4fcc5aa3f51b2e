// Goal: each rule by itself, what is refused, and the text of statuses and ids.
// Method: tables that give every input there is, or every kind of input.
package versioning_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd/versioning"
)

var (
	none        = versioning.Ref{}
	null        = versioning.Ref{Position: 7, Null: true}
	nullMarker  = versioning.Ref{Position: 7, Null: true, Marker: true}
	own         = versioning.Ref{Position: 9}
	ownMarker   = versioning.Ref{Position: 9, Marker: true}
	wrongStatus = versioning.Status(3)
)

func TestPut(t *testing.T) {
	for _, c := range []struct {
		name   string
		status versioning.Status
		null   versioning.Ref
		plan   versioning.Plan
		err    error
	}{
		{"first of an unversioned bucket", versioning.Unversioned, none, versioning.Plan{Create: true, Null: true}, nil},
		{"overwrite", versioning.Unversioned, null, versioning.Plan{Create: true, Null: true, Remove: null}, nil},
		{"enabled", versioning.Enabled, none, versioning.Plan{Create: true}, nil},
		{"enabled above a null version", versioning.Enabled, null, versioning.Plan{Create: true}, nil},
		{"suspended", versioning.Suspended, none, versioning.Plan{Create: true, Null: true}, nil},
		{"suspended, replaces", versioning.Suspended, null, versioning.Plan{Create: true, Null: true, Remove: null}, nil},
		{"suspended, replaces a marker", versioning.Suspended, nullMarker, versioning.Plan{Create: true, Null: true, Remove: nullMarker}, nil},
		{"unknown status", wrongStatus, none, versioning.Plan{}, versioning.ErrStatus},
		{"not the null version", versioning.Suspended, own, versioning.Plan{}, versioning.ErrRef},
		{"absent with flags", versioning.Enabled, versioning.Ref{Null: true}, versioning.Plan{}, versioning.ErrRef},
		{"marker in an unversioned bucket", versioning.Unversioned, nullMarker, versioning.Plan{}, versioning.ErrRef},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan, err := versioning.Put(c.status, c.null)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.plan, plan)
		})
	}
}

func TestDelete(t *testing.T) {
	for _, c := range []struct {
		name   string
		status versioning.Status
		null   versioning.Ref
		plan   versioning.Plan
		err    error
	}{
		{"nothing there", versioning.Unversioned, none, versioning.Plan{}, nil},
		{"unversioned", versioning.Unversioned, null, versioning.Plan{Remove: null}, nil},
		{"enabled, no such key", versioning.Enabled, none, versioning.Plan{Create: true, Marker: true}, nil},
		{"enabled", versioning.Enabled, null, versioning.Plan{Create: true, Marker: true}, nil},
		{"suspended, no such key", versioning.Suspended, none, versioning.Plan{Create: true, Null: true, Marker: true}, nil},
		{"suspended", versioning.Suspended, null, versioning.Plan{Create: true, Null: true, Marker: true, Remove: null}, nil},
		{"suspended, again", versioning.Suspended, nullMarker, versioning.Plan{Create: true, Null: true, Marker: true, Remove: nullMarker}, nil},
		{"unknown status", wrongStatus, null, versioning.Plan{}, versioning.ErrStatus},
		{"not the null version", versioning.Unversioned, own, versioning.Plan{}, versioning.ErrRef},
		{"absent with flags", versioning.Suspended, versioning.Ref{Marker: true}, versioning.Plan{}, versioning.ErrRef},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan, err := versioning.Delete(c.status, c.null)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.plan, plan)
			require.Equal(t, c.plan == versioning.Plan{}, plan.Nothing())
		})
	}
}

func TestDeleteVersion(t *testing.T) {
	for _, target := range []versioning.Ref{none, null, nullMarker, own, ownMarker} {
		plan, err := versioning.DeleteVersion(target)
		require.NoError(t, err)
		require.Equal(t, versioning.Plan{Remove: target}, plan)
		require.Equal(t, target.Absent(), plan.Nothing())
	}
	plan, err := versioning.DeleteVersion(versioning.Ref{Marker: true})
	require.ErrorIs(t, err, versioning.ErrRef)
	require.True(t, plan.Nothing())
}

func TestFind(t *testing.T) {
	for _, c := range []struct {
		ref           versioning.Ref
		latest, named versioning.Outcome
	}{
		{none, versioning.NoKey, versioning.NoVersion},
		{null, versioning.Found, versioning.Found},
		{own, versioning.Found, versioning.Found},
		{nullMarker, versioning.LatestMarker, versioning.NamedMarker},
		{ownMarker, versioning.LatestMarker, versioning.NamedMarker},
	} {
		require.Equal(t, c.latest, versioning.Find(c.ref))
		require.Equal(t, c.named, versioning.FindVersion(c.ref))
	}
	require.NotEqual(t, versioning.Found, versioning.Outcome(0))
	require.Equal(t, "Outcome(0)", versioning.Outcome(0).String())
	require.Equal(t, "named version is a delete marker", versioning.NamedMarker.String())
}

func TestTransitions(t *testing.T) {
	const unversioned, enabled, suspended = versioning.Unversioned, versioning.Enabled, versioning.Suspended
	for _, c := range []struct {
		from, to        versioning.Status
		plain, withLock error
	}{
		{unversioned, unversioned, nil, versioning.ErrObjectLock},
		{unversioned, enabled, nil, nil},
		{unversioned, suspended, nil, versioning.ErrObjectLock},
		{enabled, unversioned, versioning.ErrTransition, versioning.ErrTransition},
		{enabled, enabled, nil, nil},
		{enabled, suspended, nil, versioning.ErrObjectLock},
		{suspended, unversioned, versioning.ErrTransition, versioning.ErrTransition},
		{suspended, enabled, nil, nil},
		{suspended, suspended, nil, versioning.ErrObjectLock},
		{wrongStatus, enabled, versioning.ErrStatus, versioning.ErrStatus},
		{enabled, wrongStatus, versioning.ErrStatus, versioning.ErrStatus},
	} {
		require.ErrorIs(t, versioning.Transition(c.from, c.to, false), c.plain, "%v to %v", c.from, c.to)
		require.ErrorIs(t, versioning.Transition(c.from, c.to, true), c.withLock, "%v to %v with object lock", c.from, c.to)
	}
}

func TestStatusText(t *testing.T) {
	for status, text := range map[versioning.Status]string{0: "Unversioned", 1: "Enabled", 2: "Suspended"} {
		require.Equal(t, text, status.String())
		parsed, err := versioning.ParseStatus(text)
		require.NoError(t, err)
		require.Equal(t, status, parsed)
		require.NoError(t, status.Validate())
	}
	for _, text := range []string{"", "enabled", "Enabled ", "Status(3)", "Disabled"} {
		_, err := versioning.ParseStatus(text)
		require.ErrorIs(t, err, versioning.ErrStatus, "%q", text)
	}
	require.Equal(t, "Status(3)", wrongStatus.String())
	require.ErrorIs(t, wrongStatus.Validate(), versioning.ErrStatus)
}

func TestApplyRefusesWhatDoesNotFit(t *testing.T) {
	key := versioning.Key{own, null}
	for name, c := range map[string]struct {
		plan     versioning.Plan
		position uint64
	}{
		"removes what is not there":             {versioning.Plan{Remove: versioning.Ref{Position: 8}}, 10},
		"removes under a wrong description":     {versioning.Plan{Remove: ownMarker}, 10},
		"at the latest position":                {versioning.Plan{Create: true}, 9},
		"below the latest position":             {versioning.Plan{Create: true}, 8},
		"two null versions":                     {versioning.Plan{Create: true, Null: true}, 10},
		"two null versions, one goes, not it":   {versioning.Plan{Create: true, Null: true, Remove: own}, 10},
		"the latest goes and a lower one comes": {versioning.Plan{Create: true, Remove: own}, 8},
	} {
		after, err := key.Apply(c.plan, c.position)
		require.ErrorIs(t, err, versioning.ErrPlan, name)
		require.Nil(t, after, name)
	}
	require.Equal(t, versioning.Key{own, null}, key)
}

func TestIDText(t *testing.T) {
	const epoch, position = 0x0123456789abcdef, 0xfedcba9876543210
	for text, id := range map[string]versioning.ID{
		"null":                             {Kind: versioning.NullID},
		"0123456789abcdeffedcba9876543210": {Kind: versioning.OwnID, Epoch: epoch, Position: position},
		"00000000000000000000000000000001": {Kind: versioning.OwnID, Position: 1},
		"00000000000000010000000000000000": {Kind: versioning.ForeignID, Foreign: "00000000000000010000000000000000"},
		"0123456789ABCDEFFEDCBA9876543210": {Kind: versioning.ForeignID, Foreign: "0123456789ABCDEFFEDCBA9876543210"},
		"0123456789abcdeffedcba987654321":  {Kind: versioning.ForeignID, Foreign: "0123456789abcdeffedcba987654321"},
		"0123456789abcdeffedcba987654321g": {Kind: versioning.ForeignID, Foreign: "0123456789abcdeffedcba987654321g"},
		"NULL":                             {Kind: versioning.ForeignID, Foreign: "NULL"},
		"\x00/../\xff":                     {Kind: versioning.ForeignID, Foreign: "\x00/../\xff"},
		"3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrH": {Kind: versioning.ForeignID, Foreign: "3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrH"},
	} {
		parsed, err := versioning.ParseID(text)
		require.NoError(t, err, "%q", text)
		require.Equal(t, id, parsed, "%q", text)
		require.Equal(t, text, parsed.String())
	}
	require.Equal(t, "0123456789abcdeffedcba9876543210", versioning.FormatID(epoch, position))
	require.Empty(t, versioning.ID{}.String())

	_, err := versioning.ParseID(strings.Repeat("x", versioning.MaxIDBytes))
	require.NoError(t, err)
	for _, text := range []string{"", strings.Repeat("x", versioning.MaxIDBytes+1)} {
		id, err := versioning.ParseID(text)
		require.ErrorIs(t, err, versioning.ErrID)
		require.Zero(t, id)
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("null", uint64(0), uint64(0))
	f.Add("0123456789abcdeffedcba9876543210", uint64(1), uint64(2))
	f.Add("0123456789abcdeffedcba987654321/", ^uint64(0), ^uint64(0))
	f.Fuzz(func(t *testing.T, text string, epoch, position uint64) {
		if id, err := versioning.ParseID(text); err == nil {
			require.Equal(t, text, id.String())
			require.NotEqual(t, versioning.NoID, id.Kind)
		} else {
			require.True(t, text == "" || len(text) > versioning.MaxIDBytes)
		}
		id, err := versioning.ParseID(versioning.FormatID(epoch, position))
		require.NoError(t, err)
		if position != 0 {
			require.Equal(t, versioning.ID{Kind: versioning.OwnID, Epoch: epoch, Position: position}, id)
		}
	})
}

func BenchmarkPut(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if plan, err := versioning.Put(versioning.Suspended, null); err != nil || plan.Nothing() {
			b.Fatal(plan, err)
		}
	}
}

func BenchmarkFormatID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if len(versioning.FormatID(1, 2)) != 32 {
			b.Fatal("length")
		}
	}
}

func BenchmarkParseID(b *testing.B) {
	text := versioning.FormatID(1_700_000_000_000, 123_456)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := versioning.ParseID(text); err != nil {
			b.Fatal(err)
		}
	}
}
