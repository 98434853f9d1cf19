package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.org/dormouse/sensors"
)

// Each module that go.mod requires directly has a line that says why.
func TestDependenciesAreExplained(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{if not (or .Main .Indirect)}}{{.Path}}{{end}}", "all").Output()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.Fields(string(out))
	if len(modules) < 10 {
		t.Fatalf("go list names only %v", modules)
	}
	for _, m := range modules {
		if !strings.Contains(string(doc), m) {
			t.Errorf("docs/dependencies.md doesn't say what %s is for", m)
		}
	}
}

// Links between the documents lead somewhere.
func TestDocumentLinks(t *testing.T) {
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`\]\(([^)#: ]+)(#[^)]*)?\)`)
	found := 0
	for _, d := range append(documents, "../../README.md") {
		text, err := os.ReadFile(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range links.FindAllStringSubmatch(string(text), -1) {
			found++
			if _, err := os.Stat(filepath.Join(filepath.Dir(d), m[1])); err != nil {
				t.Errorf("%s: %v", d, err)
			}
		}
	}
	if found == 0 {
		t.Error("no link was found")
	}
}

// The examples of README are right, as flags and as the file.
func TestREADMEExamples(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(\\w*)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	p := newPlace(t)
	var byFlags, byFile string
	for _, b := range blocks {
		switch {
		case strings.HasPrefix(b[2], "dormouse run "):
			line := strings.ReplaceAll(strings.TrimPrefix(b[2], "dormouse run "), "\\\n", " ")
			byFlags = p.must(append([]string{"check"}, strings.Fields(line)...)...)
		case strings.Contains(b[2], "sensors:"):
			p.write("readme.yml", b[2])
			byFile = p.must("check", "--config.file=readme.yml")
		}
	}
	if byFlags == "" || byFlags != byFile {
		t.Errorf("by flags:\n%s\nby the file:\n%s", byFlags, byFile)
	}
}

// docs/troubleshooting.md has each reason that a sensor can be down for, and
// each exit status of docs/install.md.
func TestTroubleshootingIsComplete(t *testing.T) {
	text, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range sensors.Reasons {
		if !strings.Contains(string(text), "\n| `"+string(r)+"` |") {
			t.Errorf("no row for the reason %s", r)
		}
	}
	install, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	_, codes, _ := strings.Cut(string(install), "## Exit codes\n\n")
	codes, _, _ = strings.Cut(codes, "`status`")
	found := regexp.MustCompile(`\b([1-9])\b`).FindAllString(codes, -1)
	if len(found) < 5 {
		t.Fatalf("docs/install.md has the exit codes %q", found)
	}
	for _, code := range found {
		if !strings.Contains(string(text), "\n| "+code+" |") {
			t.Errorf("no row for the exit status %s", code)
		}
	}
}
