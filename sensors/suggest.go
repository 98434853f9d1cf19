package sensors

import (
	"fmt"
	"strings"
)

// DidYouMean names the nearest of the known words, as in " (did you mean
// GPIO17?)"; it is empty where none is near: one letter of three, four of nine.
func DidYouMean(word string, known []string) string {
	if len(word) > 64 {
		return "" // no known word is as long, and the comparison would be
	}
	best, least := "", min(1+len(word)/3, len(word)/2)
	for _, k := range known {
		if d := editDistance(strings.ToLower(word), strings.ToLower(k)); d <= least && d < len(k) {
			best, least = k, d-1
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// editDistance is the number of letters to insert, delete or replace
// (Levenshtein), where swapping two neighbours counts as one (Damerau).
func editDistance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	before, last, row := rows[0], rows[1], rows[2]
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
