package control

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// WriteText writes the last run of the program and the last that failed.
func (p *Program) WriteText(w io.Writer) error {
	b := &strings.Builder{}
	for _, cause := range []string{"overlap", "missed"} {
		if n := p.Skipped[cause]; n > 0 {
			fmt.Fprintf(b, "%s: %d runs skipped: %s\n", p.Name, n, cause)
		}
	}
	p.Last.write(b, p.Name+": last run")
	if p.Failed != nil && (p.Last == nil || p.Last.Error == "") {
		p.Failed.write(b, p.Name+": last failed run")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteLast writes the last run of the program.
func (p *Program) WriteLast(w io.Writer) error {
	b := &strings.Builder{}
	p.Last.write(b, p.Name)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Run) write(b *strings.Builder, title string) {
	if r == nil {
		fmt.Fprintf(b, "%s: none yet\n", title)
		return
	}
	began := "at an unknown time (the clock wasn't set)"
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
