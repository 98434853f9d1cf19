package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

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

// printProgram prints the last run of a program and the last that failed.
func printProgram(b *strings.Builder, p control.Program) {
	for _, cause := range []string{"overlap", "missed"} {
		if n := p.Skipped[cause]; n > 0 {
			fmt.Fprintf(b, "%s: %d runs skipped: %s\n", p.Name, n, cause)
		}
	}
	printRun(b, p.Name+": last run", p.Last)
	if p.Failed != nil && (p.Last == nil || p.Last.Error == "") {
		printRun(b, p.Name+": last failed run", p.Failed)
	}
}

func printRun(b *strings.Builder, title string, r *control.Run) {
	if r == nil {
		fmt.Fprintf(b, "%s: none yet\n", title)
		return
	}
	began := "at a time the clock couldn't tell"
	if r.Began != nil {
		began = r.Began.Local().Format(time.DateTime)
	}
	fmt.Fprintf(b, "%s: %s, took %.3f s, exit status %d\n", title, began, r.Took, r.Status)
	if r.Error != "" {
		fmt.Fprintf(b, "  %s\n", visible(r.Error))
	}
	if r.Cut > 0 {
		fmt.Fprintf(b, "  | (%d bytes before this are not kept)\n", r.Cut)
	}
	if r.Output == "" {
		return
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(r.Output, "\n"), "\n") {
		fmt.Fprintf(b, "  | %s\n", visible(line))
	}
}

// visible keeps the output of a program from steering the terminal.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' && r != '\n' {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
