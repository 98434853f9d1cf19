package control

import (
	"strings"
	"testing"
	"time"
)

func TestTheRunsOfAProgramArePrinted(t *testing.T) {
	began := time.Date(2026, 3, 1, 3, 30, 0, 0, time.Local)
	b := &strings.Builder{}
	p := Program{
		Name:    "backup",
		Last:    &Run{Began: &began, Took: 1.5, Output: "copied\nok\n"},
		Failed:  &Run{Took: 2, Status: 3, Error: "exit status 3", Output: "\x1b]0;owned\a disk full", Cut: 7},
		Skipped: map[string]uint64{"overlap": 2},
	}
	if err := p.WriteText(b); err != nil {
		t.Fatal(err)
	}
	const want = `backup: 2 runs skipped: overlap
backup: last run: 2026-03-01 03:30:00, took 1.500 s, exit status 0
  | copied
  | ok
backup: last failed run: at an unknown time (the clock wasn't set), took 2.000 s, exit status 3
  exit status 3
  | (7 bytes before this are not kept)
  | �]0;owned� disk full
`
	if got := b.String(); got != strings.ReplaceAll(want, `\ufffd`, "\ufffd") {
		t.Errorf("printed\n%s", got)
	}
}
