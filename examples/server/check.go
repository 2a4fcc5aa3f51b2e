package main

import (
	"context"
	"fmt"

	"github.com/sherd-storage/sherd"
)

// checkDrives writes what is wrong with the drives, a line each, and gives an
// error where there is anything.
func (s *server) checkDrives(ctx context.Context) error {
	found, lost := 0, 0
	for f, err := range sherd.CheckDrives(ctx, s.places(), &sherd.Options{TrustLocks: s.trustLocks, Logger: s.log}) {
		if err != nil {
			return s.explain(err)
		}
		found++
		line := f.Kind
		if f.Path != "" {
			line += " " + f.Path
		}
		if f.Key != "" {
			line += fmt.Sprintf(" %q", f.Key)
		}
		line += ": " + f.Text
		if f.Lost {
			lost++
			line += " (lost with the drives that are there)"
		}
		fmt.Fprintln(s.stdout, line)
	}
	if found > 0 {
		return fmt.Errorf("%d things are not as they should be, %d of them lost with the drives that are there", found, lost)
	}
	fmt.Fprintf(s.stdout, "nothing is wrong with %d drives\n", len(s.places()))
	return nil
}
