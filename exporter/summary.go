package exporter

import (
	"fmt"
	"strings"
	"time"
)

// Summary tells people how many sensors are up and when the next wake is, and on
// a line for each why sensors are down or not read yet.
func (r *Readings) Summary() string {
	b := &strings.Builder{}
	up := 0
	var lines []string
	for _, s := range r.Sensors {
		switch {
		case s.Up == nil:
			line := s.Name + " is not read yet"
			if s.NextRead != nil {
				line += ", first at " + localTime(*s.NextRead)
			}
			lines = append(lines, line)
		case *s.Up:
			up++
		default:
			lines = append(lines, s.Name+" is down: "+Printable(s.Error))
		}
	}
	fmt.Fprintf(b, "%d of %d sensors up", up, len(r.Sensors))
	if r.NextWake != nil {
		fmt.Fprintf(b, "; next wake at %s", localTime(*r.NextWake))
	}
	b.WriteByte('\n')
	for _, line := range lines {
		fmt.Fprintf(b, "  %s\n", line)
	}
	return b.String()
}

// localTime rounds to seconds: two clocks are never read at the same moment.
func localTime(t time.Time) string { return t.Local().Round(time.Second).Format(time.DateTime) }
