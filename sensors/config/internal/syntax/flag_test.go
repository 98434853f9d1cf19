package syntax

import (
	"reflect"
	"strings"
	"testing"
)

func TestSplitWords(t *testing.T) {
	for text, want := range map[string][]string{
		`/bin/foo -x 'a b' "c d" e\ f`: {"/bin/foo", "-x", "a b", "c d", "e f"},
		`  a   b  `:                    {"a", "b"},
		`a"b c"'d e'f`:                 {"ab cd ef"},
		`'' ""`:                        {"", ""},
		`'a\b' "a\b\"\\" \$HOME *`:     {`a\b`, `a\b"\`, "$HOME", "*"},
		`$HOME ~ | >`:                  {"$HOME", "~", "|", ">"},
		"a\n\tb":                       {"a", "b"},
		"":                             nil,
	} {
		if got, err := splitWords(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("splitWords(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{`a 'b`: "quote ' is not closed", `a "b`: `quote " is not closed`, `a\`: "ends with a backslash"} {
		if got, err := splitWords(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("splitWords(%q) = %q, %v", text, got, err)
		}
	}
}
