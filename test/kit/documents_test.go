package kit

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// executed names, for each block of README and of docs/install.md, the directory
// and the test that types its commands.
var executed = map[string]struct{ dir, test string }{
	"README.md, Dormouse":       {"test/inits", "TestREADMECommands"},
	"README.md, An example":     {}, // a drawing of the header
	"README.md, An example (2)": {"test/inits", "TestREADMECommands"},
	"README.md, Installing":     {"test/inits", "TestDocumentedInstallation"},

	"docs/install.md, The Debian package":         {"test/inits", "TestDocumentedInstallation"},
	"docs/install.md, The Debian package (2)":     {"test/inits", "TestDocumentedInstallation"},
	"docs/install.md, From source":                {"test/inits", "TestFromSource"},
	"docs/install.md, From source (2)":            {"test/inits", "TestSystemdByHand"},
	"docs/install.md, systemd":                    {"test/inits", "TestSystemdByHand"},
	"docs/install.md, Without a resident process": {"test/inits", "TestSystemdByHand"},
	"docs/install.md, By cron":                    {"test/inits", "TestSystemdByHand"},
	"docs/install.md, System V init":              {"test/inits", "TestSystemVByHand"},
	"docs/install.md, In a container":             {"test/inits", "TestAContainer"},
	"docs/install.md, In a container (2)":         {"test/inits", "TestAContainer"},
	"docs/install.md, In a container (3)":         {"test/inits", "TestAContainer"},
	"docs/install.md, By hand":                    {"cmd/dormouse", "TestByHand"},
}

// Each block is typed by a test: the test is there, and its directory asks for
// the block by its name.
func TestBlocksAreExecuted(t *testing.T) {
	var found []string
	for _, document := range []string{"README.md", "docs/install.md"} {
		for _, b := range Blocks(t, document) {
			found = append(found, b.Name)
			by, known := executed[b.Name]
			if !known {
				t.Errorf("no test executes the block %q:\n%s", b.Name, b.Text)
				continue
			}
			if by.test == "" {
				continue
			}
			sources := tests(t, by.dir)
			if !strings.Contains(sources, "\nfunc "+by.test+"(t *testing.T) {\n") || !strings.Contains(sources, `"`+b.Name+`"`) {
				t.Errorf("%s has no %s, or nothing there asks for the block %q", by.dir, by.test, b.Name)
			}
		}
	}
	for name := range executed {
		if !slices.Contains(found, name) {
			t.Errorf("the block %q isn't there", name)
		}
	}
	// What README calls all tests is run by what runs them all.
	ci, err := os.ReadFile(Source(".ci/run"))
	Must(t, err)
	if !strings.Contains(string(ci), "make test\n") {
		t.Error(".ci/run doesn't run make test")
	}
}

// tests are a directory's test sources, one after the other.
func tests(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(Source(dir), "*_test.go"))
	Must(t, err)
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		Must(t, err)
		all.Write(text)
	}
	return all.String()
}

// Blocks finds what is to be typed, whatever it is written as, and nothing else.
func TestBlocks(t *testing.T) {
	dir := t.TempDir()
	Must(t, os.MkdirAll(filepath.Join(dir, "test", "kit"), 0o755))
	Must(t, os.WriteFile(filepath.Join(dir, "d.md"), []byte("# A\n    one\n    two\n\n```yaml\nno: 1\n```\ntext\n```sh\nthree\n```\n## B\n```\nfour\n    five\n```\n\n    six\n"), 0o644))
	t.Chdir(filepath.Join(dir, "test", "kit"))
	got := Blocks(t, "d.md")
	want := []Block{{"d.md, A", "one\ntwo\n"}, {"d.md, A (2)", "three\n"}, {"d.md, B", "four\n    five\n"}, {"d.md, B (2)", "six\n"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if text := BlockOf(t, "d.md, A (2)"); text != "three\n" {
		t.Errorf("got %q", text)
	}
	if said := saidBy(func(t testing.TB) { BlockOf(t, "d.md, C") }); !strings.Contains(said, `no block "d.md, C"`) {
		t.Errorf("without the block it says %q", said)
	}
}
