package main

import (
	"context"
	"fmt"
	"slices"

	"example.org/dormouse/exporter/control"
)

// programsOf asks the daemon for the runs of the named programs.
func programsOf(ctx context.Context, pidFile string, names []string) ([]control.Program, error) {
	programs, err := control.Programs(ctx, pidFile, names...)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(programs, func(p control.Program) bool { return p.Name == name }) {
			return nil, fmt.Errorf("the daemon has no program named %q, or hasn't run it yet", name)
		}
	}
	return programs, nil
}
