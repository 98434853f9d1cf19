package crontab

import (
	"slices"
	"testing"
	"time"
	_ "time/tzdata" // the machine may have no zoneinfo
)

func TestTimes(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	// The night in which the hour from 2 to 3 comes twice: 31 October is a Sunday.
	from, to := time.Date(2027, 10, 30, 22, 0, 0, 0, berlin), time.Date(2027, 10, 31, 7, 0, 0, 0, berlin)
	for expr, want := range map[string][]string{
		"30 2 * * *":        {"31T02:30+02"},
		"30 * * * 0":        {"31T00:30+02", "31T01:30+02", "31T02:30+02", "31T02:30+01", "31T03:30+01", "31T04:30+01", "31T05:30+01", "31T06:30+01"},
		"0 22-23,7 * * *":   {"30T23:00+02", "31T07:00+01"},
		"0 */6 31 10 *":     {"31T00:00+02", "31T06:00+01"},
		"5-59/25 23 31 * 6": {"30T23:05+02", "30T23:30+02", "30T23:55+02"}, // either day
		"0 5 * * 1":         nil,
		"0 5 */2 10 0":      {"31T05:00+01"},
		"0 5 30 * 1":        nil,
		"15 4 31 1-12/3 *":  {"31T04:15+01"},
		"15 4 31 2-12/3 *":  nil,
		"59 21 30 10 *":     nil,
		"1,2 3 * * *":       {"31T03:01+01", "31T03:02+01"},
		"*/20 6 31 10 1":    {"31T06:00+01", "31T06:20+01", "31T06:40+01"},
	} {
		var got []string
		for _, at := range Times(t, expr, from, to) {
			got = append(got, at.Format("02T15:04-07"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q comes %v, want %v", expr, got, want)
		}
	}
}
