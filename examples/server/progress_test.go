package main

// Goal: what a store does by itself is shown with its rate and the time that is
// left, on a terminal without disturbing what is logged, and nothing is said
// while nothing goes on. Method: work made by hand, clocks moved by hand, a
// terminal that is a buffer. In package main, which cannot be imported.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sherd-storage/sherd"
)

func TestBar(t *testing.T) {
	copying := sherd.Work{Kind: sherd.WorkCopy, Drive: "/mnt/d2", Items: 25, TotalItems: 100, ItemsPerSecond: 12.4, Left: 6 * time.Second}
	for want, work := range map[string][]sherd.Work{
		"": nil,
		"copying the index [#####...............]  25 % 12/s, 6s left, /mnt/d2": {copying},
		"scrubbing [###############.....]  75 % 1.5 MiB/s, 1 more": {
			{Kind: sherd.WorkScrub, Items: 1, TotalItems: 100, Bytes: 750, TotalBytes: 1000, BytesPerSecond: 1.5 * (1 << 20), Left: -1}, copying},
		"learning 17 0/s": {{Kind: sherd.WorkLearn, Items: 17, Left: -1}},
		"rebuilding shards [####################] 100 % 512 B/s": { // more than was expected
			{Kind: sherd.WorkShards, Bytes: 2000, TotalBytes: 1000, BytesPerSecond: 512, Left: -1}},
	} {
		require.Equal(t, want, barOf(work))
	}
	copying.Drive = strings.Repeat("ü", 200)
	require.Len(t, []rune(barOf([]sherd.Work{copying})), columns, "a longer line could not be taken back")
}

func TestTheBarStaysBelowTheLog(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out}
	take := func() string { defer out.Reset(); return out.String() }
	fmt.Fprint(s, "plain\n")
	require.Equal(t, "plain\n", take())
	s.show("[#.]")
	require.Equal(t, clearLine+"[#.]", take())
	s.show("[#.]")
	require.Empty(t, take(), "nothing new")
	n, err := fmt.Fprint(s, "logged\n")
	require.NoError(t, err)
	require.Equal(t, 7, n)
	require.Equal(t, clearLine+"logged\n[#.]", take())
	s.show("")
	require.Equal(t, clearLine, take())
	fmt.Fprint(s, "plain\n")
	require.Equal(t, "plain\n", take())
}

func TestLinesWithoutATerminal(t *testing.T) {
	var out bytes.Buffer
	p := &progress{log: slog.New(slog.NewJSONHandler(&out, nil))}
	lines := func() (all []map[string]any) {
		for line := range strings.Lines(out.String()) {
			m := map[string]any{}
			require.NoError(t, json.Unmarshal([]byte(line), &m))
			all = append(all, m)
		}
		out.Reset()
		return all
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p.look(at, nil)
	require.Empty(t, lines())
	work := []sherd.Work{{Kind: sherd.WorkCopy, Drive: "/mnt/d2", Begun: at, Items: 25, TotalItems: 100, ItemsPerSecond: 12.4, Left: 6 * time.Second}}
	p.look(at, work)
	said := lines()
	require.Len(t, said, 1)
	require.Equal(t, "copying the index", said[0]["msg"])
	require.Equal(t, "/mnt/d2", said[0]["drive"])
	require.Equal(t, "12/s", said[0]["rate"])
	require.Equal(t, "6s", said[0]["left"])
	for second := range 29 {
		p.look(at.Add(time.Duration(second+1)*time.Second), work)
	}
	require.Empty(t, lines())
	work = append(work, sherd.Work{Kind: sherd.WorkScrub, Begun: at, Left: -1})
	p.look(at.Add(30*time.Second), work)
	said = lines()
	require.Len(t, said, 2)
	require.Equal(t, "scrubbing", said[1]["msg"])
	require.NotContains(t, said[1], "left")
	p.look(at.Add(31*time.Second), work[1:])
	said = lines()
	require.Len(t, said, 1)
	require.Equal(t, "copying the index: over", said[0]["msg"])
	p.look(at.Add(32*time.Second), nil)
	require.Len(t, lines(), 1)
	p.look(at.Add(33*time.Second), nil)
	require.Empty(t, lines())
}

func TestTheBarGoesWhenTheServerEnds(t *testing.T) {
	var shown []string
	p := &progress{bar: func(bar string) { shown = append(shown, bar) }}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.watch(ctx, nil)
	require.Equal(t, []string{""}, shown)
}
