package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/sherd-storage/sherd"
)

const (
	lookEvery = time.Second      // at what the store does
	lineEvery = 30 * time.Second // a line in the log about each work, where there is no terminal
	columns   = 79               // that a bar takes at most, as a longer line could not be taken back
)

// screen is a terminal with a bar below all that is written to it.
type screen struct {
	mu  sync.Mutex
	out io.Writer
	bar string
}

const clearLine = "\r\x1b[K"

// Write puts text above the bar.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar == "" {
		return s.out.Write(p)
	}
	_, err := fmt.Fprintf(s.out, "%s%s%s", clearLine, p, s.bar)
	return len(p), err
}

// show replaces the bar; "" takes it away.
func (s *screen) show(bar string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if bar == s.bar {
		return
	}
	s.bar = bar
	_, _ = io.WriteString(s.out, clearLine+bar) // a terminal that is gone has no reader
}

// progress tells of what a store does by itself: as a bar on a terminal, or as
// lines in the log. It is quiet while nothing goes on.
type progress struct {
	log  *slog.Logger
	bar  func(string) // nil: lines
	told map[job]time.Time
}

// job is one piece of work, from its begin to its end.
type job struct {
	kind  sherd.WorkKind
	drive string
	begun time.Time
}

// watch looks again and again, until the context ends.
func (p *progress) watch(ctx context.Context, work func() []sherd.Work) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			p.look(time.Now(), nil)
			return
		case now := <-tick.C:
			p.look(now, work())
		}
	}
}

func (p *progress) look(now time.Time, work []sherd.Work) {
	if p.bar != nil {
		p.bar(barOf(work))
		return
	}
	going := map[job]time.Time{}
	for _, w := range work {
		j := job{w.Kind, w.Drive, w.Begun}
		at, told := p.told[j]
		if !told || now.Sub(at) >= lineEvery {
			p.log.LogAttrs(context.Background(), slog.LevelInfo, w.Kind.String(), attributes(w)...)
			at = now
		}
		going[j] = at
	}
	for j := range p.told {
		if _, ok := going[j]; !ok {
			p.log.LogAttrs(context.Background(), slog.LevelInfo, j.kind.String()+": over",
				slog.String("drive", j.drive), slog.String("took", now.Sub(j.begun).Round(time.Second).String()))
		}
	}
	p.told = going
}

func attributes(w sherd.Work) []slog.Attr {
	out := []slog.Attr{
		slog.String("drive", w.Drive), slog.Uint64("items", w.Items), slog.Uint64("of_items", w.TotalItems),
		slog.Uint64("bytes", w.Bytes), slog.Uint64("of_bytes", w.TotalBytes),
		slog.String("rate", rate(w)),
	}
	if w.Left >= 0 {
		out = append(out, slog.String("left", w.Left.Round(time.Second).String()))
	}
	return out
}

// part is how much of a work is done, by bytes where they are known; false where
// neither total is.
func part(w sherd.Work) (float64, bool) {
	done, total := w.Bytes, w.TotalBytes
	if total == 0 {
		done, total = w.Items, w.TotalItems
	}
	if total == 0 {
		return 0, false
	}
	return min(1, float64(done)/float64(total)), true
}

// rate says how fast a work goes, in bytes where it has any.
func rate(w sherd.Work) string {
	if w.BytesPerSecond > 0 {
		return size(uint64(w.BytesPerSecond)) + "/s"
	}
	return fmt.Sprintf("%.0f/s", w.ItemsPerSecond)
}

// size is bytes as people read them.
func size(n uint64) string {
	value, unit := float64(n), "B"
	for _, larger := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if value < 1024 {
			break
		}
		value, unit = value/1024, larger
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}

// barOf draws the oldest work and counts the others; "" for none.
func barOf(work []sherd.Work) string {
	if len(work) == 0 {
		return ""
	}
	w := work[0]
	text := w.Kind.String()
	if done, ok := part(w); ok {
		const width = 20
		full := int(done * width)
		text += fmt.Sprintf(" [%s%s] %3.0f %%", strings.Repeat("#", full), strings.Repeat(".", width-full), done*100)
	} else {
		text += fmt.Sprintf(" %d", w.Items)
	}
	text += " " + rate(w)
	if w.Left >= 0 {
		text += ", " + w.Left.Round(time.Second).String() + " left"
	}
	if n := len(work) - 1; n > 0 {
		text += fmt.Sprintf(", %d more", n)
	}
	if w.Drive != "" {
		text += ", " + w.Drive
	}
	if runes := []rune(text); len(runes) > columns {
		text = string(runes[:columns])
	}
	return text
}
