package config

import (
	"strings"
	"testing"
	"time"

	"github.com/adhocore/gronx"
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
		got, err := parseCron(text)
		if err != nil || got != want {
			t.Errorf("parseCron(%q) = %q, %v", text, got, err)
			continue
		}
		if _, err := gronx.NextTickAfter(got, time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), false); err != nil {
			t.Errorf("%q has no next time: %v", got, err)
		}
	}
	for text, want := range map[string]string{
		"":                "isn't five fields",
		"@daily":          "isn't five fields",
		"0 0 3 * * *":     "isn't five fields",
		"30 3 * * * 2026": "isn't five fields",
		"61 * * * *":      `"61" is no minute`,
		"0,61 * * * *":    `"61" is no minute`,
		"* 24 * * *":      `"24" is no hour`,
		"* * 0 * *":       `"0" is no day`,
		"* * L * *":       `"L" is no day`,
		"* * 15W * *":     `"15W" is no day`,
		"* * * 13 *":      `"13" is no month, which is *, N, N-M, each also with a step as in */2, or a list of them with commas; N is 1 to 12`,
		"* * * * 8":       `"8" is no weekday`,
		"* * * * 5#2":     `"5#2" is no weekday`,
		"* * * * fri-mon": `"fri-mon" is no weekday`,
		"*/0 * * * *":     `"*/0" is no minute`,
		"*/ * * * *":      `"*/" is no minute`,
		"1,,2 * * * *":    `"" is no minute`,
		"5-1 * * * *":     `"5-1" is no minute`,
		"- * * * *":       `"-" is no minute`,
		"-1 * * * *":      `"-1" is no minute`,
		"1-2-3 * * * *":   `"1-2-3" is no minute`,
		"1/2/3 * * * *":   `"1/2/3" is no minute`,
		"jan * * * *":     `"jan" is no minute`,
		"** * * * *":      `"**" is no minute`,
		"0 0 31 2 *":      "never comes",
		"0 0 30 2 *":      "never comes",
	} {
		if got, err := parseCron(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseCron(%q) = %q, %v, want an error with %q", text, got, err, want)
		}
	}
}
