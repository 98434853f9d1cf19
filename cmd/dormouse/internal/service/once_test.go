package service

import (
	"errors"
	"strings"
	"testing"

	"example.org/dormouse/sensors"
)

// What failed is a line each, whatever a chip or a program put into it.
func TestReportDown(t *testing.T) {
	var b strings.Builder
	failed := ReportDown(&b, &sensors.Snapshot{Results: []sensors.Result{
		{Name: "new"},
		{Name: "ups", Tried: true, Err: errors.Join(errors.New("in0: gone"), errors.New("in1: \x1b[2Jgone"))},
		{Name: "beds", Tried: true, Up: true, Failures: []sensors.Failure{{Labels: []string{"a\u009b1"}, Err: errors.New("out of range")}}},
	}})
	const want = "dormouse: sensor ups is down: in0: gone in1:  [2Jgone\ndormouse: sensor beds a 1: out of range\n"
	if b.String() != want || !failed {
		t.Errorf("got\n%q, want\n%q", b.String(), want)
	}
	b.Reset()
	if ReportDown(&b, &sensors.Snapshot{Results: []sensors.Result{{Name: "new"}, {Name: "ok", Tried: true, Up: true}}}) || b.String() != "" {
		t.Errorf("nothing failed, and it says %q", b.String())
	}
}
