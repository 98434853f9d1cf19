package config

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the machine may have no zoneinfo
)

func TestParseCron(t *testing.T) {
	for text, want := range map[string]string{
		"30 3 * * *":             "30 3 * * *",
		" 0,30   6-20 * *  1-5 ": "0,30 6-20 * * 1-5",
		"*/15 * * * *":           "*/15 * * * *",
		"0 4 29 2 *":             "0 4 29 2 *",
		"0 0 1 JAN,Jul mon-Fri":  "0 0 1 JAN,Jul mon-Fri",
		"5-59/10 0 * * 7":        "5-59/10 0 * * 7",
		"0 0 * * 5-7":            "0 0 * * 5-7",
	} {
		got, err := ParseCron(text)
		if err != nil || got.String() != want {
			t.Errorf("ParseCron(%q) = %v, %v", text, got, err)
			continue
		}
		if _, ok := got.Next(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)); !ok {
			t.Errorf("%q has no next time", got)
		}
	}
	for text, want := range map[string]string{
		"":                "isn't five fields",
		"@daily":          "isn't five fields",
		"0 0 3 * * *":     "isn't five fields",
		"30 3 * * * 2026": "isn't five fields",
		"61 * * * *":      `"61" is not a valid minute`,
		"0,61 * * * *":    `"61" is not a valid minute`,
		"* 24 * * *":      `"24" is not a valid hour`,
		"* * 0 * *":       `"0" is not a valid day`,
		"* * L * *":       `"L" is not a valid day`,
		"* * 15W * *":     `"15W" is not a valid day`,
		"* * * 13 *":      `"13" is not a valid month: write *, N, N-M, each also with a step as in */2, or a list of them with commas; N is 1 to 12`,
		"* * * * 8":       `"8" is not a valid weekday`,
		"* * * * 5#2":     `"5#2" is not a valid weekday`,
		"* * * * fri-mon": `"fri-mon" is not a valid weekday`,
		"*/0 * * * *":     `"*/0" is not a valid minute`,
		"*/ * * * *":      `"*/" is not a valid minute`,
		"1,,2 * * * *":    `"" is not a valid minute`,
		"5-1 * * * *":     `"5-1" is not a valid minute`,
		"- * * * *":       `"-" is not a valid minute`,
		"-1 * * * *":      `"-1" is not a valid minute`,
		"1-2-3 * * * *":   `"1-2-3" is not a valid minute`,
		"1/2/3 * * * *":   `"1/2/3" is not a valid minute`,
		"jan * * * *":     `"jan" is not a valid minute`,
		"** * * * *":      `"**" is not a valid minute`,
		"0 0 31 2 *":      "never comes",
		"0 0 30 2 *":      "never comes",
	} {
		if got, err := ParseCron(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseCron(%q) = %v, %v, want an error with %q", text, got, err, want)
		}
	}
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestCronNext(t *testing.T) {
	berlin, lordHowe := zone(t, "Europe/Berlin"), zone(t, "Australia/Lord_Howe")
	for _, c := range []struct {
		expr, from string
		in         *time.Location
		want       []string // in RFC 3339 without seconds, as the clock on the wall shows them
	}{
		{"30 3 * * *", "2027-06-01T03:30:00", berlin, []string{"02T03:30+02", "03T03:30+02"}},
		{"30 3 * * *", "2027-06-01T03:29:59", berlin, []string{"01T03:30+02"}},
		{"0 0 29 2 *", "2027-01-01T00:00:00", berlin, []string{"29T00:00+01"}},
		{"15 10 * * mon", "2027-06-01T00:00:00", berlin, []string{"07T10:15+02", "14T10:15+02"}},
		// 2027-03-28, 02:00 becomes 03:00.
		{"30 2 * * *", "2027-03-27T12:00:00", berlin, []string{"28T03:00+02", "29T02:30+02"}},
		{"30 2,3 * * *", "2027-03-28T00:00:00", berlin, []string{"28T03:00+02", "28T03:30+02", "29T02:30+02"}},
		{"0 3 * * *", "2027-03-28T00:00:00", berlin, []string{"28T03:00+02", "29T03:00+02"}},
		{"10,40 2 * * *", "2027-03-28T00:00:00", berlin, []string{"28T03:00+02", "29T02:10+02"}},
		{"*/30 * * * *", "2027-03-28T01:10:00", berlin, []string{"28T01:30+01", "28T03:00+02", "28T03:30+02"}},
		// 2027-10-31, 03:00 becomes 02:00.
		{"30 2 * * *", "2027-10-30T12:00:00", berlin, []string{"31T02:30+02", "01T02:30+01"}},
		{"30 3 * * *", "2027-10-30T12:00:00", berlin, []string{"31T03:30+01", "01T03:30+01"}},
		{"0 3 * * *", "2027-10-30T12:00:00", berlin, []string{"31T03:00+01", "01T03:00+01"}},
		{"0 2-4 * * *", "2027-10-31T00:00:00", berlin, []string{"31T02:00+02", "31T03:00+01", "31T04:00+01"}},
		{"*/30 * * * *", "2027-10-31T01:50:00", berlin, []string{"31T02:00+02", "31T02:30+02", "31T02:00+01", "31T02:30+01", "31T03:00+01"}},
		// Half an hour: 2027-04-04, 02:00 becomes 01:30; 2027-10-03, 02:00 becomes 02:30.
		{"45 1 * * *", "2027-04-03T12:00:00", lordHowe, []string{"04T01:45+11", "05T01:45+1030"}},
		{"15 2 * * *", "2027-10-02T12:00:00", lordHowe, []string{"03T02:30+11", "04T02:15+11"}},
	} {
		cr, err := ParseCron(c.expr)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.ParseInLocation("2006-01-02T15:04:05", c.from, c.in)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			next, ok := cr.Next(at)
			if got := strings.TrimSuffix(next.Format("02T15:04-0700"), "00"); !ok || got != want || !next.After(at) {
				t.Errorf("%s after %v is %v, want %s", c.expr, at, got, want)
			}
			at = next
		}
	}
	never := &Cron{expr: "0 0 30 2 *"}
	if got, ok := never.Next(time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)); ok {
		t.Errorf("30 February is %v", got)
	}
}
