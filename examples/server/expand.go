package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// maxPlaces bounds what one command line expands to. It is far above what a
// store takes, so that the store's own message is the one that is seen.
const maxPlaces = 256

// expandAll expands every pattern and refuses a place that is named twice.
func expandAll(patterns []string) ([]string, error) {
	var places []string
	seen := map[string]bool{}
	for _, pattern := range patterns {
		expanded, err := expand(pattern)
		if err != nil {
			return nil, err
		}
		for _, place := range expanded {
			place = filepath.Clean(place)
			if seen[place] {
				return nil, fmt.Errorf("drive %s is named twice", place)
			}
			seen[place] = true
			places = append(places, place)
		}
	}
	if len(places) > maxPlaces {
		return nil, fmt.Errorf("%d drives are named, at most %d are possible", len(places), maxPlaces)
	}
	return places, nil
}

// expand replaces each {first...last} by the numbers from first to last, the
// rightmost range counting fastest. Where first has leading zeros all numbers
// are padded to its width. A pattern without braces stands for itself; there is
// no way to name a directory whose own name has braces.
func expand(pattern string) ([]string, error) {
	if pattern == "" {
		return nil, fmt.Errorf("a drive has an empty name")
	}
	places := []string{""}
	rest := pattern
	for {
		plain, after, found := strings.Cut(rest, "{")
		if strings.Contains(plain, "}") {
			return nil, fmt.Errorf("drive %q: } without {", pattern)
		}
		if !found {
			return combine(pattern, places, []string{plain})
		}
		inside, tail, closed := strings.Cut(after, "}")
		if !closed {
			return nil, fmt.Errorf("drive %q: { without }", pattern)
		}
		numbers, err := numbersOf(inside)
		if err != nil {
			return nil, fmt.Errorf("drive %q: %w", pattern, err)
		}
		for i := range numbers {
			numbers[i] = plain + numbers[i]
		}
		if places, err = combine(pattern, places, numbers); err != nil {
			return nil, err
		}
		rest = tail
	}
}

func combine(pattern string, heads, tails []string) ([]string, error) {
	if len(heads)*len(tails) > maxPlaces {
		return nil, fmt.Errorf("drive %q: it stands for more than %d drives", pattern, maxPlaces)
	}
	out := make([]string, 0, len(heads)*len(tails))
	for _, head := range heads {
		for _, tail := range tails {
			out = append(out, head+tail)
		}
	}
	return out, nil
}

// numbersOf gives the numbers of "first...last", as they are to be written.
func numbersOf(inside string) ([]string, error) {
	first, last, found := strings.Cut(inside, "...")
	low, lowOK := number(first)
	high, highOK := number(last)
	switch {
	case !found || !lowOK || !highOK:
		return nil, fmt.Errorf("{%s} is no range, which looks like {1...4}", inside)
	case low > high:
		return nil, fmt.Errorf("the range {%s} runs backwards", inside)
	case high-low >= maxPlaces:
		return nil, fmt.Errorf("the range {%s} has more than %d numbers", inside, maxPlaces)
	case strings.HasPrefix(first, "0") && len(first) > 1 && len(first) != len(last):
		return nil, fmt.Errorf("the ends of the range {%s} are padded to different widths", inside)
	}
	width := 0
	if strings.HasPrefix(first, "0") {
		width = len(first)
	}
	out := make([]string, 0, high-low+1)
	for n := low; n <= high; n++ {
		out = append(out, fmt.Sprintf("%0*d", width, n))
	}
	return out, nil
}

// number reads decimal digits and nothing else, at most nine of them.
func number(s string) (int, bool) {
	if s == "" || len(s) > 9 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}
