package describe

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.org/dormouse/sensors/config"
)

// What docs/chips.md shows is accepted, and is what examples/chips has.
func TestDocument(t *testing.T) {
	data, err := os.ReadFile("../../docs/chips.md")
	if err != nil {
		t.Fatal(err)
	}
	files := describedFiles(t)
	described := 0
	for _, b := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(data), -1) {
		if strings.HasPrefix(b[1], "sensors:") {
			read := func(path string) ([]byte, error) {
				return files[strings.TrimPrefix(path, "/etc/dormouse/chips/")], nil
			}
			if _, err := config.Load(config.Source{File: "chips.md", Data: []byte(b[1]), Read: read}); err != nil {
				t.Error(err)
			}
			continue
		}
		described++
		if _, err := Driver("chips.md", []byte(b[1])); err != nil {
			t.Error(err)
		}
		if !slices.ContainsFunc(slices.Collect(values(files)), func(f []byte) bool { return strings.HasSuffix(string(f), b[1]) }) {
			t.Errorf("examples/chips hasn't this description:\n%s", b[1])
		}
	}
	if described != 2 {
		t.Errorf("%d descriptions, and there should be two", described)
	}
}

func values(files map[string][]byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for _, f := range files {
			if !yield(f) {
				return
			}
		}
	}
}

// The document's table has every key that a description may have: an unknown key
// makes each mapping tell its own.
func TestVocabulary(t *testing.T) {
	data, err := os.ReadFile("../../docs/chips.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(data), "## The vocabulary")
	const all = `{x: 1, sum: {x: 1}, settings: [{x: 1, values: [{x: 1}], auto: {x: 1}}], numbers: [{x: 1}], channels: [{x: 1}],
identity: [{x: 1}], measure: [{x: 1, until: {x: 1}, must: [{x: 1}]}], fields: [{x: 1}], examples: [{x: 1}]}`
	_, err = Driver("x", []byte(all))
	if err == nil {
		t.Fatal("it is accepted")
	}
	lists := 0
	for line := range strings.Lines(err.Error()) {
		_, known, ok := strings.Cut(strings.TrimSpace(line), "known are ")
		if !ok {
			continue
		}
		lists++
		for _, key := range strings.Split(known, ", ") {
			if !strings.Contains(table, "`"+key+"`") {
				t.Errorf("the table lacks %s of %s", key, line)
			}
		}
	}
	if lists != 13 {
		t.Errorf("%d mappings tell their keys: %v", lists, err)
	}
}
