package daemon

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText writes each point with its verdict, its section of [Document], its
// evidence, and where it fails why it matters.
func (i *Inspection) WriteText(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(tw, "process %d, %s, started by: %s\n", i.PID, i.Name, i.Situation)
	for _, p := range i.Points {
		fmt.Fprintf(tw, "%s\t§%d %s\t%s\n", p.Verdict, p.Section, p.Name, strings.Join(p.Evidence, "; "))
		if p.Verdict == Fail {
			fmt.Fprintf(tw, "\t\twhy it matters: %s\n", p.Why)
		}
	}
	fmt.Fprintf(tw, "§ is the section of %s.\n", Document)
	return tw.Flush()
}
